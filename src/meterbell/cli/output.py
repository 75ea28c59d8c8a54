"""What commands print: text for people, JSON for programs, errors in one line on stderr."""

import json
from typing import NoReturn

import typer
from rich.console import Console

EXIT_FAILED = 1
EXIT_USAGE = 2

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)


def print_json(value: object) -> None:
    """Print a value as indented JSON."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def fail(message: str, *, status: int = EXIT_FAILED) -> NoReturn:
    """Print what was wrong and what to do, and end."""
    errors.print(f"[bold red]error:[/] {message}", soft_wrap=True, markup=True)
    raise typer.Exit(status)
