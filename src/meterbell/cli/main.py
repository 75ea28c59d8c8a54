"""The command tree. What a command needs is imported when it runs, so that help comes at once."""

import os
import sys
from typing import Annotated

import typer

from meterbell import __version__
from meterbell.cli import (
    alerts,
    channels,
    customers,
    dashboard,
    demo,
    events,
    keys,
    listen,
    logs,
    meters,
    secret_keys,
    send,
    serve,
    trigger,
    webhooks,
)
from meterbell.cli.output import turn_colors_off

_NO_COLOR = "--no-color"

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
app.add_typer(dashboard.app, name="dashboard")
app.command("demo", epilog=demo.EXAMPLES)(demo.demo)
app.command("listen", epilog=listen.EXAMPLES)(listen.listen)
app.command("trigger", epilog=trigger.EXAMPLES)(trigger.trigger)
app.command("send", epilog=send.EXAMPLES)(send.send)
app.add_typer(meters.app, name="meters")
app.add_typer(alerts.app, name="alerts")
app.add_typer(customers.app, name="customers")
app.add_typer(channels.app, name="channels")
app.add_typer(events.app, name="events")
app.add_typer(webhooks.app, name="webhooks")
app.add_typer(secret_keys.app, name="secrets")
app.add_typer(logs.app, name="logs")


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
    no_color: Annotated[
        bool, typer.Option(_NO_COLOR, help="Print without colors, as NO_COLOR=1 does.")
    ] = False,
) -> None:
    """Usage metering and usage alerts, wire-compatible with Stripe Billing."""
    del version
    if no_color:
        turn_colors_off()


def main() -> None:
    """Run the command that the arguments name."""
    own, dashes, rest = _split(sys.argv[1:])
    if _NO_COLOR in own:
        # It may stand anywhere, also after the command's name.
        os.environ["NO_COLOR"] = "1"
        turn_colors_off()
        own = [argument for argument in own if argument != _NO_COLOR]
    app([*own, *dashes, *rest])


def _split(arguments: list[str]) -> tuple[list[str], list[str], list[str]]:
    """Return the arguments before `--`, that itself, and those after it."""
    if "--" not in arguments:
        return arguments, [], []
    place = arguments.index("--")
    return arguments[:place], ["--"], arguments[place + 1 :]
