"""`meterbell alerts`: list, get, create, activate, deactivate, archive, explain, dry-run."""

from typing import Annotated, Any, Literal

import typer
from rich.markup import escape

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
from meterbell.cli.output import examples, print_raw_json, print_table, print_text, show_time
from meterbell.clock import SystemClock

app = typer.Typer(
    help="Who is told when: list, get, create, switch off and on, archive, explain, try out.",
    no_args_is_help=True,
)

_PATH = "/v1/billing/alerts"
_DAY = 86_400
# Ten seconds each.
_DRY_RUNS_MAX = 60
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
        show_object(api.get(object_path(_PATH, alert)), _COLUMNS, _row, as_json=as_json)


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
        show_object(api.post(_PATH, params), _COLUMNS, _row, as_json=as_json)


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
        show_object(
            api.post(object_path(_PATH, alert, "activate")), _COLUMNS, _row, as_json=as_json
        )


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
        show_object(
            api.post(object_path(_PATH, alert, "deactivate")), _COLUMNS, _row, as_json=as_json
        )


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
        reply = api.post(object_path(_PATH, alert, "archive"))
        show_object(reply, _COLUMNS, _row, as_json=as_json)


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


@app.command(
    "dry-run",
    epilog=examples(
        "meterbell alerts dry-run --meter mtr_test_61R --gte 1000",
        "meterbell alerts dry-run --meter mtr_test_61R --gte 500 --customer cus_1 --days 7",
    ),
)
def dry_run(
    *,
    meter: Annotated[str, typer.Option(help="Meter to watch.")],
    gte: Annotated[int, typer.Option(help="Usage at which it would trigger.")],
    customer: Annotated[
        str | None, typer.Option(help="Watch this customer only. Default: every one separately.")
    ] = None,
    days: Annotated[
        int | None, typer.Option(min=1, max=366, help="Begin so many UTC days ago. Default: 30.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=20, help="Customers to show at most.")] = 10,
    api_key: ApiKeyOption = None,
    api_base: ApiBaseOption = None,
    data: DataOption = DATA_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Say for whom an alert would have triggered had it been made earlier; change nothing."""
    threshold: dict[str, Any] = {"meter": meter, "gte": gte}
    if customer is not None:
        threshold["filters"] = [{"type": "customer", "customer": customer}]
    params: dict[str, Any] = {"usage_threshold": threshold, "limit": limit}
    if days is not None:
        now = SystemClock().now_ms() // 1000
        params["start"] = now - now % _DAY - days * _DAY
    with connected(api_key=api_key, api_base=api_base, data=data) as api:
        reply = api.post(f"{_PATH}/dry_run", params)
        for _ in range(_DRY_RUNS_MAX):
            if reply.data["complete"]:
                break
            # Much usage takes a while to be read; the next answer goes on where this one ended.
            reply = api.post(f"{_PATH}/dry_run", params)
        if as_json:
            print_raw_json(reply.body)
        else:
            _show_dry_run(reply.data)


def _show_dry_run(found: dict[str, Any]) -> None:
    count, customers = found["triggered_count"], found["customers"]
    at_least = "" if found["complete"] else "at least "
    print_text(
        f"Since {show_time(found['start'])} UTC it would have triggered for {at_least}{count} of "
        f"{customers} customers with usage."
    )
    rows = [_dry_run_row(item) for item in found["triggered"]]
    columns = ("customer", "triggered at", "received (UTC)", "meter event", "usage")
    if rows:
        print_table(columns, rows, empty="")
    if found["nearest"]:
        nearest = [(item["customer"], item["usage"]) for item in found["nearest"]]
        print_table(("nearest below", "usage"), nearest, empty="")


def _dry_run_row(item: dict[str, Any]) -> tuple[str, ...]:
    event = item["meter_event"]
    if event is None:
        return item["customer"], "-", "-", "-", item["usage"]
    received = show_time(event["created"])
    return item["customer"], event["value_decimal"], received, event["identifier"], item["usage"]


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
