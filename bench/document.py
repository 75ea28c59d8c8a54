"""`python -m bench.document`: put the figures of the JSON files into `docs/benchmarks.md`.

Everything below the heading `## Figures` is written anew.
"""

from pathlib import Path
from typing import Any

import msgspec

from bench.parts import PARTS

_HEADING = "## Figures\n"
_DOCUMENT = Path("docs/benchmarks.md")
_FOLDER = Path("docs/benchmarks")
_ONCE = {"pages"}
"""Parts that count requests and not seconds."""


def main() -> None:
    """Rewrite the figures."""
    kept, _, _ = _DOCUMENT.read_text().partition(_HEADING)
    sections = [_section(name) for name in PARTS if (_FOLDER / f"{name}.json").exists()]
    _DOCUMENT.write_text("\n".join([kept + _HEADING, *sections]).rstrip() + "\n")


def _section(name: str) -> str:
    """Return a part's tables, charts, and what they were measured on."""
    found: dict[str, Any] = msgspec.json.decode((_FOLDER / f"{name}.json").read_bytes())
    machine, options = found["machine"], found["options"]
    lines = [f"### {name}", ""]
    for table in found["tables"]:
        lines += [f"{table['title']}:", "", _row(table["headings"])]
        lines.append(_row(["---", *("---:" for _ in table["headings"][1:])]))
        lines += [_row(row) for row in table["rows"]]
        lines.append("")
    for chart in sorted(_FOLDER.glob(f"{name}.svg")):
        lines += [f"![{name}]({_FOLDER.name}/{chart.name})", ""]
    events = sum(verified["events"] for verified in found["verified"])
    triggers = sum(verified["triggers"] for verified in found["verified"])
    lines += [f"{note}." for note in found["notes"]]
    if found["verified"]:
        lines.append(f"Recounted: {events:,} events and {triggers:,} triggers, each once.")
    measured = f"{options['rounds']} rounds of {options['seconds']:g} s"
    if name in _ONCE:
        measured = "Measured once"
    lines.append(
        f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}, Python "
        f"{machine['python']}, SQLite {machine['sqlite']}; a synced write takes "
        f"{machine['fdatasync_ms']:.2f} ms. {measured}."
    )
    return "\n".join([*lines, ""])


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
