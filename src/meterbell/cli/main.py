"""The command tree."""

from typing import Annotated

import typer

from meterbell import __version__
from meterbell.cli import keys, serve

app = typer.Typer(
    name="meterbell",
    help="Usage metering and usage alerts, wire-compatible with Stripe Billing.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("serve", epilog=serve.EXAMPLES)(serve.serve)
app.add_typer(keys.app, name="keys")


def _show_version(value: bool) -> None:  # noqa: FBT001 - typer calls it so
    if value:
        typer.echo(f"meterbell {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Usage metering and usage alerts, wire-compatible with Stripe Billing."""
    del version


def main() -> None:
    """Run the command that the arguments name."""
    app()
