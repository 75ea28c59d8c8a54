"""`meterbell alerts`: list, get, create, activate, deactivate, archive, explain."""

from typing import Annotated, Any, Literal

import typer
from rich.markup import escape

from meterbell.cli.connection import (
    DATA_DEFAULT,
    ApiBaseOption,
    ApiKeyOption,
    DataOption,
    JsonOption,
    Reply,
    connected,
)
from meterbell.cli.listing import LimitOption, StartingAfterOption, object_path, page, show_list
from meterbell.cli.output import examples, print_raw_json, print_table, print_text

app = typer.Typer(
    help="Who is told when: list, get, create, switch off and on, archive, explain.",
    no_args_is_help=True,
)

_PATH = "/v1/billing/alerts"
_COLUMNS = ("id", "status", "at", "customer", "meter", "title")

AlertArgument = Annotated[str, typer.Argument(metavar="ALERT", help="The alert's id: alrt_….")]


@app.command(
    "list", epilog=examples("meterbell alerts list", "meterbell alerts list --meter mtr_test_61R")
)
def list_alerts(
    *,
    meter: Annotated[str | None, typer.Option(help="Only alerts on this meter.")] = None,
    limit: LimitOption = 20,
    starting_after: StartingAfterOption = None,
    api_key: ApiKeyOption = None,
    api_base: ApiBaseOption = None,
    data: DataOption = DATA_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """List active and inactive alerts, newest first."""
    with connected(api_key=api_key, api_base=api_base, data=data) as api:
        reply = api.get(_PATH, page(limit, starting_after, meter=meter))
        show_list(
            reply, _COLUMNS, _row, as_json=as_json, empty="No alerts. `meterbell alerts create`."
        )


@app.command(epilog=examples("meterbell alerts get alrt_12"))
def get(
    alert: AlertArgument,
    *,
    api_key: ApiKeyOption = None,
    api_base: ApiBaseOption = None,
    data: DataOption = DATA_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Show one alert, archived or not."""
    with connected(api_key=api_key, api_base=api_base, data=data) as api:
        _show(api.get(object_path(_PATH, alert)), as_json=as_json)


@app.command(
    epilog=examples(
        "meterbell alerts create --meter mtr_test_61R --gte 1000",
        'meterbell alerts create --meter mtr_test_61R --gte 500 --customer cus_1 --title "Half"',
        "meterbell alerts create --meter mtr_test_61R --gte 500 --baseline lifetime",
    )
)
def create(
    *,
    meter: Annotated[str, typer.Option(help="Meter to watch.")],
    gte: Annotated[int, typer.Option(min=1, help="Usage at which the alert triggers.")],
    title: Annotated[str | None, typer.Option(help="Name for people.")] = None,
    customer: Annotated[
        str | None, typer.Option(help="Watch this customer only. Default: every one separately.")
    ] = None,
    baseline: Annotated[
        Literal["creation", "lifetime"] | None,
        typer.Option(help="Whether earlier usage counts: no (creation, the default) or yes."),
    ] = None,
    evaluate_on_create: Annotated[
        bool, typer.Option("--evaluate-on-create", help="With lifetime: trigger at once if due.")
    ] = False,
    api_key: ApiKeyOption = None,
    api_base: ApiBaseOption = None,
    data: DataOption = DATA_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Create an alert."""
    threshold: dict[str, Any] = {"meter": meter, "gte": gte, "recurrence": "one_time"}
    if customer is not None:
        threshold["filters"] = [{"type": "customer", "customer": customer}]
    if baseline is not None:
        threshold["baseline"] = baseline
    if evaluate_on_create:
        threshold["evaluate_on_create"] = True
    params = {
        "alert_type": "usage_threshold",
        "title": title or f"Usage reached {gte}",
        "usage_threshold": threshold,
    }
    with connected(api_key=api_key, api_base=api_base, data=data) as api:
        _show(api.post(_PATH, params), as_json=as_json)


@app.command(epilog=examples("meterbell alerts activate alrt_12"))
def activate(
    alert: AlertArgument,
    *,
    api_key: ApiKeyOption = None,
    api_base: ApiBaseOption = None,
    data: DataOption = DATA_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Switch an alert on again: it is evaluated at the next usage."""
    with connected(api_key=api_key, api_base=api_base, data=data) as api:
        _show(api.post(object_path(_PATH, alert, "activate")), as_json=as_json)


@app.command(epilog=examples("meterbell alerts deactivate alrt_12"))
def deactivate(
    alert: AlertArgument,
    *,
    api_key: ApiKeyOption = None,
    api_base: ApiBaseOption = None,
    data: DataOption = DATA_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Switch an alert off: usage goes on counting, nothing triggers."""
    with connected(api_key=api_key, api_base=api_base, data=data) as api:
        _show(api.post(object_path(_PATH, alert, "deactivate")), as_json=as_json)


@app.command(epilog=examples("meterbell alerts archive alrt_12"))
def archive(
    alert: AlertArgument,
    *,
    api_key: ApiKeyOption = None,
    api_base: ApiBaseOption = None,
    data: DataOption = DATA_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Archive an alert, for good."""
    with connected(api_key=api_key, api_base=api_base, data=data) as api:
        _show(api.post(object_path(_PATH, alert, "archive")), as_json=as_json)


@app.command(epilog=examples("meterbell alerts explain alrt_12 --customer cus_1"))
def explain(
    alert: AlertArgument,
    *,
    customer: Annotated[str, typer.Option(help="For which customer.")],
    api_key: ApiKeyOption = None,
    api_base: ApiBaseOption = None,
    data: DataOption = DATA_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Say why an alert triggered for a customer, or why not."""
    with connected(api_key=api_key, api_base=api_base, data=data) as api:
        reply = api.get(object_path(_PATH, alert, "explain"), {"customer": customer})
        if as_json:
            print_raw_json(reply.body)
            return
        print_text(escape(reply.data["explanation"]))
        trigger = reply.data["trigger"]
        if trigger is not None:
            rows = [
                (delivery["endpoint"], delivery["status"], str(delivery["attempts"]))
                for delivery in trigger["deliveries"]
            ]
            empty = f"{trigger['event']} was for no webhook endpoint."
            print_table(("endpoint", trigger["event"], "attempts"), rows, empty=empty)


def _row(alert: dict[str, Any]) -> tuple[str, ...]:
    threshold = alert["usage_threshold"]
    filters = threshold["filters"]
    return (
        alert["id"],
        alert["status"],
        str(threshold["gte"]),
        filters[0]["customer"] if filters else "any",
        threshold["meter"],
        alert["title"],
    )


def _show(reply: Reply, *, as_json: bool) -> None:
    if as_json:
        print_raw_json(reply.body)
    else:
        print_table(_COLUMNS, [_row(reply.data)], empty="")
