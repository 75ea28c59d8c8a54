"""`python -m bench`: measure, recount, print tables, write JSON and charts.

Everything runs on this machine: server, generator in a process of its own, baselines, webhook
receiver. Ratios to baselines of the same run carry over to other machines, figures do not.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import msgspec
from rich.markup import escape

from bench.context import Context, Options
from bench.machine import describe
from bench.outcome import Outcome
from bench.parts import PARTS
from bench.plots import draw
from bench.servers import NoStreamError
from bench.show import say, table
from bench.verify import MismatchError, Verified

_HELP = {
    "rounds": "medians are taken over so many rounds",
    "seconds": "length of one measurement",
    "baseline_seconds": "length of one measurement of a baseline",
    "customers": "customers, but where a part varies them",
    "group": "bodies that the bare append commits together",
    "triggers": "crossing events for the trigger latency",
    "alerts_max": "alerts that are compared with one",
    "customers_max": "customers that are compared with 1,000",
    "stored_max": "stored events up to which the cost of the next is followed",
    "start_events": "events in the log at the timed starts",
    "start_customers": "customers at the timed starts",
    "overload_connections": "connections that offer three times the capacity",
    "overload_queue": "the server's --queue-max under overload; 0 for its default",
    "pages_customers": "customers whose usage the dashboard's pages show",
    "pages_events": "meter events behind the dashboard's pages",
    "module": "what to run in place of meterbell, to try the benchmark itself",
}


def main() -> None:
    """Parse the options, measure, report."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--only", help=f"parts, with commas between them: {', '.join(PARTS)}", default=""
    )
    parser.add_argument("--output", type=Path, default=Path("docs/benchmarks"))
    parser.add_argument("--folder", help="where data goes; on the disk that is to be measured")
    defaults = Options()
    for name, text in _HELP.items():
        value = getattr(defaults, name)
        flag = "--" + name.replace("_", "-")
        parser.add_argument(flag, type=type(value), default=value, help=f"{text} ({value})")
    given = parser.parse_args()
    options = Options(**{name: getattr(given, name) for name in _HELP})
    names = [name for name in given.only.split(",") if name] or list(PARTS)
    unknown = set(names) - PARTS.keys()
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    failed = [name for name in names if not _run(name, options, given.folder, given.output)]
    if failed:
        say(f"[red]not measured:[/] {', '.join(failed)}")
        sys.exit(1)


def _run(name: str, options: Options, parent: str | None, output: Path) -> bool:
    """Measure one part in a folder of its own; return whether that was possible."""
    say(f"\n[bold]{name}[/]: {(PARTS[name].__doc__ or '').splitlines()[0]}")
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bench-", dir=parent) as folder:
        machine = describe(Path(folder))
        try:
            outcome = PARTS[name](Context(options, Path(folder)))
        except (NoStreamError, MismatchError, RuntimeError, AssertionError) as error:
            # The other parts are still worth having; the exit status tells.
            say(f"[red]can't be measured[/]: {escape(str(error))}")
            return False
    for found in outcome.tables:
        table(found.title, found.headings, found.rows)
    for note in outcome.notes:
        say(f"[yellow]note[/]: {note}")
    if outcome.verified:
        say(_recounted(outcome.verified))
    _write(outcome, options, machine, output)
    say(f"{time.monotonic() - begun:.0f} s")
    return True


def _recounted(verified: list[Verified]) -> str:
    events, totals, summaries, triggers = (
        sum(getattr(server, field) for server in verified) for field in Verified.__struct_fields__
    )
    return (
        f"recounted on {len(verified)} servers: {events:,} events once each, {totals:,} totals "
        f"exact ({summaries:,} read through the API too), {triggers:,} triggers once"
    )


def _write(outcome: Outcome, options: Options, machine: dict[str, object], output: Path) -> None:
    output.mkdir(parents=True, exist_ok=True)
    facts = {
        "part": outcome.name,
        "machine": machine,
        "options": options,
        "figures": outcome.figures,
        "verified": outcome.verified,
        "notes": outcome.notes,
        "tables": outcome.tables,
        "rounds": outcome.rounds,
    }
    text = msgspec.json.format(msgspec.json.encode(facts), indent=2)
    (output / f"{outcome.name}.json").write_bytes(text + b"\n")
    for chart in outcome.charts:
        name = f"{outcome.name}-{chart.name}" if chart.name else outcome.name
        draw(chart, output / f"{name}.svg")


if __name__ == "__main__":
    main()
