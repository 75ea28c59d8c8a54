"""`meterbell listen`: webhooks without a public address."""

import os
from typing import Annotated

import typer

from meterbell.cli.connection import (
    DATA_DEFAULT,
    ApiBaseOption,
    ApiKeyOption,
    DataOption,
    JsonOption,
)
from meterbell.cli.output import examples, reported

EXAMPLES = examples(
    "meterbell listen --forward-to localhost:3000/webhook",
    "meterbell listen --forward-to 3000 --events billing.alert.triggered",
    "meterbell listen --forward-to 3000/webhook --forward-thin-to 3000/thin",
    "meterbell listen   # only show events",
    "export WEBHOOK_SECRET=$(meterbell listen --print-secret)",
)


def listen(
    *,
    forward_to: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Post events there: a port, host:port/path or a URL."),
    ] = None,
    forward_thin_to: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Post thin events there.")
    ] = None,
    events: Annotated[
        str | None,
        typer.Option(metavar="TYPES", help="Only these types, with commas: a,b or billing.*."),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="now|start|EVENT",
            help="Begin there. Default: where it stopped; at first, now.",
        ),
    ] = None,
    print_secret: Annotated[
        bool, typer.Option("--print-secret", help="Print the signing secret and end.")
    ] = False,
    skip_verify: Annotated[
        bool, typer.Option("--skip-verify", help="Accept any certificate of an https address.")
    ] = False,
    api_key: ApiKeyOption = None,
    api_base: ApiBaseOption = None,
    data: DataOption = DATA_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Show events as they happen, and post them to a server of yours, signed.

    It goes on where it stopped, so nothing that happens in between is lost.

    An event is done once your server answered, whatever the status; until then it is posted again.
    """
    with reported():
        from meterbell.cli.listener import Request, run_listener  # noqa: PLC0415 - aiohttp

        run_listener(
            Request(
                api_key=api_key,
                api_base=api_base,
                data=data,
                forward_to=forward_to,
                forward_thin_to=forward_thin_to,
                types=[name.strip() for name in events.split(",") if name.strip()]
                if events
                else [],
                since=since,
                print_secret=print_secret,
                verify=not skip_verify,
                as_json=as_json,
            ),
            environment=os.environ,
        )
