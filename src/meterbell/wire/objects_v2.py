"""Domain objects as v2 JSON, field by field as Stripe's types name them (contract §2.6, §2.12)."""

from typing import Any

from meterbell.engine.model import MeterEvent
from meterbell.wire.instants import format_instant


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
