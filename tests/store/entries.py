"""Log entries and rows for store tests, with defaults that don't matter."""

from meterbell.engine.model import Meter, MeterEvent
from meterbell.engine.value import parse_value
from meterbell.ids import CustomerId
from meterbell.records import Delivery, Event
from meterbell.store.base import Store
from tests.builders import NOW, make_meter


def add_meter(store: Store, meter: Meter | None = None) -> Meter:
    """Store a meter, which log entries refer to, and return it."""
    meter = meter or make_meter()
    with store.transaction():
        store.writer.insert(meter)
    return meter


def make_entry(
    sequence: int,
    *,
    value: str = "1",
    received_at_ms: int = NOW * 1000,
    meter: Meter | None = None,
    identifier: str | None = None,
    payload: dict[str, str] | None = None,
    previous: int = 0,
    request_key: bytes = b"",
    request_digest: bytes = b"",
) -> MeterEvent:
    """Return an accepted meter event of `make_meter()`."""
    meter = meter or make_meter()
    return MeterEvent(
        sequence=sequence,
        livemode=meter.livemode,
        meter=meter.id,
        customer=CustomerId("cus_a"),
        identifier=identifier or f"identifier_{sequence}",
        timestamp=NOW,
        value=parse_value(value, param="value"),
        payload=payload or {"stripe_customer_id": "cus_a", "value": value},
        previous=previous,
        received_at_ms=received_at_ms,
        request_key=request_key,
        request_digest=request_digest,
    )


def make_event(name: str, *, livemode: bool = False) -> Event:
    """Return an event that is not stored yet."""
    return Event(
        id=f"evt_{name}",
        livemode=livemode,
        created=NOW,
        type="customer.created",
        api_version="2026-10-28.endive",
        data={"object": {"id": "cus_a", "metadata": {"näme": "☃"}}},
        deliveries=0,
        request_id=None,
        idempotency_key=None,
    )


def make_delivery(event: str, *, next_attempt_at_ms: int | None) -> Delivery:
    """Return a pending delivery that is not stored yet."""
    return Delivery(
        event=event,
        endpoint="we_a",
        livemode=False,
        created_ms=NOW * 1000,
        status="pending",
        attempts=0,
        next_attempt_at_ms=next_attempt_at_ms,
    )
