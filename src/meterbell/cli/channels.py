"""`meterbell channels`: where people are told of alerts."""

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
    show_deleted,
    show_list,
    show_object,
)
from meterbell.cli.output import CommandError, examples, print_raw_json, print_text

app = typer.Typer(
    help="Who is told by e-mail or chat: list, get, create, update, delete, test.",
    no_args_is_help=True,
)

_PATH = "/v1/notification_channels"
_COLUMNS = ("id", "status", "service", "alerts", "name", "url")

ChannelArgument = Annotated[str, typer.Argument(metavar="CHANNEL", help="The channel's id: nc_….")]
AlertOption = Annotated[
    list[str] | None,
    typer.Option("--alert", metavar="ALERT", help="Tell of this alert; may be given again."),
]
TitleOption = Annotated[
    str | None, typer.Option(help="Template of the title, such as '{alert.title}'.")
]
BodyOption = Annotated[
    str | None, typer.Option(help="Template of the text, such as '{customer.name}: {value}'.")
]


@app.command("list", epilog=examples("meterbell channels list"))
def list_channels(
    *,
    limit: LimitOption = 20,
    starting_after: StartingAfterOption = None,
    api_key: ApiKeyOption = None,
    api_base: ApiBaseOption = None,
    data: DataOption = DATA_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """List notification channels, newest first."""
    with connected(api_key=api_key, api_base=api_base, data=data) as api:
        reply = api.get(_PATH, page(limit, starting_after))
        empty = "No channels. `meterbell channels create`."
        show_list(reply, _COLUMNS, _row, as_json=as_json, empty=empty)


@app.command(epilog=examples("meterbell channels get nc_12"))
def get(
    channel: ChannelArgument,
    *,
    api_key: ApiKeyOption = None,
    api_base: ApiBaseOption = None,
    data: DataOption = DATA_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Show one channel; --json has its templates."""
    with connected(api_key=api_key, api_base=api_base, data=data) as api:
        show_object(api.get(object_path(_PATH, channel)), _COLUMNS, _row, as_json=as_json)


@app.command(
    epilog=examples(
        "meterbell channels create --name Sales --url 'mailtos://user:secret@example.com'",
        "meterbell channels create --name On-call --url pagerduty://KEY@API --alert alrt_12",
        "meterbell channels create --name Chat --url https://discord.com/api/webhooks/1/TOKEN"
        " --body '{customer.name} is at {value}'",
    )
)
def create(
    *,
    name: Annotated[str, typer.Option(help="Name for people.")],
    url: Annotated[str, typer.Option(help="Where notices go, as Apprise writes it.")],
    alert: AlertOption = None,
    title: TitleOption = None,
    body: BodyOption = None,
    api_key: ApiKeyOption = None,
    api_base: ApiBaseOption = None,
    data: DataOption = DATA_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Create a channel. It tells of all alerts, or of those that --alert names."""
    params = {"name": name, "url": url, "alerts": alert or None, "title": title, "body": body}
    with connected(api_key=api_key, api_base=api_base, data=data) as api:
        show_object(api.post(_PATH, params), _COLUMNS, _row, as_json=as_json)


@app.command(
    epilog=examples(
        "meterbell channels update nc_12 --disable",
        "meterbell channels update nc_12 --all-alerts --title '{alert.title}: {customer.name}'",
    )
)
def update(
    channel: ChannelArgument,
    *,
    name: Annotated[str | None, typer.Option(help="Name for people.")] = None,
    url: Annotated[str | None, typer.Option(help="Where notices go from now on.")] = None,
    alert: AlertOption = None,
    all_alerts: Annotated[bool, typer.Option("--all-alerts", help="Tell of all alerts.")] = False,
    title: Annotated[str | None, typer.Option(help="Template; empty for the default.")] = None,
    body: Annotated[str | None, typer.Option(help="Template; empty for the default.")] = None,
    disabled: Annotated[
        bool | None, typer.Option("--disable/--enable", help="Whether it rests.")
    ] = None,
    api_key: ApiKeyOption = None,
    api_base: ApiBaseOption = None,
    data: DataOption = DATA_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Change a channel, or let it rest for a while."""
    params: dict[str, Any] = {"name": name, "url": url, "title": title, "body": body}
    params["alerts"] = "" if all_alerts else alert or None
    params["disabled"] = disabled
    with connected(api_key=api_key, api_base=api_base, data=data) as api:
        reply = api.post(object_path(_PATH, channel), params)
        show_object(reply, _COLUMNS, _row, as_json=as_json)


@app.command(epilog=examples("meterbell channels delete nc_12"))
def delete(
    channel: ChannelArgument,
    *,
    api_key: ApiKeyOption = None,
    api_base: ApiBaseOption = None,
    data: DataOption = DATA_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Delete a channel; what was not sent to it is given up."""
    with connected(api_key=api_key, api_base=api_base, data=data) as api:
        show_deleted(api.delete(object_path(_PATH, channel)), as_json=as_json)


@app.command("test", epilog=examples("meterbell channels test nc_12"))
def try_out(
    channel: ChannelArgument,
    *,
    api_key: ApiKeyOption = None,
    api_base: ApiBaseOption = None,
    data: DataOption = DATA_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Send a notice with made-up values now. Fails if it was not accepted."""
    with connected(api_key=api_key, api_base=api_base, data=data) as api:
        reply = api.post(object_path(_PATH, channel, "test"))
        if as_json:
            print_raw_json(reply.body)
        if not reply.data["succeeded"]:
            said = f": {reply.data['response'][:200]}" if reply.data["response"] else ""
            raise CommandError(f"The notice was not sent ({reply.data['outcome']}){said}")
        if not as_json:
            print_text(f"Sent, in {reply.data['duration_ms']} ms.")


def _row(channel: dict[str, Any]) -> tuple[str, ...]:
    alerts = channel["alerts"]
    return (
        channel["id"],
        channel["status"],
        channel["service"],
        "all" if alerts is None else ", ".join(alerts),
        channel["name"],
        channel["url"],
    )
