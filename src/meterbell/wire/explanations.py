"""Why an alert fired or did not, as JSON and as a sentence. Ours, shaped like Stripe's objects."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from meterbell.engine.explain import Explanation, Outcome
from meterbell.engine.model import MeterEvent
from meterbell.engine.value import SCALE, format_value
from meterbell.records import Delivery, TriggerRecord

_REASONS: dict[Outcome, str] = {
    "customer_unknown": "There is no customer {customer} in {mode} mode, so it has no usage.",
    "other_customer": "This alert watches {only} only.",
    "archived": "The alert was archived, which is final: it never triggers again.",
    "inactive": "The alert is deactivated{since} and never triggers.",
    "meter_inactive": "The meter is inactive{since} and takes no usage, so nothing triggers.",
    "customer_deleted": "The customer was deleted, so no more usage is taken.",
    "no_usage": "No usage of this meter has come for {customer}.",
    "below": "",
    "due": "",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fired:
    """A trigger with what caused it and what came of it.

    Attributes:
        meter_event: What caused it; None if it was the alert's creation, or is not kept any more.
        cancelled: Whether that meter event was cancelled since; the trigger stays (C6).
        deliveries: Of its event, one for each endpoint that wanted it.
    """

    record: TriggerRecord
    meter_event: MeterEvent | None
    cancelled: bool
    deliveries: Sequence[Delivery]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """An explanation with all that is on record about it.

    Attributes:
        fired: The trigger, if there is one.
        since_ms: Since when it is as the outcome says, where that is known: when the alert or the
            meter was switched off.
    """

    explanation: Explanation
    fired: Fired | None
    since_ms: int | None


def render_explanation(explained: Explained) -> dict[str, Any]:
    """Return a `billing.alert_explanation`; decimals are exact, as strings."""
    found = explained.explanation
    return {
        "object": "billing.alert_explanation",
        "alert": found.alert.id,
        "customer": found.customer,
        "explanation": sentence(explained),
        "gte": found.alert.gte,
        "livemode": found.alert.livemode,
        "meter": found.meter.id,
        "not_counted": _decimal(found.not_counted),
        "outcome": found.outcome,
        "remaining": _decimal(found.remaining),
        "since": None if explained.since_ms is None else explained.since_ms // 1000,
        "trigger": None if explained.fired is None else _render_fired(explained.fired),
        "usage": _decimal(found.usage),
    }


def sentence(explained: Explained) -> str:
    """Return the explanation for people, in a sentence or two."""
    found = explained.explanation
    if found.outcome == "triggered":
        return _triggered(found, explained.fired)
    reason = _REASONS[found.outcome].format(
        customer=found.customer,
        only=found.alert.customer,
        mode="live" if found.alert.livemode else "test",
        since="" if explained.since_ms is None else f" since {show_instant(explained.since_ms)}",
    )
    sentences = [reason, _distance(found)]
    if found.outcome == "due":
        sentences.append("It triggers at the customer's next usage.")
    if found.outcome == "inactive" and found.remaining == 0:
        sentences.append("Activated, it triggers at the customer's next usage.")
    return " ".join(text for text in sentences if text)


def show_instant(at_ms: int) -> str:
    """Return an instant for people, to the second: `2026-01-01 00:00:00 UTC`."""
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def grouped(value: int) -> str:
    """Return a count of 10^-12 with its thousands set apart: `66,300.5`."""
    whole, point, fraction = format_value(abs(value)).partition(".")
    return f"{'-' if value < 0 else ''}{int(whole):,}{point}{fraction}"


def _triggered(found: Explanation, fired: Fired | None) -> str:
    if fired is None:
        return "It has triggered."
    record, event = fired.record, fired.meter_event
    whole, point, fraction = record.value.partition(".")
    text = f"Triggered at {int(whole):,}{point}{fraction} on {show_instant(record.created_ms)}"
    if record.sequence == found.alert.created_sequence:
        return f"{text}, as it was created: the usage was there already."
    if event is None:
        return f"{text}, by a meter event that is not kept any more."
    cancelled = " That was cancelled since; what triggered stays." if fired.cancelled else ""
    return f"{text}, by the meter event {event.identifier}.{cancelled}"


def _distance(found: Explanation) -> str:
    """Return how far the usage is and what of it does not count; nothing if that is not known."""
    if found.usage is None:
        return ""
    text = f"Usage is at {grouped(found.usage)} of {grouped(found.alert.gte * SCALE)}"
    text += f", {grouped(found.remaining)} to go." if found.remaining else "."
    if found.not_counted:
        text += f" {grouped(found.not_counted)} from before the alert was created does not count."
    return text


def _render_fired(fired: Fired) -> dict[str, Any]:
    record, event = fired.record, fired.meter_event
    shown = None
    if event is not None:
        shown = {
            "cancelled": fired.cancelled,
            "created": event.received_at_ms // 1000,
            "identifier": event.identifier,
            "timestamp": event.timestamp,
        }
    return {
        "created": record.created_ms // 1000,
        "deliveries": [_render_delivery(delivery) for delivery in fired.deliveries],
        "event": record.event,
        "meter_event": shown,
        "sequence": record.sequence,
        "value_decimal": record.value,
    }


def _render_delivery(delivery: Delivery) -> dict[str, Any]:
    due_ms = delivery.next_attempt_at_ms
    return {
        "attempts": delivery.attempts,
        "endpoint": delivery.endpoint,
        "next_attempt": None if due_ms is None else due_ms // 1000,
        "status": delivery.status,
    }


def _decimal(value: int | None) -> str | None:
    return None if value is None else format_value(value)
