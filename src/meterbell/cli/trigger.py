"""`meterbell trigger`: make an event happen for real."""

from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

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
from meterbell.cli.output import (
    EXIT_USAGE,
    CommandError,
    examples,
    print_json,
    print_table,
    print_text,
    reported,
)
from meterbell.ids import RandomIds

EXAMPLES = examples("meterbell trigger billing.alert.triggered", "meterbell trigger --list")

_EVENT_NAME = "meterbell_trigger"
_PAGE = 100
_PAGES_MAX = 100

Say = Callable[[str], None]


class Recipe(NamedTuple):
    """How to make one type of event happen; `run` returns what it made, by name."""

    summary: str
    run: Callable[[Api, Say], dict[str, str]]


def trigger(
    event_type: Annotated[
        str | None,
        typer.Argument(metavar="TYPE", help="The type of event.", show_default=False),
    ] = None,
    *,
    show_types: Annotated[bool, typer.Option("--list", help="List the types.")] = False,
    api_key: ApiKeyOption = None,
    api_base: ApiBaseOption = None,
    data: DataOption = DATA_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Make an event happen, with real objects and real usage; webhooks are told as ever."""
    if show_types:
        if as_json:
            print_json([{"type": name, "summary": RECIPES[name].summary} for name in RECIPES])
        else:
            rows = ((name, recipe.summary) for name, recipe in RECIPES.items())
            print_table(("type", "what happens"), rows, empty="")
        return
    with reported():
        if event_type not in RECIPES:
            what = "Name a type of event" if event_type is None else f"{event_type} is not known"
            raise CommandError(f"{what}: {', '.join(RECIPES)}.", status=EXIT_USAGE)
    with connected(api_key=api_key, api_base=api_base, data=data) as api:
        made = RECIPES[event_type].run(api, (lambda _: None) if as_json else print_text)
        if as_json:
            print_json({"type": event_type, **made})


def _trigger_alert(api: Api, say: Say) -> dict[str, str]:
    customer = _create_customer(api, say)
    meter, is_new = _find_meter(api)
    say(f"{'Created' if is_new else 'Reused'} meter [bold]{meter}[/] for {_EVENT_NAME}")
    filters = [{"type": "customer", "customer": customer}]
    alert = api.post(
        "/v1/billing/alerts",
        {
            "alert_type": "usage_threshold",
            "title": "From meterbell trigger",
            "usage_threshold": {
                "meter": meter,
                "gte": 1,
                "recurrence": "one_time",
                "filters": filters,
            },
        },
    ).data["id"]
    say(f"Created alert [bold]{alert}[/] at 1, for this customer")
    payload = {"stripe_customer_id": customer, "value": "1"}
    usage = {"event_name": _EVENT_NAME, "payload": payload}
    identifier = api.post("/v1/billing/meter_events", usage).data["identifier"]
    say(f"Reported usage of 1, with identifier [bold]{identifier}[/]")
    event = _find_event(
        api, "billing.alert.triggered", lambda thing: bool(thing["alert"]["id"] == alert)
    )
    say(f"Triggered: event [bold]{event}[/]")
    return {
        "customer": customer,
        "meter": meter,
        "alert": alert,
        "identifier": identifier,
        "event": event,
    }


def _create_customer_event(api: Api, say: Say) -> dict[str, str]:
    customer = _create_customer(api, say)
    return _told(api, say, "customer.created", customer)


def _update_customer_event(api: Api, say: Say) -> dict[str, str]:
    customer = _create_customer(api, say)
    api.post(f"/v1/customers/{customer}", {"description": "Updated by meterbell trigger"})
    say("Updated its description")
    return _told(api, say, "customer.updated", customer)


def _delete_customer_event(api: Api, say: Say) -> dict[str, str]:
    customer = _create_customer(api, say)
    api.delete(f"/v1/customers/{customer}")
    say("Deleted it")
    return _told(api, say, "customer.deleted", customer)


RECIPES = {
    "billing.alert.triggered": Recipe("a new customer's usage reaches an alert", _trigger_alert),
    "customer.created": Recipe("a customer is created", _create_customer_event),
    "customer.updated": Recipe("a new customer's description changes", _update_customer_event),
    "customer.deleted": Recipe("a new customer is deleted", _delete_customer_event),
}


def _told(api: Api, say: Say, event_type: str, customer: str) -> dict[str, str]:
    event = _find_event(api, event_type, lambda thing: bool(thing["id"] == customer))
    say(f"Event [bold]{event}[/]")
    return {"customer": customer, "event": event}


def _create_customer(api: Api, say: Say) -> str:
    name = f"From meterbell trigger {RandomIds().token(6)}"
    customer = str(api.post("/v1/customers", {"name": name}).data["id"])
    say(f"Created customer [bold]{customer}[/]")
    return customer


def _find_meter(api: Api) -> tuple[str, bool]:
    """Return the meter for triggers, active, and whether it was just made."""
    after = None
    for _ in range(_PAGES_MAX):
        page = api.get("/v1/billing/meters", {"limit": _PAGE, "starting_after": after}).data
        for meter in page["data"]:
            if meter["event_name"] == _EVENT_NAME:
                if meter["status"] != "active":
                    api.post(f"/v1/billing/meters/{meter['id']}/reactivate")
                return str(meter["id"]), False
        if not page["has_more"]:
            break
        after = page["data"][-1]["id"]
    params = {
        "display_name": "meterbell trigger",
        "event_name": _EVENT_NAME,
        "default_aggregation": {"formula": "sum"},
    }
    return str(api.post("/v1/billing/meters", params).data["id"]), True


def _find_event(api: Api, event_type: str, is_it: Callable[[dict[str, Any]], bool]) -> str:
    """Return the id of an event that was committed just now."""
    page = api.get("/v1/events", {"type": event_type, "limit": _PAGE}).data
    for event in page["data"]:
        if is_it(event["data"]["object"]):
            return str(event["id"])
    raise CommandError(f"No {event_type} came of it. `meterbell events list` shows what did.")
