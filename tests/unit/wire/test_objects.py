"""Rendered objects, held against the types of Stripe's SDK."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
import stripe

from meterbell.engine.model import MeterEvent
from meterbell.engine.summary import Summary
from meterbell.engine.value import SCALE, parse_value
from meterbell.ids import CustomerId, MeterId
from meterbell.records import Customer, Event, WebhookEndpoint
from meterbell.wire import objects
from meterbell.wire.json import encode_json
from meterbell.wire.versions import DEFAULT_API_VERSION
from tests.builders import NOW, make_alert, make_meter
from tests.contract.sdk_types import object_problems


def make_customer(*, deleted: bool = False, **details: Any) -> Customer:  # noqa: ANN401
    return Customer(
        id="cus_a",
        livemode=False,
        created=NOW,
        deleted=deleted,
        email="a@example.com",
        details=details,
    )


def make_endpoint() -> WebhookEndpoint:
    return WebhookEndpoint(
        id="we_a",
        livemode=True,
        created=NOW,
        url="https://example.com",
        enabled_events=["*"],
        api_version=None,
        description=None,
        metadata={"a": "b"},
        status="enabled",
        secret="sealed",
    )


def make_event(**data: Any) -> Event:  # noqa: ANN401
    return Event(
        id="evt_a",
        livemode=True,
        created=NOW,
        type="customer.updated",
        api_version=DEFAULT_API_VERSION,
        data={"object": {"object": "customer"}, **data},
        deliveries=2,
        request_id=None,
        idempotency_key=None,
    )


def make_meter_event() -> MeterEvent:
    return MeterEvent(
        sequence=1,
        livemode=True,
        meter=MeterId("mtr_a"),
        customer=CustomerId("cus_a"),
        identifier="id_a",
        timestamp=NOW - 5,
        value=SCALE,
        payload={"value": "1"},
        previous=0,
        received_at_ms=NOW * 1000 + 999,
        request_key=b"",
        request_digest=b"",
    )


SUMMARY = Summary(start=NOW, end=NOW + 3600, value=parse_value("0.1", param=""))
ADDRESS = {"city": "Bern", "line1": "Weg 1"}


@pytest.mark.parametrize(
    ("rendered", "cls"),
    [
        (objects.render_meter(make_meter()), stripe.billing.Meter),
        (
            objects.render_meter(
                replace(make_meter(window="day", status="inactive"), deactivated_at=NOW)
            ),
            stripe.billing.Meter,
        ),
        (objects.render_alert(make_alert()), stripe.billing.Alert),
        (
            objects.render_alert(
                make_alert(customer="cus_a"), meter=make_meter(), customer=make_customer()
            ),
            stripe.billing.Alert,
        ),
        (
            objects.render_alert_triggered(make_alert(), customer="cus_a", value=1, created=NOW),
            stripe.billing.AlertTriggered,
        ),
        (objects.render_customer(make_customer()), stripe.Customer),
        (
            objects.render_customer(
                make_customer(
                    name="A",
                    address=ADDRESS,
                    shipping={"name": "A", "address": ADDRESS},
                    balance=-5,
                    metadata={"a": "b"},
                    preferred_locales=["de"],
                    invoice_settings={"footer": "Thanks"},
                    tax_exempt="exempt",
                )
            ),
            stripe.Customer,
        ),
        (
            objects.render_meter_event(make_meter_event(), event_name="requests"),
            stripe.billing.MeterEvent,
        ),
        (
            objects.render_adjustment(event_name="requests", identifier="id_a", livemode=True),
            stripe.billing.MeterEventAdjustment,
        ),
        (objects.render_event(make_event(), pending_webhooks=1), stripe.Event),
        (
            objects.render_event(make_event(previous_attributes={"a": 1}), pending_webhooks=1),
            stripe.Event,
        ),
        (objects.render_webhook_endpoint(make_endpoint()), stripe.WebhookEndpoint),
        (
            objects.render_webhook_endpoint(make_endpoint(), secret="whsec_a"),
            stripe.WebhookEndpoint,
        ),
    ],
)
def test_every_field_is_as_stripes_types_say(
    rendered: dict[str, Any], cls: type[stripe.StripeObject]
) -> None:
    decoded = json.loads(encode_json(rendered))

    assert list(object_problems(decoded, cls, cls.__name__)) == []


def test_a_summary_is_as_stripes_types_say() -> None:
    rendered = objects.render_summary(SUMMARY, meter=make_meter(), summary_id="mtrusg_a")

    decoded = json.loads(encode_json(rendered))
    assert list(object_problems(decoded, stripe.billing.MeterEventSummary, "summary")) == []


@pytest.mark.parametrize(
    "value", ["0", "0.1", "-3.25", "999999999999999.999999999999", "123456789012345"]
)
def test_c3_a_summarys_value_is_an_exact_json_number(value: str) -> None:
    summary = SUMMARY._replace(value=parse_value(value, param=""))

    rendered = objects.render_summary(summary, meter=make_meter(), summary_id="mtrusg_a")

    assert rendered["aggregated_value"] == Decimal(value)
    assert f'"aggregated_value":{value},'.encode() in encode_json(rendered)


@pytest.mark.parametrize(
    ("usage", "value"), [("10", 10), ("10.999999999999", 10), ("0.1", 0), ("-0.1", -1)]
)
def test_a3_a_triggers_value_is_rounded_down_and_also_exact(usage: str, value: int) -> None:
    rendered = objects.render_alert_triggered(
        make_alert(), customer="cus_a", value=parse_value(usage, param=""), created=NOW
    )

    assert (rendered["value"], rendered["value_decimal"]) == (value, usage)


def test_c3_a_triggers_value_can_pass_64_bits() -> None:
    rendered = objects.render_alert_triggered(
        make_alert(), customer="cus_a", value=10**30 * SCALE, created=NOW
    )

    assert json.loads(encode_json(rendered))["value"] == 10**30


def test_a1_an_alert_for_any_customer_has_no_filters() -> None:
    rendered = objects.render_alert(make_alert(gte=7))

    assert rendered["usage_threshold"] == {
        "baseline": "creation",
        "filters": None,
        "gte": 7,
        "meter": "mtr_requests",
        "recurrence": "one_time",
    }


def test_a1_an_alert_for_one_customer_names_it() -> None:
    rendered = objects.render_alert(make_alert(customer="cus_a"))

    assert rendered["usage_threshold"]["filters"] == [{"type": "customer", "customer": "cus_a"}]


def test_an_alert_embeds_what_was_expanded() -> None:
    rendered = objects.render_alert(
        make_alert(customer="cus_a"), meter=make_meter(), customer=make_customer(deleted=True)
    )

    threshold = rendered["usage_threshold"]
    assert threshold["meter"]["event_name"] == "requests"
    assert threshold["filters"][0]["customer"] == {
        "id": "cus_a",
        "object": "customer",
        "deleted": True,
    }


def test_of_a_deleted_customer_only_the_id_is_left() -> None:
    rendered = objects.render_customer(make_customer(deleted=True, name="A"))

    assert rendered == {"id": "cus_a", "object": "customer", "deleted": True}


def test_what_a_customer_was_given_is_shown() -> None:
    rendered = objects.render_customer(
        make_customer(
            name="A",
            balance=-5,
            shipping={"name": "B", "phone": "1", "address": ADDRESS},
            invoice_settings={"footer": "Thanks"},
        )
    )

    assert (rendered["name"], rendered["balance"], rendered["email"]) == ("A", -5, "a@example.com")
    assert rendered["shipping"]["address"]["city"] == "Bern"
    assert rendered["shipping"]["address"]["country"] is None
    assert rendered["invoice_settings"]["footer"] == "Thanks"
    assert rendered["invoice_settings"]["custom_fields"] is None


def test_defaults_of_customers_are_not_shared() -> None:
    objects.render_customer(make_customer())["metadata"]["a"] = "b"

    assert objects.render_customer(make_customer())["metadata"] == {}


def test_a_meter_event_was_created_when_it_was_received() -> None:
    rendered = objects.render_meter_event(make_meter_event(), event_name="requests")

    assert (rendered["created"], rendered["timestamp"]) == (NOW, NOW - 5)


def test_an_endpoints_secret_is_shown_on_request_only() -> None:
    assert "secret" not in objects.render_webhook_endpoint(make_endpoint())
    assert objects.render_webhook_endpoint(make_endpoint(), secret="whsec_a")["secret"] == "whsec_a"
