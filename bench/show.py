"""The terminal: tables and progress."""

import sys
from types import TracebackType
from typing import Self

from rich import progress
from rich.console import Console
from rich.table import Table

_WIDTH = 120
console = Console(width=None if sys.stdout.isatty() else _WIDTH)


class Progress:
    """A bar that is gone when its work is done."""

    def __init__(self, what: str, total: float) -> None:
        self._bar = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._task = self._bar.add_task(what, total=total)

    def reach(self, done: float) -> None:
        """Show how much is done."""
        self._bar.update(self._task, completed=done)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()


def table(title: str, headings: list[str], rows: list[list[str]]) -> None:
    """Print a table; all but its first column are numbers."""
    found = Table(title=title, title_justify="left")
    for number, heading in enumerate(headings):
        found.add_column(heading, justify="right" if number else "left", no_wrap=not number)
    for row in rows:
        found.add_row(*row)
    console.print(found)


def say(text: str) -> None:
    """Print a line."""
    console.print(text, highlight=False)
