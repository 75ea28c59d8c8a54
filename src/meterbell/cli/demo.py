"""`meterbell demo`: the whole story on a server of its own, in seconds."""

import typer

from meterbell.cli.connection import JsonOption
from meterbell.cli.output import EXIT_FAILED, examples, reported

EXAMPLES = examples("meterbell demo", "meterbell demo --json")


def demo(*, as_json: JsonOption = False) -> None:
    """Run the whole story on a temporary server, with real webhooks, and check every step.

    It needs no running server, touches no other data, and leaves nothing behind.
    """
    with reported():
        from meterbell.cli.demo_run import run_demo  # noqa: PLC0415 - the SDK takes a second

        if not run_demo(as_json=as_json):
            raise typer.Exit(EXIT_FAILED)
