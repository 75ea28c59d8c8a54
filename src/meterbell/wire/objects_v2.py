"""Domain objects as v2 JSON, field by field as Stripe's types name them (contract §2.6, §2.12)."""

from collections.abc import Sequence
from typing import Any

from meterbell.engine.model import MeterEvent
from meterbell.records import ErrorWindow, ThinEvent, WebhookEndpoint
from meterbell.wire.instants import format_instant

_PATHS = {
    "billing.meter": "/v1/billing/meters",
    "v2.core.event_destination": "/v2/core/event_destinations",
}
"""Where the objects are that thin events are about."""


def render_meter_event_v2(event: MeterEvent, *, event_name: str) -> dict[str, Any]:
    """Return a `v2.billing.meter_event`."""
    return {
        "object": "v2.billing.meter_event",
        "created": format_instant(event.received_at_ms),
        "event_name": event_name,
        "identifier": event.identifier,
        "livemode": event.livemode,
        "payload": event.payload,
        "timestamp": format_instant(event.timestamp * 1000),
    }


def render_adjustment_v2(
    adjustment_id: str, *, event_name: str, identifier: str, livemode: bool, created_ms: int
) -> dict[str, Any]:
    """Return a `v2.billing.meter_event_adjustment`; it takes effect before it is answered."""
    return {
        "id": adjustment_id,
        "object": "v2.billing.meter_event_adjustment",
        "cancel": {"identifier": identifier},
        "created": format_instant(created_ms),
        "event_name": event_name,
        "livemode": livemode,
        "status": "complete",
        "type": "cancel",
    }


def render_session(
    session_id: str, *, token: str, livemode: bool, created_ms: int, expires_at_ms: int
) -> dict[str, Any]:
    """Return a `v2.billing.meter_event_session`."""
    return {
        "id": session_id,
        "object": "v2.billing.meter_event_session",
        "authentication_token": token,
        "created": format_instant(created_ms),
        "expires_at": format_instant(expires_at_ms),
        "livemode": livemode,
    }


def render_error_report(rows: Sequence[ErrorWindow], *, ended: int) -> dict[str, Any]:
    """Return the `data` of the two events about refused usage.

    Args:
        rows: One a reason, all of one window and meter.
        ended: The window's end in Unix seconds.
    """
    count = sum(row.errors for row in rows)
    events = "is 1 invalid event" if count == 1 else f"are {count} invalid events"
    return {
        "developer_message_summary": f"There {events}",
        "reason": {
            "error_count": count,
            "error_types": [
                {
                    "code": row.reason,
                    "error_count": row.errors,
                    "sample_errors": [
                        {
                            "error_message": sample["message"],
                            "request": {"identifier": sample["identifier"] or ""},
                        }
                        for sample in row.samples
                    ],
                }
                for row in rows
            ],
        },
        "validation_end": format_instant(ended * 1000),
        "validation_start": format_instant(rows[0].started * 1000),
    }


def render_notification(event: ThinEvent) -> dict[str, Any]:
    """Return a `v2.core.event` as destinations are told of it: without `data` and `changes`."""
    related = None
    if event.object_type is not None and event.object_id is not None:
        url = f"{_PATHS[event.object_type]}/{event.object_id}"
        related = {"id": event.object_id, "type": event.object_type, "url": url}
    reason = None
    if event.request_id is not None:
        request = {"id": event.request_id, "idempotency_key": event.idempotency_key or ""}
        reason = {"type": "request", "request": request}
    return {
        "id": event.id,
        "object": "v2.core.event",
        "context": None,
        "created": format_instant(event.created_ms),
        "livemode": event.livemode,
        "reason": reason,
        "related_object": related,
        "snapshot_event": None,
        "type": event.type,
    }


def render_thin_event(event: ThinEvent) -> dict[str, Any]:
    """Return a whole `v2.core.event`; it has `data` only where there is something to tell."""
    rendered = {**render_notification(event), "changes": None}
    return {**rendered, "data": event.data} if event.data else rendered


def render_destination(
    endpoint: WebhookEndpoint, *, with_url: bool, secret: str | None = None
) -> dict[str, Any]:
    """Return a `v2.core.event_destination`.

    Args:
        endpoint: One that is a destination.
        with_url: Whether its URL was asked for.
        secret: Shown when it is made, and never again.
    """
    is_disabled = endpoint.status == "disabled"
    return {
        "id": endpoint.id,
        "object": "v2.core.event_destination",
        "amazon_eventbridge": None,
        "azure_event_grid": None,
        "created": format_instant(endpoint.created * 1000),
        "description": endpoint.description or "",
        "enabled_events": endpoint.enabled_events,
        "event_payload": endpoint.event_payload,
        "events_from": ["@self"],
        "livemode": endpoint.livemode,
        "metadata": endpoint.metadata,
        "name": endpoint.name,
        "snapshot_api_version": endpoint.api_version,
        "status": endpoint.status,
        "status_details": {"disabled": {"reason": "user"}} if is_disabled else None,
        "type": "webhook_endpoint",
        "updated": format_instant(endpoint.updated_ms or endpoint.created * 1000),
        "webhook_endpoint": {
            "signing_secret": secret,
            "standard_webhooks": endpoint.standard_webhooks,
            "url": endpoint.url if with_url else None,
        },
    }
