"""Every field of every v2 object returned fits the installed `stripe` package's types."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import stripe
from stripe import StripeObject
from stripe.events import (
    V1BillingMeterErrorReportTriggeredEvent,
    V1BillingMeterNoMeterFoundEvent,
    V2CoreEventDestinationPingEvent,
)

from tests.contract.sdk_types import object_problems
from tests.support.server import ServerProcess, client
from tests.support.waiting import wait_for

EVENTS: dict[str, tuple[type[StripeObject], set[str]]] = {
    "v1.billing.meter.error_report_triggered": (
        V1BillingMeterErrorReportTriggeredEvent,
        {"data", "related_object"},
    ),
    "v1.billing.meter.no_meter_found": (V1BillingMeterNoMeterFoundEvent, {"data"}),
    "v2.core.event_destination.ping": (V2CoreEventDestinationPingEvent, {"related_object"}),
}
"""The class of each type of event, and what it has beyond `v2.core.event`."""

OBJECTS: dict[str, type[StripeObject]] = {
    "v2.billing.meter_event": stripe.v2.billing.MeterEvent,
    "v2.billing.meter_event_adjustment": stripe.v2.billing.MeterEventAdjustment,
    "v2.billing.meter_event_session": stripe.v2.billing.MeterEventSession,
    "v2.core.event_destination": stripe.v2.core.EventDestination,
}
DESTINATION = {
    "name": "D",
    "type": "webhook_endpoint",
    "event_payload": "thin",
    "enabled_events": ["*"],
    "webhook_endpoint": {"url": "http://127.0.0.1:9009/"},
}
SNAPSHOT = {
    **DESTINATION,
    "event_payload": "snapshot",
    "description": "Two",
    "metadata": {"a": "b"},
    "events_from": ["@self"],
    "snapshot_api_version": "2026-10-28.endive",
    "include": ["webhook_endpoint.signing_secret", "webhook_endpoint.url"],
}
ONE = "/v2/core/event_destinations/{destination}"
LIST = "list"

CALLS: list[tuple[str, str, dict[str, Any], str]] = [
    (
        "post",
        "/v2/billing/meter_events",
        {"event_name": "requests", "payload": {"stripe_customer_id": "{customer}", "value": "1"}},
        "v2.billing.meter_event",
    ),
    (
        "post",
        "/v2/billing/meter_event_adjustments",
        {"event_name": "requests", "type": "cancel", "cancel": {"identifier": "one"}},
        "v2.billing.meter_event_adjustment",
    ),
    ("post", "/v2/billing/meter_event_session", {}, "v2.billing.meter_event_session"),
    ("post", "/v2/core/event_destinations", DESTINATION, "v2.core.event_destination"),
    ("post", "/v2/core/event_destinations", SNAPSHOT, "v2.core.event_destination"),
    ("get", "/v2/core/event_destinations", {}, LIST),
    ("get", "/v2/core/event_destinations", {"include": ["webhook_endpoint.url"]}, LIST),
    ("get", ONE, {}, "v2.core.event_destination"),
    ("get", ONE, {"include": ["webhook_endpoint.url"]}, "v2.core.event_destination"),
    ("post", ONE, {"name": "E"}, "v2.core.event_destination"),
    ("post", ONE + "/disable", {}, "v2.core.event_destination"),
    ("get", ONE, {}, "v2.core.event_destination"),
    ("post", ONE + "/enable", {}, "v2.core.event_destination"),
    ("post", ONE + "/roll_secret", {"expire_in": 60}, "v2.core.event_destination"),
    ("post", ONE + "/ping", {}, "v2.core.event"),
    ("get", "/v2/core/events", {}, LIST),
    ("get", "/v2/core/events/{event}", {}, "v2.core.event"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("types") / "data") as running:
        yield running


class Call:
    """Sends raw requests with the SDK and keeps what was made."""

    def __init__(self, sdk: stripe.StripeClient) -> None:
        self._sdk = sdk
        self.made: dict[str, str] = {}

    def __call__(self, method: str, path: str, **params: Any) -> dict[str, Any]:  # noqa: ANN401
        answer = self._sdk.raw_request(method, path.format_map(self.made), **params)
        parsed: dict[str, Any] = json.loads(json.dumps(answer.data))
        return parsed


@pytest.fixture(scope="module")
def call(server: ServerProcess) -> Call:
    """Make one of each object, and usage that is reported as wrong."""
    call = Call(server.client)
    call.made["customer"] = call("post", "/v1/customers")["id"]
    call.made["meter"] = call(
        "post",
        "/v1/billing/meters",
        display_name="Requests",
        event_name="requests",
        default_aggregation={"formula": "sum"},
    )["id"]
    call("post", CALLS[0][1], identifier="one", **fill(CALLS[0][2], call.made))
    call.made["destination"] = call("post", "/v2/core/event_destinations", **DESTINATION)["id"]
    call("post", f"{ONE}/ping")
    token = call("post", "/v2/billing/meter_event_session")["authentication_token"]
    wrong: list[Any] = [{"event_name": name, "payload": {}} for name in ("requests", "nothing")]
    answer = client(server.url, token).raw_request(
        "post", "/v2/billing/meter_event_stream", base="meter_events", events=wrong
    )
    assert answer.body == "{}"

    def events() -> list[dict[str, Any]] | None:
        found: list[dict[str, Any]] = call("get", "/v2/core/events")["data"]
        return found if {event["type"] for event in found} == set(EVENTS) else None

    found = wait_for(events, "one event of each type", timeout_seconds=30)
    call.made["event"] = found[0]["id"]
    return call


def fill(value: Any, made: dict[str, str]) -> Any:  # noqa: ANN401
    """Put the ids of made objects into parameters."""
    if isinstance(value, dict):
        return {key: fill(item, made) for key, item in value.items()}
    return value.format_map(made) if isinstance(value, str) else value


def all_problems(obj: dict[str, Any]) -> list[str]:
    """Return what is wrong with an object of a reply."""
    if obj["object"] != "v2.core.event":
        return list(object_problems(obj, OBJECTS[obj["object"]], obj["object"]))
    special, more = EVENTS[obj["type"]]
    common = {name: value for name, value in obj.items() if name not in {"data", "related_object"}}
    own = {name: obj[name] for name in more} | {"type": obj["type"]}
    return [
        *object_problems(common, stripe.v2.core.Event, obj["type"]),
        *object_problems(own, special, obj["type"]),
    ]


@pytest.mark.parametrize(
    ("method", "path", "params", "kind"),
    CALLS,
    ids=[f"{n} {c[0]} {c[1]}" for n, c in enumerate(CALLS)],
)
def test_every_field_fits_the_sdk_types(
    call: Call, method: str, path: str, params: dict[str, Any], kind: str
) -> None:
    reply = call(method, path, **fill(params, call.made))

    if kind == LIST:
        assert set(reply) == {"data", "next_page_url", "previous_page_url"}
        assert reply["data"]
    found = reply["data"] if kind == LIST else [reply]
    assert kind in {LIST, reply.get("object")}
    for obj in found:
        assert all_problems(obj) == []


def test_a_deleted_destination_has_the_deleted_shape(call: Call) -> None:
    made = call("post", "/v2/core/event_destinations", **DESTINATION)["id"]

    deleted = call("delete", f"/v2/core/event_destinations/{made}")

    assert deleted == {"id": made, "object": "v2.core.event_destination"}


@pytest.mark.parametrize(
    ("include", "shown"),
    [
        ([], set()),
        (["webhook_endpoint.url"], {"url"}),
        (["webhook_endpoint.signing_secret"], {"signing_secret"}),
    ],
)
def test_fields_are_shown_where_they_are_asked_for(
    call: Call, include: list[str], shown: set[str]
) -> None:
    created = call("post", "/v2/core/event_destinations", **DESTINATION, include=include)
    path = f"/v2/core/event_destinations/{created['id']}"

    found = call("get", path, include=["webhook_endpoint.url"])
    call("delete", path)

    assert {name for name, text in created["webhook_endpoint"].items() if text} == shown
    assert found["webhook_endpoint"]["signing_secret"] is None


def test_every_route_of_the_reference_is_checked_here(call: Call) -> None:
    """A new v2 route needs a line in CALLS."""
    described = call("get", "/openapi.json")
    routes = {
        (method, re.sub(r"{\w+}", "*", path))
        for path, methods in described["paths"].items()
        if path.startswith("/v2/")
        for method in methods
        if method != "delete"
    }
    checked = {(method, re.sub(r"{\w+}", "*", path)) for method, path, _, _ in CALLS}

    assert routes - checked == {("post", "/v2/billing/meter_event_stream")}  # `{}`, in the fixture
