"""Domain objects as v1 JSON, field by field as Stripe's types name them (contract §2).

Fields that meterbell keeps nothing for are there and null, because Stripe's types promise them.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from meterbell.channel import NotificationChannel
from meterbell.engine.model import Alert, Meter, MeterEvent
from meterbell.engine.summary import Summary
from meterbell.engine.value import SCALE, format_value
from meterbell.records import Customer, Event, WebhookEndpoint
from meterbell.wire.page_tokens import PageClaims
from meterbell.wire.template import BODY_DEFAULT, TITLE_DEFAULT

_RESPONSE_SHOWN = 2000


def render_meter(meter: Meter) -> dict[str, Any]:
    """Return a `billing.meter`."""
    return {
        "id": meter.id,
        "object": "billing.meter",
        "created": meter.created,
        "customer_mapping": {"event_payload_key": meter.customer_key, "type": "by_id"},
        "default_aggregation": {"formula": meter.formula},
        "display_name": meter.display_name,
        "event_name": meter.event_name,
        "event_time_window": meter.event_time_window,
        "livemode": meter.livemode,
        "status": meter.status,
        "status_transitions": {"deactivated_at": meter.deactivated_at},
        "updated": meter.updated,
        "value_settings": {"event_payload_key": meter.value_key},
    }


def render_alert(
    alert: Alert, *, meter: Meter | None = None, customer: Customer | None = None
) -> dict[str, Any]:
    """Return a `billing.alert`; `meter` and `customer` are embedded when given."""
    filters = None
    if alert.customer is not None:
        shown = render_customer(customer) if customer is not None else alert.customer
        filters = [{"type": "customer", "customer": shown}]
    return {
        "id": alert.id,
        "object": "billing.alert",
        "alert_type": "usage_threshold",
        "livemode": alert.livemode,
        "status": alert.status,
        "title": alert.title,
        "usage_threshold": {
            "baseline": alert.baseline,
            "filters": filters,
            "gte": alert.gte,
            "meter": render_meter(meter) if meter is not None else alert.meter,
            "recurrence": "one_time",
        },
    }


def render_alert_triggered(
    alert: Alert, *, customer: str, value: int, created: int
) -> dict[str, Any]:
    """Return a `billing.alert_triggered`.

    `value` is the usage rounded down to a whole number, as the GA types say; `value_decimal`, ours,
    is exact.
    """
    return {
        "object": "billing.alert_triggered",
        "alert": render_alert(alert),
        "created": created,
        "customer": customer,
        "livemode": alert.livemode,
        "value": value // SCALE,
        "value_decimal": format_value(value),
    }


def render_meter_event(event: MeterEvent, *, event_name: str) -> dict[str, Any]:
    """Return a `billing.meter_event`."""
    return {
        "object": "billing.meter_event",
        "created": event.received_at_ms // 1000,
        "event_name": event_name,
        "identifier": event.identifier,
        "livemode": event.livemode,
        "payload": event.payload,
        "timestamp": event.timestamp,
    }


def render_adjustment(*, event_name: str, identifier: str, livemode: bool) -> dict[str, Any]:
    """Return a `billing.meter_event_adjustment`; it takes effect before it is answered."""
    return {
        "object": "billing.meter_event_adjustment",
        "cancel": {"identifier": identifier},
        "event_name": event_name,
        "livemode": livemode,
        "status": "complete",
        "type": "cancel",
    }


def render_summary(summary: Summary, *, meter: Meter, summary_id: str) -> dict[str, Any]:
    """Return a `billing.meter_event_summary`; its value is an exact `Decimal`."""
    return {
        "id": summary_id,
        "object": "billing.meter_event_summary",
        "aggregated_value": Decimal(format_value(summary.value)),
        "end_time": summary.end,
        "livemode": meter.livemode,
        "meter": meter.id,
        "start_time": summary.start,
    }


def render_event(event: Event, *, pending_webhooks: int) -> dict[str, Any]:
    """Return an `event`.

    Args:
        event: As stored.
        pending_webhooks: Endpoints that have not answered with a 2xx yet.
    """
    return {
        "id": event.id,
        "object": "event",
        "api_version": event.api_version,
        "created": event.created,
        "data": event.data,
        "livemode": event.livemode,
        "pending_webhooks": pending_webhooks,
        "request": {"id": event.request_id, "idempotency_key": event.idempotency_key},
        "type": event.type,
    }


def render_webhook_endpoint(
    endpoint: WebhookEndpoint, *, secret: str | None = None
) -> dict[str, Any]:
    """Return a `webhook_endpoint`; `secret` is shown when it is made, and never again."""
    rendered: dict[str, Any] = {
        "id": endpoint.id,
        "object": "webhook_endpoint",
        "api_version": endpoint.api_version,
        "application": None,
        "created": endpoint.created,
        "description": endpoint.description,
        "enabled_events": endpoint.enabled_events,
        "livemode": endpoint.livemode,
        "metadata": endpoint.metadata,
        "standard_webhooks": endpoint.standard_webhooks,
        "status": endpoint.status,
        "url": endpoint.url,
    }
    if secret is not None:
        rendered["secret"] = secret
    return rendered


def render_disabled(
    endpoint: WebhookEndpoint | NotificationChannel, *, reason: str, disabled_at: int
) -> dict[str, Any]:
    """Return what an event tells of an endpoint or channel that was disabled by itself."""
    noun, url = "webhook_endpoint", endpoint.url
    if isinstance(endpoint, NotificationChannel):
        noun, url = "notification_channel", endpoint.shown_url
    return {
        "id": endpoint.id,
        "object": f"meterbell.{noun}_disabled",
        "created": disabled_at,
        "livemode": endpoint.livemode,
        "reason": reason,
        "url": url,
    }


def render_deleted(object_name: str, object_id: str) -> dict[str, Any]:
    """Return what is left of a deleted object."""
    return {"id": object_id, "object": object_name, "deleted": True}


def _invoice_settings() -> dict[str, Any]:
    return {
        "custom_fields": None,
        "default_payment_method": None,
        "footer": None,
        "rendering_options": None,
    }


_CUSTOMER_DEFAULTS: dict[str, Callable[[], object]] = {
    "address": lambda: None,
    "balance": lambda: 0,
    "business_name": lambda: None,
    "currency": lambda: None,
    "customer_account": lambda: None,
    "default_source": lambda: None,
    "delinquent": lambda: False,
    "description": lambda: None,
    "discount": lambda: None,
    "individual_name": lambda: None,
    "invoice_prefix": lambda: None,
    "invoice_settings": _invoice_settings,
    "metadata": dict,
    "name": lambda: None,
    "next_invoice_sequence": lambda: 1,
    "phone": lambda: None,
    "preferred_locales": list,
    "shipping": lambda: None,
    "tax_exempt": lambda: "none",
    "test_clock": lambda: None,
}
_ADDRESS_FIELDS = ("city", "country", "line1", "line2", "postal_code", "state")


def render_customer(customer: Customer) -> dict[str, Any]:
    """Return a `customer`, or what is left of a deleted one."""
    if customer.deleted:
        return render_deleted("customer", customer.id)
    rendered: dict[str, Any] = {
        "id": customer.id,
        "object": "customer",
        "created": customer.created,
        "email": customer.email,
        "livemode": customer.livemode,
    }
    for name, default in _CUSTOMER_DEFAULTS.items():
        value = customer.details.get(name)
        rendered[name] = default() if value is None else value
    rendered["address"] = _address(rendered["address"])
    shipping = rendered["shipping"]
    if shipping is not None:
        rendered["shipping"] = {
            "address": _address(shipping.get("address")),
            "carrier": None,
            "name": shipping.get("name"),
            "phone": shipping.get("phone"),
            "tracking_number": None,
        }
    rendered["invoice_settings"] = {**_invoice_settings(), **rendered["invoice_settings"]}
    return rendered


def _address(address: dict[str, Any] | None) -> dict[str, Any] | None:
    if address is None:
        return None
    return {name: address.get(name) for name in _ADDRESS_FIELDS}


def render_channel(channel: NotificationChannel) -> dict[str, Any]:
    """Return a `notification_channel`, ours; its URL stands there without its secrets."""
    return {
        "id": channel.id,
        "object": "notification_channel",
        "alerts": channel.alerts,
        "body": channel.body or BODY_DEFAULT,
        "created": channel.created,
        "livemode": channel.livemode,
        "name": channel.name,
        "service": channel.service,
        "status": channel.status,
        "title": channel.title or TITLE_DEFAULT,
        "url": channel.shown_url,
    }


def render_channel_test(
    channel: NotificationChannel,
    *,
    outcome: str,
    status_code: int | None,
    response: bytes,
    duration_ms: int,
) -> dict[str, Any]:
    """Return a `notification_channel_test`, ours: what came of a notice that was sent to try it."""
    return {
        "object": "notification_channel_test",
        "channel": channel.id,
        "duration_ms": duration_ms,
        "livemode": channel.livemode,
        "outcome": outcome,
        "response": response[:_RESPONSE_SHOWN].decode("utf-8", "replace"),
        "status_code": status_code,
        "succeeded": outcome == "succeeded",
    }


def render_customer_page(claims: PageClaims, *, url: str) -> dict[str, Any]:
    """Return a `customer_page`, ours: what its link, the URL, says and leads to."""
    return {
        "object": "customer_page",
        "allow_alerts": claims.allow_alerts,
        "customer": claims.customer,
        "expires_at": claims.expires_at,
        "frame_origins": claims.frame_origins,
        "livemode": claims.livemode,
        "url": url,
    }
