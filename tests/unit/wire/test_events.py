"""The bytes of a delivery."""

import json
from typing import Any

import pytest

from meterbell.records import Event
from meterbell.wire.events import event_body
from meterbell.wire.versions import DEFAULT_API_VERSION
from tests.builders import NOW

PREVIEW = "2026-09-30.preview"
TRIGGERED = {"object": "billing.alert_triggered", "value": 10, "value_decimal": "10.5"}


def make_event(obj: dict[str, Any] | None = None) -> Event:
    return Event(
        id="evt_1",
        livemode=True,
        created=NOW,
        type="billing.alert.triggered",
        api_version=DEFAULT_API_VERSION,
        data={"object": obj or TRIGGERED},
        deliveries=3,
        request_id="req_1",
        idempotency_key="key",
    )


def test_d1_the_body_is_the_event_as_it_was_made() -> None:
    assert json.loads(event_body(make_event(), api_version=None)) == {
        "id": "evt_1",
        "object": "event",
        "api_version": DEFAULT_API_VERSION,
        "created": NOW,
        "data": {"object": TRIGGERED},
        "livemode": True,
        "pending_webhooks": 3,
        "request": {"id": "req_1", "idempotency_key": "key"},
        "type": "billing.alert.triggered",
    }


@pytest.mark.parametrize("api_version", [None, "2024-06-20", PREVIEW])
def test_d1_each_time_the_same_bytes(api_version: str | None) -> None:
    first, again = (event_body(make_event(), api_version=api_version) for _ in range(2))

    assert first == again


def test_the_body_names_the_version_of_the_endpoint() -> None:
    body = json.loads(event_body(make_event(), api_version="2024-06-20"))

    assert body["api_version"] == "2024-06-20"
    assert body["data"]["object"] == TRIGGERED


def test_preview_versions_have_the_exact_value_as_text() -> None:
    event = make_event()

    body = json.loads(event_body(event, api_version=PREVIEW))

    assert body["api_version"] == PREVIEW
    assert body["data"]["object"] == {**TRIGGERED, "value": "10.5"}
    assert event.data["object"] == TRIGGERED


def test_preview_versions_leave_other_objects_alone() -> None:
    customer = {"object": "customer", "value": 1}

    body = json.loads(event_body(make_event(customer), api_version=PREVIEW))

    assert body["data"]["object"] == customer


def test_c3_a_value_past_64_bits_stays_exact() -> None:
    value = 10**30 + 1

    body = event_body(make_event({"object": "x", "value": value}), api_version=None)

    assert json.loads(body)["data"]["object"]["value"] == value
