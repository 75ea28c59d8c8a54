"""Log entries and rows for store tests, with defaults that don't matter."""

from meterbell.engine.model import EventRow, EventRun, Meter
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
    value: str | None = "1",
    received_at_ms: int = NOW * 1000,
    meter: Meter | None = None,
    identifier: str | None = None,
    rest: dict[str, str] | None = None,
    previous: int = 0,
    request_key: bytes = b"",
    request_digest: bytes = b"",
) -> EventRun:
    """Return an accepted meter event of `make_meter()` by itself."""
    row = EventRow(
        meter=(meter or make_meter()).id,
        customer=CustomerId("cus_a"),
        identifier=identifier or f"identifier_{sequence}",
        timestamp=NOW,
        value=value,
        previous=previous,
        rest=rest,
        request_key=request_key,
        request_digest=request_digest,
    )
    return EventRun.of(sequence, received_at_ms, [row])


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
