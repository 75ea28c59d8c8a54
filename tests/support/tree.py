"""The repository's own files, for tests that read them."""

import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]


@cache
def files(*suffixes: str) -> tuple[Path, ...]:
    """Return the tracked files, and the new ones that git does not ignore, relative to the root.

    Args:
        suffixes: Endings of file names to keep, such as `.py`; none keeps all.
    """
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    found = sorted({Path(name) for name in listed.split("\0") if name})
    kept = [path for path in found if (ROOT / path).is_file()]
    return tuple(path for path in kept if not suffixes or path.name.endswith(suffixes))


@cache
def text_of(path: Path) -> str:
    """Return a file's text; what is not UTF-8 is shown as replacement characters."""
    return (ROOT / path).read_text(errors="replace")


def modules(folder: str) -> list[Path]:
    """Return the Python modules below a folder."""
    return [path for path in files(".py") if path.is_relative_to(folder)]
