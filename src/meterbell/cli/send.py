"""`meterbell send`: report usage, one meter event or a file of them."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from meterbell.cli.connection import (
    DATA_DEFAULT,
    ApiBaseOption,
    ApiKeyOption,
    DataOption,
    JsonOption,
    connected,
    find_target,
)
from meterbell.cli.output import (
    EXIT_FAILED,
    EXIT_USAGE,
    CommandError,
    examples,
    print_raw_json,
    print_text,
    reported,
)

EXAMPLES = examples(
    "meterbell send --event-name api_requests --customer cus_1 --value 5",
    "meterbell send --event-name tokens --customer cus_1 --value 0.5 --payload model=small",
    "meterbell send usage.csv",
    "meterbell send usage.ndjson --event-name tokens --concurrency 64 --json",
)


FileArgument = Annotated[
    Path | None,
    typer.Argument(
        help="CSV with a header, or NDJSON: event_name, timestamp, identifier, and payload.",
        show_default=False,
    ),
]
PayloadOption = Annotated[
    list[str] | None, typer.Option(metavar="KEY=VALUE", help="More payload; repeatable.")
]
FormatOption = Annotated[
    Literal["csv", "ndjson"] | None,
    typer.Option("--format", help="Default: NDJSON for .ndjson, .jsonl and .json, else CSV."),
]
BatchOption = Annotated[
    str | None,
    typer.Option(
        help="Name for this set of lines: equal lines of another batch count again. Default: the "
        "file's name."
    ),
]


def send(
    file: FileArgument = None,
    *,
    event_name: Annotated[
        str | None, typer.Option(help="Says which meter; with a file: for lines that don't.")
    ] = None,
    customer: Annotated[
        str | None, typer.Option(help="The customer: stripe_customer_id in the payload.")
    ] = None,
    value: Annotated[str | None, typer.Option(help="How much: value in the payload.")] = None,
    identifier: Annotated[
        str | None, typer.Option(help="Counts once. Default: made by the server.")
    ] = None,
    timestamp: Annotated[
        str | None, typer.Option(help="Unix seconds or 2026-01-31T12:00:00Z. Default: now.")
    ] = None,
    payload: PayloadOption = None,
    file_format: FormatOption = None,
    batch: BatchOption = None,
    concurrency: Annotated[
        int, typer.Option(min=1, max=500, help="Requests under way at most.")
    ] = 32,
    api_key: ApiKeyOption = None,
    api_base: ApiBaseOption = None,
    data: DataOption = DATA_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Report usage: one meter event, or a file of them.

    A file can be sent again, also after lines were corrected: nothing is counted twice.

    Lines that fail are named, the others are counted, and the exit status is 1.
    """
    one_only = {
        "--customer": customer,
        "--value": value,
        "--identifier": identifier,
        "--timestamp": timestamp,
        "--payload": payload,
    }
    with reported():
        if file is None:
            params = _params(event_name, one_only)
            _send_one(params, api_key, api_base, data, as_json=as_json)
            return
        given = [name for name, option in one_only.items() if option]
        if given:
            raise CommandError(
                f"{given[0]} is for a single meter event; {file} has its own.", status=EXIT_USAGE
            )
        from meterbell.cli.sending_file import send_file  # noqa: PLC0415 - aiohttp

        target = find_target(api_key=api_key, api_base=api_base, data=data)
        failed = send_file(
            file,
            target,
            file_format=file_format,
            event_name=event_name,
            batch=batch,
            concurrency=concurrency,
            as_json=as_json,
        )
        if failed:
            raise typer.Exit(EXIT_FAILED)


def _send_one(
    params: dict[str, Any], api_key: str | None, api_base: str | None, data: str, *, as_json: bool
) -> None:
    with connected(api_key=api_key, api_base=api_base, data=data) as api:
        reply = api.post("/v1/billing/meter_events", params)
        if as_json:
            print_raw_json(reply.body)
        else:
            print_text(f"Counted, with identifier {reply.data['identifier']}.")


def _params(event_name: str | None, options: dict[str, Any]) -> dict[str, Any]:
    if event_name is None:
        raise CommandError(
            "Nothing to send. Name a file, or give --event-name, --customer and --value.",
            status=EXIT_USAGE,
        )
    from meterbell.cli.usage_file import BadLineError, parse_timestamp  # noqa: PLC0415

    payload: dict[str, str] = {}
    for text in options["--payload"] or ():
        key, sign, item = text.partition("=")
        if not key or not sign:
            raise CommandError(f"--payload {text} is not KEY=VALUE.", status=EXIT_USAGE)
        payload[key] = item
    if options["--customer"] is not None:
        payload["stripe_customer_id"] = options["--customer"]
    if options["--value"] is not None:
        payload["value"] = options["--value"]
    params: dict[str, Any] = {"event_name": event_name, "payload": payload}
    params["identifier"] = options["--identifier"]
    if options["--timestamp"] is not None:
        try:
            params["timestamp"] = parse_timestamp(options["--timestamp"])
        except BadLineError as error:
            raise CommandError(f"--timestamp: {error}.", status=EXIT_USAGE) from error
    return params
