"""What commands print: text for people, JSON for programs, errors in one line on stderr."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import NoReturn

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from meterbell.errors import MeterbellError

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

_PIPE_WIDTH = 1000

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)


class CommandError(Exception):
    """A command can't go on; the message says what was wrong, where, and what to do."""

    def __init__(self, message: str, *, status: int = EXIT_FAILED) -> None:
        super().__init__(message)
        self.status = status


def turn_colors_off() -> None:
    """Print without colors from now on."""
    console.no_color = errors.no_color = True


def print_text(text: str) -> None:
    """Print marked-up text, unbroken."""
    console.print(text, soft_wrap=True)


def print_json(value: object) -> None:
    """Print a value as indented JSON."""
    print_raw_json(msgspec.json.encode(value))


def print_raw_json(body: str | bytes) -> None:
    """Print JSON as it is, digit by digit, indented."""
    shown = msgspec.json.format(body, indent=2)
    typer.echo(shown if isinstance(shown, str) else shown.decode())


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, empty: str) -> None:
    """Print rows in columns; what came from outside is not taken for markup."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    if not table.row_count:
        errors.print(f"[dim]{empty}[/]", soft_wrap=True)
    elif console.is_terminal:
        console.print(table)
    else:
        # A program that reads this wants whole ids, whatever the width of a terminal is.
        Console(file=console.file, width=_PIPE_WIDTH, no_color=True).print(table)


def show_time(seconds: int) -> str:
    """Return Unix seconds as a UTC time for people."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def examples(*lines: str) -> str:
    """Return the end of a command's help: lines to copy."""
    return "\n\n".join(["[bold]Examples[/]", *(f"  {escape(line)}" for line in lines)])


def fail(message: str, *, status: int = EXIT_FAILED) -> NoReturn:
    """Print what was wrong and what to do, and end."""
    errors.print(f"[bold red]error:[/] {escape(message)}", soft_wrap=True)
    raise typer.Exit(status)


@contextmanager
def reported() -> Iterator[None]:
    """Turn what was raised on purpose into one line on stderr and an exit status."""
    try:
        yield
    except CommandError as error:
        fail(str(error), status=error.status)
    except MeterbellError as error:
        fail(str(error))
