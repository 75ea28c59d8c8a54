"""Every field of every object returned fits the installed `stripe` package's types."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import stripe
from stripe import StripeObject

from tests.contract.sdk_types import object_problems
from tests.support.server import ServerProcess


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("types") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def call(server: ServerProcess) -> "Call":
    return Call(server.client)


class Call:
    """Sends raw requests with the SDK and keeps what was made."""

    def __init__(self, client: stripe.StripeClient) -> None:
        self._client = client
        self.made: dict[str, str] = {}

    def __call__(self, method: str, path: str, **params: Any) -> dict[str, Any]:  # noqa: ANN401
        answer = self._client.raw_request(method, path.format_map(self.made), **params)
        parsed: dict[str, Any] = json.loads(json.dumps(answer.data))
        return parsed


METER = {
    "display_name": "API requests",
    "default_aggregation": {"formula": "sum"},
    "customer_mapping": {"type": "by_id", "event_payload_key": "stripe_customer_id"},
    "value_settings": {"event_payload_key": "value"},
}
ALERT = {
    "alert_type": "usage_threshold",
    "title": "Many requests",
}
CUSTOMER = {
    "email": "a@example.com",
    "name": "A",
    "metadata": {"tier": "gold"},
    "address": {"city": "Bern", "country": "CH"},
    "shipping": {"name": "A", "address": {"line1": "1 Main St"}},
}
ENDPOINT = {"url": "http://127.0.0.1:9009/hook", "enabled_events": ["*"]}


@pytest.fixture(scope="module")
def made(call: Call) -> Call:
    """Make one of each object, and usage that triggers an alert."""
    call.made["customer"] = call("post", "/v1/customers", **CUSTOMER)["id"]
    call.made["endpoint"] = call("post", "/v1/webhook_endpoints", **ENDPOINT)["id"]
    call.made["meter"] = call("post", "/v1/billing/meters", event_name="requests", **METER)["id"]
    for name, filters in (
        ("alert", []),
        ("own_alert", [{"type": "customer", "customer": call.made["customer"]}]),
    ):
        threshold = {"meter": call.made["meter"], "gte": 2, "recurrence": "one_time"}
        if filters:
            threshold["filters"] = filters
        call.made[name] = call("post", "/v1/billing/alerts", usage_threshold=threshold, **ALERT)[
            "id"
        ]
    usage(call, "one", "1.25")
    usage(call, "two", "4")
    events = call("get", "/v1/events", type="billing.alert.triggered")
    call.made["event"] = events["data"][0]["id"]
    return call


def usage(call: Call, identifier: str, value: str) -> dict[str, Any]:
    return call(
        "post",
        "/v1/billing/meter_events",
        event_name="requests",
        identifier=identifier,
        payload={"stripe_customer_id": call.made["customer"], "value": value},
    )


OBJECTS: dict[str, type[StripeObject]] = {
    "customer": stripe.Customer,
    "billing.meter": stripe.billing.Meter,
    "billing.meter_event": stripe.billing.MeterEvent,
    "billing.meter_event_adjustment": stripe.billing.MeterEventAdjustment,
    "billing.meter_event_summary": stripe.billing.MeterEventSummary,
    "billing.alert": stripe.billing.Alert,
    "billing.alert_triggered": stripe.billing.AlertTriggered,
    "event": stripe.Event,
    "webhook_endpoint": stripe.WebhookEndpoint,
}

CALLS: list[tuple[str, str, dict[str, Any], str]] = [
    ("post", "/v1/customers", CUSTOMER, "customer"),
    ("post", "/v1/customers", {}, "customer"),
    ("get", "/v1/customers/{customer}", {}, "customer"),
    ("post", "/v1/customers/{customer}", {"name": "B"}, "customer"),
    ("get", "/v1/customers", {}, "customer"),
    ("post", "/v1/billing/meters", {**METER, "event_name": "one"}, "billing.meter"),
    (
        "post",
        "/v1/billing/meters",
        {**METER, "event_name": "two", "event_time_window": "day"},
        "billing.meter",
    ),
    ("get", "/v1/billing/meters/{meter}", {}, "billing.meter"),
    ("post", "/v1/billing/meters/{meter}", {"display_name": "Requests"}, "billing.meter"),
    ("get", "/v1/billing/meters", {}, "billing.meter"),
    ("post", "/v1/billing/meters/{meter}/deactivate", {}, "billing.meter"),
    ("post", "/v1/billing/meters/{meter}/reactivate", {}, "billing.meter"),
    (
        "post",
        "/v1/billing/meter_events",
        {"event_name": "requests", "payload": {"stripe_customer_id": "{customer}", "value": "1"}},
        "billing.meter_event",
    ),
    (
        "post",
        "/v1/billing/meter_event_adjustments",
        {"event_name": "requests", "type": "cancel", "cancel": {"identifier": "one"}},
        "billing.meter_event_adjustment",
    ),
    (
        "get",
        "/v1/billing/meters/{meter}/event_summaries",
        {"customer": "{customer}", "start_time": "1700000040", "end_time": "4070908800"},
        "billing.meter_event_summary",
    ),
    (
        "get",
        "/v1/billing/meters/{meter}/event_summaries",
        {
            "customer": "{customer}",
            "start_time": "1700006400",
            "end_time": "4070908800",
            "value_grouping_window": "day",
        },
        "billing.meter_event_summary",
    ),
    ("get", "/v1/billing/alerts/{alert}", {}, "billing.alert"),
    ("get", "/v1/billing/alerts/{own_alert}", {}, "billing.alert"),
    (
        "get",
        "/v1/billing/alerts/{own_alert}",
        {"expand": ["usage_threshold.meter", "usage_threshold.filters.customer"]},
        "billing.alert",
    ),
    ("get", "/v1/billing/alerts", {}, "billing.alert"),
    ("post", "/v1/billing/alerts/{alert}/deactivate", {}, "billing.alert"),
    ("post", "/v1/billing/alerts/{alert}/activate", {}, "billing.alert"),
    ("get", "/v1/events", {}, "event"),
    ("get", "/v1/events", {"type": "billing.*"}, "event"),
    ("get", "/v1/events/{event}", {}, "event"),
    ("post", "/v1/webhook_endpoints", ENDPOINT, "webhook_endpoint"),
    ("get", "/v1/webhook_endpoints/{endpoint}", {}, "webhook_endpoint"),
    ("post", "/v1/webhook_endpoints/{endpoint}", {"description": "x"}, "webhook_endpoint"),
    ("get", "/v1/webhook_endpoints", {}, "webhook_endpoint"),
    (
        "post",
        "/v1/webhook_endpoints/{endpoint}/roll_secret",
        {"expire_in": 60},
        "webhook_endpoint",
    ),
    ("post", "/v1/billing/alerts/{own_alert}/archive", {}, "billing.alert"),
]


def fill(value: Any, made: dict[str, str]) -> Any:  # noqa: ANN401
    """Put the ids of made objects into parameters."""
    if isinstance(value, dict):
        return {key: fill(item, made) for key, item in value.items()}
    return value.format_map(made) if isinstance(value, str) else value


def all_objects(value: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401
    """Yield every object in a reply that says what it is."""
    if isinstance(value, dict):
        if "object" in value and isinstance(value["object"], str):
            yield value
        for item in value.values():
            yield from all_objects(item)
    elif isinstance(value, list):
        for item in value:
            yield from all_objects(item)


@pytest.mark.parametrize(
    ("method", "path", "params", "kind"),
    CALLS,
    ids=[f"{n} {c[0]} {c[1]}" for n, c in enumerate(CALLS)],
)
def test_every_field_fits_the_sdk_types(
    made: Call, method: str, path: str, params: dict[str, Any], kind: str
) -> None:
    reply = made(method, path, **fill(params, made.made))

    found = [obj for obj in all_objects(reply) if obj["object"] in OBJECTS]
    assert kind in {obj["object"] for obj in found}
    for obj in found:
        assert list(object_problems(obj, OBJECTS[obj["object"]], obj["object"])) == []
    if reply["object"] == "list":
        assert set(reply) == {"object", "data", "has_more", "url"}
        assert reply["url"] == path.format_map(made.made)


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/v1/customers", "customer"), ("/v1/webhook_endpoints", "webhook_endpoint")],
)
def test_deleted_objects_have_the_deleted_shape(made: Call, path: str, kind: str) -> None:
    params = CUSTOMER if kind == "customer" else ENDPOINT
    object_id = made("post", path, **params)["id"]

    deleted = made("delete", f"{path}/{object_id}")

    assert deleted == {"id": object_id, "object": kind, "deleted": True}
    if kind == "customer":
        assert made("get", f"{path}/{object_id}") == deleted


def test_the_secret_is_shown_once(made: Call) -> None:
    created = made("post", "/v1/webhook_endpoints", **ENDPOINT)

    assert created["secret"].startswith("whsec_")
    assert "secret" not in made("get", f"/v1/webhook_endpoints/{created['id']}")


OURS = {
    ("get", "/v1/billing/alerts/*/explain"),
    ("post", "/v1/billing/alerts/dry_run"),
    ("post", "/v1/customer_pages"),
    ("post", "/v1/events/*/retry"),
    ("get", "/v1/notification_channels"),
    ("get", "/v1/notification_channels/*"),
    ("post", "/v1/notification_channels"),
    ("post", "/v1/notification_channels/*"),
    ("post", "/v1/notification_channels/*/test"),
    ("post", "/v1/stripecli/sessions"),
}
"""Routes that answer with what Stripe has no types for; tests/unit/api looks at their answers."""


def test_every_route_of_the_reference_is_checked_here(made: Call) -> None:
    """A new v1 route needs a line in CALLS."""
    described = made("get", "/openapi.json")
    routes = {
        (method, re.sub(r"{\w+}", "*", path))
        for path, methods in described["paths"].items()
        if path.startswith("/v1/")
        for method in methods
        if method != "delete"
    }
    checked = {(method, re.sub(r"{\w+}", "*", path)) for method, path, _, _ in CALLS}

    made_in_the_fixture = {("post", "/v1/billing/alerts")}
    assert routes - checked == OURS | made_in_the_fixture
