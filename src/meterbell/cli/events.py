"""`meterbell events`: what the outside world was told."""

from typing import Annotated, Any

import typer

from meterbell.cli.connection import (
    DATA_DEFAULT,
    ApiBaseOption,
    ApiKeyOption,
    DataOption,
    JsonOption,
    connected,
)
from meterbell.cli.listing import (
    LimitOption,
    StartingAfterOption,
    object_path,
    page,
    show_list,
    show_object,
)
from meterbell.cli.output import examples, show_time

app = typer.Typer(help="What webhooks were told: list, get.", no_args_is_help=True)

_PATH = "/v1/events"
_COLUMNS = ("created (UTC)", "type", "id", "about", "pending webhooks")


@app.command(
    "list",
    epilog=examples(
        "meterbell events list",
        "meterbell events list --type billing.alert.triggered",
        "meterbell events list --type 'billing.*' --json",
    ),
)
def list_events(
    *,
    event_type: Annotated[
        str | None, typer.Option("--type", help="One type, or the beginning of some and *.")
    ] = None,
    limit: LimitOption = 20,
    starting_after: StartingAfterOption = None,
    api_key: ApiKeyOption = None,
    api_base: ApiBaseOption = None,
    data: DataOption = DATA_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """List events, newest first."""
    with connected(api_key=api_key, api_base=api_base, data=data) as api:
        reply = api.get(_PATH, page(limit, starting_after, type=event_type))
        show_list(reply, _COLUMNS, _row, as_json=as_json, empty="No events.")


@app.command(epilog=examples("meterbell events get evt_12", "meterbell events get evt_12 --json"))
def get(
    event: Annotated[str, typer.Argument(metavar="EVENT", help="The event's id: evt_….")],
    *,
    api_key: ApiKeyOption = None,
    api_base: ApiBaseOption = None,
    data: DataOption = DATA_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Show one event; --json has its data."""
    with connected(api_key=api_key, api_base=api_base, data=data) as api:
        reply = api.get(object_path(_PATH, event))
        show_object(reply, _COLUMNS, _row, as_json=as_json)


def about(event: dict[str, Any]) -> str:
    """Return in a few words what an event is about."""
    thing = event["data"]["object"]
    if event["type"] == "billing.alert.triggered":
        return f"{thing['customer']} reached {thing['value']}: {thing['alert']['title']}"
    return str(thing.get("id") or "-")


def _row(event: dict[str, Any]) -> tuple[str, ...]:
    return (
        show_time(event["created"]),
        event["type"],
        event["id"],
        about(event),
        str(event["pending_webhooks"]),
    )
