"""Meter events as the log holds them, and as everything else wants to read them."""

from meterbell.engine.model import EventRow, Meter, MeterEvent
from meterbell.engine.value import SCALE, parse_value


def event_of(meter: Meter, row: EventRow, sequence: int, received_at_ms: int) -> MeterEvent:
    """Return the meter event that a row of the log stands for."""
    _, customer, identifier, timestamp, value, previous, rest, key, digest = row
    payload = {**(rest or {}), meter.customer_key: customer}
    if value is not None:
        payload[meter.value_key] = value
    return MeterEvent(
        sequence=sequence,
        livemode=meter.livemode,
        meter=meter.id,
        customer=customer,
        identifier=identifier,
        timestamp=timestamp,
        value=value_of(meter, value),
        payload=payload,
        previous=previous,
        received_at_ms=received_at_ms,
        request_key=key,
        request_digest=digest,
    )


def value_of(meter: Meter, text: str | None) -> int:
    """Return what an accepted event adds, in units of 10^-12; a `count` meter counts events."""
    if meter.formula == "count":
        return SCALE
    assert text is not None, "a meter that reads a value accepts no event without one"
    return parse_value(text, param=meter.value_key)


def rest_of(meter: Meter, payload: dict[str, str]) -> dict[str, str] | None:
    """Return what a payload holds besides customer and value."""
    own = (meter.customer_key in payload) + (meter.value_key in payload)
    if len(payload) == own:
        return None
    own_keys = (meter.customer_key, meter.value_key)
    return {key: text for key, text in payload.items() if key not in own_keys} or None
