"""`meterbell webhooks`: endpoints, how they are, deliveries, sending again, secrets."""

import re
from typing import Annotated, Any, Literal

import typer

from meterbell.cli.connection import (
    DATA_DEFAULT,
    Api,
    ApiBaseOption,
    ApiKeyOption,
    DataOption,
    JsonOption,
    connected,
)
from meterbell.cli.keys import KEPT, UNITS, parse_seconds
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
    EXIT_USAGE,
    CommandError,
    examples,
    print_json,
    print_raw_json,
    print_table,
    print_text,
    show_time,
)
from meterbell.clock import SystemClock

app = typer.Typer(
    help="Where events are sent: endpoints, deliveries, sending again, secrets.",
    no_args_is_help=True,
)

_PATH = "/v1/webhook_endpoints"
_DESTINATIONS = "/v2/core/event_destinations"
_OURS = "/meterbell/webhook_endpoints"
_COLUMNS = ("id", "status", "events", "url")
_DELIVERY_COLUMNS = ("id", "status", "attempts", "next attempt (UTC)", "event")
_ATTEMPT_COLUMNS = ("delivery", "started (UTC)", "ms", "outcome", "by hand")
_AGO = re.compile(r"([0-9]{1,6})([mhd])", re.ASCII)

EndpointArgument = Annotated[
    str, typer.Argument(metavar="ENDPOINT", help="The endpoint's id: we_… or ed_….")
]
ReceiverArgument = Annotated[
    str, typer.Argument(metavar="ENDPOINT", help="The id: we_…, ed_…, or a channel's nc_….")
]


