"""`meterbell meters`: list, get, create, deactivate, reactivate."""

from typing import Annotated, Any, Literal

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
from meterbell.engine.model import EventTimeWindow, Formula

app = typer.Typer(
    help="What is counted: list, get, create, switch off and on.", no_args_is_help=True
)

_PATH = "/v1/billing/meters"
_COLUMNS = ("id", "event name", "formula", "status", "created (UTC)", "name")

MeterArgument = Annotated[str, typer.Argument(metavar="METER", help="The meter's id: mtr_….")]


@app.command("list", epilog=examples("meterbell meters list", "meterbell meters list --json"))
def list_meters(
    *,
    status: Annotated[
        Literal["active", "inactive"] | None, typer.Option(help="Only meters that are so.")
    ] = None,
    limit: LimitOption = 20,
    starting_after: StartingAfterOption = None,
    api_key: ApiKeyOption = None,
    api_base: ApiBaseOption = None,
    data: DataOption = DATA_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """List meters, newest first."""
    with connected(api_key=api_key, api_base=api_base, data=data) as api:
        reply = api.get(_PATH, page(limit, starting_after, status=status))
        show_list(
            reply, _COLUMNS, _row, as_json=as_json, empty="No meters. `meterbell meters create`."
        )


@app.command(epilog=examples("meterbell meters get mtr_test_61R"))
def get(
    meter: MeterArgument,
    *,
    api_key: ApiKeyOption = None,
    api_base: ApiBaseOption = None,
    data: DataOption = DATA_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Show one meter."""
    with connected(api_key=api_key, api_base=api_base, data=data) as api:
        show_object(api.get(object_path(_PATH, meter)), _COLUMNS, _row, as_json=as_json)


@app.command(
    epilog=examples(
        "meterbell meters create --event-name api_requests",
        'meterbell meters create --event-name seats --formula last --display-name "Seats"',
    )
)
def create(
    *,
    event_name: Annotated[str, typer.Option(help="Name of the meter events that it counts.")],
    display_name: Annotated[
        str | None, typer.Option(help="Name for people. Default: the event name.")
    ] = None,
    formula: Annotated[Formula, typer.Option(help="How usage adds up.")] = "sum",
    customer_key: Annotated[
        str, typer.Option(help="Payload key that holds the customer.")
    ] = "stripe_customer_id",
    value_key: Annotated[str, typer.Option(help="Payload key that holds the value.")] = "value",
    event_time_window: Annotated[
        EventTimeWindow | None,
        typer.Option(help="Count only the last event received in each UTC day or hour."),
    ] = None,
    api_key: ApiKeyOption = None,
    api_base: ApiBaseOption = None,
    data: DataOption = DATA_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Create a meter."""
    params = {
        "display_name": display_name or event_name,
        "event_name": event_name,
        "default_aggregation": {"formula": formula},
        "customer_mapping": {"type": "by_id", "event_payload_key": customer_key},
        "value_settings": {"event_payload_key": value_key},
        "event_time_window": event_time_window,
    }
    with connected(api_key=api_key, api_base=api_base, data=data) as api:
        show_object(api.post(_PATH, params), _COLUMNS, _row, as_json=as_json)


@app.command(epilog=examples("meterbell meters deactivate mtr_test_61R"))
def deactivate(
    meter: MeterArgument,
    *,
    api_key: ApiKeyOption = None,
    api_base: ApiBaseOption = None,
    data: DataOption = DATA_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Switch a meter off: its usage is refused until it is reactivated."""
    with connected(api_key=api_key, api_base=api_base, data=data) as api:
        show_object(
            api.post(object_path(_PATH, meter, "deactivate")), _COLUMNS, _row, as_json=as_json
        )


@app.command(epilog=examples("meterbell meters reactivate mtr_test_61R"))
def reactivate(
    meter: MeterArgument,
    *,
    api_key: ApiKeyOption = None,
    api_base: ApiBaseOption = None,
    data: DataOption = DATA_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Switch a meter on again."""
    with connected(api_key=api_key, api_base=api_base, data=data) as api:
        show_object(
            api.post(object_path(_PATH, meter, "reactivate")), _COLUMNS, _row, as_json=as_json
        )


def _row(meter: dict[str, Any]) -> tuple[str, ...]:
    formula = str(meter["default_aggregation"]["formula"])
    if meter["event_time_window"]:
        formula = f"{formula}, last of each {meter['event_time_window']}"
    return (
        meter["id"],
        meter["event_name"],
        formula,
        meter["status"],
        show_time(meter["created"]),
        meter["display_name"],
    )
