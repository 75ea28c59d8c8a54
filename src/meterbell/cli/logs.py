"""`meterbell logs`: what was asked of the API. `tail` shows requests as they come."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import typer
from rich.markup import escape

from meterbell.cli.connection import (
    DATA_DEFAULT,
    Api,
    ApiBaseOption,
    ApiKeyOption,
    DataOption,
    JsonOption,
    UnreachableError,
    connected,
    find_target,
)
from meterbell.cli.listing import (
    LimitOption,
    StartingAfterOption,
    object_path,
    page,
    show_list,
    show_object,
    text_or_dash,
)
from meterbell.cli.output import (
    errors,
    examples,
    print_text,
    reported,
    show_time,
)

app = typer.Typer(help="Requests to the API: tail, list, get.", no_args_is_help=True)

_PATH = "/meterbell/requests"
_COLUMNS = ("answered (UTC)", "status", "method", "path", "ms", "key", "id", "error")
_WAIT_SECONDS = 25
_PAUSE_SECONDS = 1.0
_CLIENT_ERROR, _SERVER_ERROR = 400, 500

MethodOption = Annotated[
    str | None, typer.Option("--method", help="Only this method: GET, POST, DELETE.")
]
StatusOption = Annotated[
    str | None, typer.Option("--status", help="Only this status, or class: 404, 4xx.")
]
PathOption = Annotated[
    str | None, typer.Option("--path", help="Only this path, or the beginning of some and *.")
]
KeyOption = Annotated[
    str | None,
    typer.Option("--key", metavar="LAST4", help="Only the API key with these last characters."),
]


@app.command(
    "list",
    epilog=examples(
        "meterbell logs list",
        "meterbell logs list --status 4xx --path '/v1/billing/*'",
        "meterbell logs list --key Xy9z --json",
    ),
)
def list_requests(
    *,
    method: MethodOption = None,
    status: StatusOption = None,
    path: PathOption = None,
    key: KeyOption = None,
    limit: LimitOption = 20,
    starting_after: StartingAfterOption = None,
    api_key: ApiKeyOption = None,
    api_base: ApiBaseOption = None,
    data: DataOption = DATA_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """List requests that the log keeps, newest first. Usage that was accepted is not in it."""
    filters = {"method": method, "status": status, "path": path, "key_last4": key}
    with connected(api_key=api_key, api_base=api_base, data=data) as api:
        reply = api.get(_PATH, page(limit, starting_after, **filters))
        show_list(reply, _COLUMNS, _row, as_json=as_json, empty="No requests.")


@app.command(epilog=examples("meterbell logs get req_a8tgnNUtb2p3FM"))
def get(
    request: Annotated[
        str, typer.Argument(metavar="REQUEST", help="What `Request-Id` says: req_….")
    ],
    *,
    api_key: ApiKeyOption = None,
    api_base: ApiBaseOption = None,
    data: DataOption = DATA_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Show one request by its id."""
    with connected(api_key=api_key, api_base=api_base, data=data) as api:
        reply = api.get(object_path(_PATH, request))
        show_object(reply, _COLUMNS, _row, as_json=as_json)


@app.command(
    epilog=examples(
        "meterbell logs tail",
        "meterbell logs tail --status 4xx",
        "meterbell logs tail --method POST --path /v1/billing/meter_events --json",
    )
)
def tail(
    *,
    method: MethodOption = None,
    status: StatusOption = None,
    path: PathOption = None,
    key: KeyOption = None,
    api_key: ApiKeyOption = None,
    api_base: ApiBaseOption = None,
    data: DataOption = DATA_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Show requests as they are answered, reported usage included, until Ctrl-C."""
    asked = {"method": method, "status": status, "path": path, "key_last4": key}
    filters = {name: text for name, text in asked.items() if text is not None}
    with reported():
        target = find_target(api_key=api_key, api_base=api_base, data=data)
        answer = Api(target).get(f"{_PATH}/live", filters).data
        _say(f"Watching {target.mode} requests to {target.url}. Ctrl-C ends it.")
        for found in _answers(answer["cursor"], filters, api_key, api_base, data):
            for entry in found["data"]:
                if as_json:
                    typer.echo(msgspec.json.encode(entry).decode())
                else:
                    print_text(_line(entry))
            if found["has_gap"]:
                _say("There were more requests than could be shown.")


def _answers(
    cursor: int, filters: dict[str, str], api_key: str | None, api_base: str | None, data: str
) -> Iterator[dict[str, Any]]:
    """Yield what was asked since the cursor, again and again; a server that is away is waited for.

    A local one may come back at another port.
    """
    is_away = False
    while True:
        try:
            target = find_target(api_key=api_key, api_base=api_base, data=data)
            params = {**filters, "after": cursor, "wait": _WAIT_SECONDS}
            answer = Api(target).get(f"{_PATH}/live", params).data
        except UnreachableError as error:
            if not is_away:
                _say(f"{error} Trying again …")
            is_away = True
            time.sleep(_PAUSE_SECONDS)
        else:
            is_away = False
            cursor = answer["cursor"]
            yield answer


def _say(text: str) -> None:
    errors.print(escape(text), style="dim", soft_wrap=True)


def _row(entry: dict[str, Any]) -> tuple[str, ...]:
    error = entry["error"]
    return (
        show_time(entry["created"]),
        str(entry["status"]),
        entry["method"],
        entry["path"],
        _milliseconds(entry),
        text_or_dash(entry["key_last4"]),
        entry["id"],
        text_or_dash(error and (error["code"] or error["type"])),
    )


def _line(entry: dict[str, Any]) -> str:
    """Return a request as one line, with what was wrong on another one."""
    moment = datetime.fromtimestamp(entry["created"], UTC).astimezone().strftime("%H:%M:%S")
    status = entry["status"]
    color = "green"
    if status >= _CLIENT_ERROR:
        color = "red" if status >= _SERVER_ERROR else "yellow"
    text = (
        f"[dim]{moment}[/]  [{color}]{status}[/]  {escape(entry['method'])} "
        f"{escape(entry['path'])}  [dim]{_milliseconds(entry)} ms  {escape(entry['id'])}[/]"
    )
    if entry["error"] is not None:
        text += f"\n          {escape(entry['error']['message'])}"
    if entry["skipped"]:
        text += f"\n          [dim]{entry['skipped']} more before it are not in the log.[/]"
    return text


def _milliseconds(entry: dict[str, Any]) -> str:
    return f"{entry['duration_us'] / 1000:.1f}"