@app.command("list", epilog=examples("meterbell webhooks list"))
def list_endpoints(
    *,
    limit: LimitOption = 20,
    starting_after: StartingAfterOption = None,
    api_key: ApiKeyOption = None,
    api_base: ApiBaseOption = None,
    data: DataOption = DATA_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """List webhook endpoints, newest first."""
    with connected(api_key=api_key, api_base=api_base, data=data) as api:
        reply = api.get(_PATH, page(limit, starting_after))
        show_list(reply, _COLUMNS, _row, as_json=as_json, empty="No webhook endpoints.")


@app.command(epilog=examples("meterbell webhooks get we_12"))
def get(
    endpoint: EndpointArgument,
    *,
    api_key: ApiKeyOption = None,
    api_base: ApiBaseOption = None,
    data: DataOption = DATA_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Show how an endpoint or a destination is: circuit, deliveries, last attempts."""
    with connected(api_key=api_key, api_base=api_base, data=data) as api:
        reply = api.get(object_path(_OURS, endpoint, "health"))
        if as_json:
            print_raw_json(reply.body)
        else:
            _show_health(reply.data)


@app.command(
    epilog=examples(
        "meterbell webhooks create https://example.com/hook",
        "meterbell webhooks create https://example.com/hook --events billing.alert.triggered",
    )
)
def create(
    url: Annotated[str, typer.Argument(metavar="URL", help="Where events are posted.")],
    *,
    events: Annotated[
        list[str] | None, typer.Option(help="Type of event; again for more. Default: all.")
    ] = None,
    description: Annotated[str | None, typer.Option(help="For people.")] = None,
    api_key: ApiKeyOption = None,
    api_base: ApiBaseOption = None,
    data: DataOption = DATA_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Create a webhook endpoint; its secret is shown this once."""
    params = {"url": url, "enabled_events": events or ["*"], "description": description}
    with connected(api_key=api_key, api_base=api_base, data=data) as api:
        reply = api.post(_PATH, params)
        show_object(reply, _COLUMNS, _row, as_json=as_json)
        if not as_json:
            print_text(f"Secret, shown this once: {reply.data['secret']}")


@app.command(epilog=examples("meterbell webhooks enable we_12"))
def enable(
    endpoint: EndpointArgument,
    *,
    api_key: ApiKeyOption = None,
    api_base: ApiBaseOption = None,
    data: DataOption = DATA_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Enable an endpoint again: its failures are forgotten, what waits is sent."""
    with connected(api_key=api_key, api_base=api_base, data=data) as api:
        _switch(api, endpoint, is_on=True, as_json=as_json)


@app.command(epilog=examples("meterbell webhooks disable we_12"))
def disable(
    endpoint: EndpointArgument,
    *,
    api_key: ApiKeyOption = None,
    api_base: ApiBaseOption = None,
    data: DataOption = DATA_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Disable an endpoint: nothing new is meant for it, what it would receive waits for a while."""
    with connected(api_key=api_key, api_base=api_base, data=data) as api:
        _switch(api, endpoint, is_on=False, as_json=as_json)


@app.command(
    epilog=examples(
        "meterbell webhooks deliveries we_12",
        "meterbell webhooks deliveries we_12 --status failed",
        "meterbell webhooks deliveries we_12 --delivery dlv_7 --json",
    )
)
def deliveries(
    endpoint: ReceiverArgument,
    *,
    status: Annotated[
        Literal["pending", "succeeded", "failed", "canceled"] | None,
        typer.Option(help="Only those with this status."),
    ] = None,
    delivery: Annotated[
        str | None, typer.Option(metavar="ID", help="Show this one with its attempts.")
    ] = None,
    limit: LimitOption = 20,
    starting_after: StartingAfterOption = None,
    api_key: ApiKeyOption = None,
    api_base: ApiBaseOption = None,
    data: DataOption = DATA_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """List what was sent to an endpoint or a destination, newest first, or show one delivery."""
    path = object_path(_OURS, endpoint, "deliveries")
    with connected(api_key=api_key, api_base=api_base, data=data) as api:
        if delivery is None:
            reply = api.get(path, page(limit, starting_after, status=status))
            empty = "No deliveries."
            show_list(reply, _DELIVERY_COLUMNS, _delivery_row, as_json=as_json, empty=empty)
            return
        reply = api.get(object_path(path, delivery))
        if as_json:
            print_raw_json(reply.body)
        else:
            rows = map(_attempt_row, reply.data["attempts"])
            print_table(_ATTEMPT_COLUMNS, rows, empty="No attempts yet.")


@app.command(epilog=examples("meterbell webhooks resend we_12 evt_34"))
def resend(
    endpoint: ReceiverArgument,
    event: Annotated[str, typer.Argument(metavar="EVENT", help="The event's id: evt_….")],
    *,
    api_key: ApiKeyOption = None,
    api_base: ApiBaseOption = None,
    data: DataOption = DATA_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Send an event to an endpoint or a destination again, or for the first time."""
    with connected(api_key=api_key, api_base=api_base, data=data) as api:
        reply = api.post(object_path(_OURS, endpoint, "resend"), {"event": event})
        show_object(reply, _DELIVERY_COLUMNS, _delivery_row, as_json=as_json)


@app.command(epilog=examples("meterbell webhooks ping we_12"))
def ping(
    endpoint: EndpointArgument,
    *,
    api_key: ApiKeyOption = None,
    api_base: ApiBaseOption = None,
    data: DataOption = DATA_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Send an endpoint or a destination an event that says nothing, to see whether it arrives."""
    with connected(api_key=api_key, api_base=api_base, data=data) as api:
        reply = api.post(object_path(_OURS, endpoint, "ping"))
        show_object(reply, _DELIVERY_COLUMNS, _delivery_row, as_json=as_json)


@app.command(
    "resend-failed",
    epilog=examples(
        "meterbell webhooks resend-failed we_12 --since 2h",
        "meterbell webhooks resend-failed we_12 --since 3d",
    ),
)
def resend_failed(
    endpoint: ReceiverArgument,
    *,
    since: Annotated[str, typer.Option(help="How long ago it was made at most: 30m, 2h, 3d.")],
    api_key: ApiKeyOption = None,
    api_base: ApiBaseOption = None,
    data: DataOption = DATA_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Send an endpoint or a destination again all that failed since a time."""
    with connected(api_key=api_key, api_base=api_base, data=data) as api:
        begin = max(SystemClock().now_ms() // 1000 - _parse_ago(since), 0)
        count = _resend_all(api, endpoint, since=begin)
        if as_json:
            print_json({"resent": count})
        else:
            print_text(
                f"{count} sent again. `meterbell webhooks get {endpoint}` shows the outcome."
            )


@app.command(
    "roll-secret",
    epilog=examples(
        "meterbell webhooks roll-secret we_1Pq",
        "meterbell webhooks roll-secret we_1Pq --expire-in 0   # at once",
    ),
)
def roll_secret(
    endpoint: EndpointArgument,
    *,
    expire_in: Annotated[
        str, typer.Option(help="How long the old secret signs as well: 0, 30m, 24h.")
    ] = "24h",
    api_key: ApiKeyOption = None,
    api_base: ApiBaseOption = None,
    data: DataOption = DATA_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Replace the signing secret: make a new one, show it, and give the old one an end."""
    with connected(api_key=api_key, api_base=api_base, data=data) as api:
        seconds = parse_seconds(expire_in, hours_max=24)
        is_destination = endpoint.startswith("ed_")
        path = object_path(_DESTINATIONS if is_destination else _PATH, endpoint, "roll_secret")
        reply = api.post(path, {"expire_in": seconds})
        if as_json:
            print_raw_json(reply.body)
            return
        target = reply.data["webhook_endpoint"] if is_destination else reply.data
        secret = target["signing_secret" if is_destination else "secret"]
        ends_at = SystemClock().now_ms() // 1000 + seconds
        end = f"signs as well until {show_time(ends_at)} UTC" if seconds else "signs no more"
        print_text(f"{secret}\n{KEPT}\nThe old one {end}.")


def _switch(api: Api, endpoint: str, *, is_on: bool, as_json: bool) -> None:
    """Enable or disable an endpoint or a destination, and show it."""
    if endpoint.startswith("ed_"):
        reply = api.post(object_path(_DESTINATIONS, endpoint, "enable" if is_on else "disable"))
    else:
        reply = api.post(object_path(_PATH, endpoint), {"disabled": not is_on})
    show_object(reply, _COLUMNS, _row, as_json=as_json)


def _resend_all(api: Api, endpoint: str, *, since: int) -> int:
    """Ask for one piece after the other; what fails again meanwhile is in none of them."""
    path, count, last = object_path(_OURS, endpoint, "resend_failed"), 0, None
    while True:
        reply = api.post(path, {"since": since, "starting_after": last})
        count += int(reply.data["resent"])
        last = reply.data["last"]
        if last is None:
            return count


def _parse_ago(text: str) -> int:
    match = _AGO.fullmatch(text)
    if match is None:
        raise CommandError(
            f"--since {text} is no duration. Give a number with m, h or d: 30m, 2h, 3d.",
            status=EXIT_USAGE,
        )
    return int(match[1]) * UNITS[match[2]]


def _row(endpoint: dict[str, Any]) -> tuple[str, ...]:
    return (
        endpoint["id"],
        endpoint["status"],
        ", ".join(endpoint["enabled_events"]),
        text_or_dash(endpoint.get("url")),
    )


def _delivery_row(delivery: dict[str, Any]) -> tuple[str, ...]:
    return (
        delivery["id"],
        delivery["status"],
        str(delivery["attempt_count"]),
        text_or_dash(delivery["next_attempt"]),
        delivery["event"],
    )


def _attempt_row(attempt: dict[str, Any]) -> tuple[str, ...]:
    return (
        attempt["delivery"],
        attempt["started"],
        str(attempt["duration_ms"]),
        attempt["outcome"],
        "yes" if attempt["manual"] else "-",
    )


def _show_health(health: dict[str, Any]) -> None:
    circuit, disabled = health["circuit"], health["disabled"]
    status = health["status"]
    if disabled is not None:
        status = f"{status} ({disabled['reason']}, {text_or_dash(disabled['at'])})"
    facts = [
        ("status", status),
        ("circuit", circuit["state"]),
        ("failures in a row", str(circuit["failures"])),
        ("failing since", text_or_dash(circuit["failing_since"])),
        ("next probe", text_or_dash(circuit["next_probe"])),
        *((f"deliveries {name}", str(count)) for name, count in health["deliveries"].items()),
    ]
    print_table(("fact", "value"), facts, empty="")
    print_table(_ATTEMPT_COLUMNS, map(_attempt_row, health["attempts"]), empty="No attempts yet.")
