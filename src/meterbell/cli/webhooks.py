"""`meterbell webhooks`: roll the secrets of webhook endpoints and event destinations."""

from typing import Annotated

import typer

from meterbell.cli.connection import (
    DATA_DEFAULT,
    ApiBaseOption,
    ApiKeyOption,
    DataOption,
    JsonOption,
    connected,
)
from meterbell.cli.keys import KEPT, parse_seconds
from meterbell.cli.listing import object_path
from meterbell.cli.output import examples, print_raw_json, print_text, show_time
from meterbell.clock import SystemClock

app = typer.Typer(help="Where events are sent: roll the secrets.", no_args_is_help=True)

_PATH = "/v1/webhook_endpoints"
_DESTINATIONS = "/v2/core/event_destinations"

EndpointArgument = Annotated[
    str, typer.Argument(metavar="ENDPOINT", help="The endpoint's id: we_… or ed_….")
]


@app.callback()
def _group() -> None:
    """Where events are sent."""


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
