"""What became of deliveries, and how endpoints are, in words for people."""

from collections.abc import Sequence
from dataclasses import dataclass

from meterbell.ledger.deliveries import Receiver
from meterbell.records import Attempt, Delivery, EndpointHealth
from meterbell.wire.deliveries import circuit_state

_OUTCOMES = {
    "succeeded": "Delivered",
    "timeout": "No answer in time",
    "dns_error": "Its name was not found",
    "connection_refused": "Connection refused",
    "connection_closed": "Connection closed without an answer",
    "connection_failed": "Can't be connected to",
    "tls_error": "TLS failed: look at its certificate",
    "bad_answer": "What came was no HTTP answer",
    "redirect": "Answered with a redirect, which is not followed",
    "address_denied": "The egress policy denies its address",
    "bad_url": "Its URL can't be read",
    "secret_unreadable": "Its secret can't be decrypted",
    "event_missing": "The event is not there any more",
    "event_unreadable": "The event can't be read",
    "not_sendable": "The event can't be sent",
    "internal_error": "An error of meterbell, told in its log",
}
_STATUS = "status_"
_WHY_DISABLED = {
    "gone": "It answered 410 Gone, so it wants nothing more.",
    "failing": "It did nothing but fail for five days.",
}


@dataclass(frozen=True, slots=True)
class State:
    """A state in a word.

    Attributes:
        why: A sentence more; empty if there is nothing to add.
        at_ms: When it began, or ends: the sentence says which; 0 for neither.
    """

    word: str
    tone: str
    why: str = ""
    at_ms: int = 0


def state_of_delivery(delivery: Delivery) -> State:
    """Return what became of a delivery."""
    match delivery.status:
        case "succeeded":
            return State("Delivered", "good")
        case "failed":
            return State("Failed", "bad")
        case "canceled":
            return State("Canceled", "calm")
        case "pending":
            return State("Retrying", "warn") if delivery.attempts else State("Pending", "calm")


def state_of_deliveries(deliveries: Sequence[Delivery]) -> State:
    """Return what became of the deliveries of one event: the worst of it."""
    if not deliveries:
        return State("Nobody to tell", "calm")
    states = [state_of_delivery(delivery) for delivery in deliveries]
    for tone in ("bad", "warn", "calm"):
        for state in states:
            if state.tone == tone:
                return state
    return states[0]


def state_of_attempt(attempt: Attempt) -> State:
    """Return what came of an attempt."""
    return State(
        outcome_words(attempt.outcome), "good" if attempt.outcome == "succeeded" else "bad"
    )


def again_words(delivery: Delivery) -> str:
    """Return what the button says that sends a delivery again."""
    return "Send now" if delivery.status == "pending" else "Resend"


def state_of_endpoint(endpoint: Receiver, health: EndpointHealth, *, now_ms: int) -> State:
    """Return how an endpoint is."""
    if endpoint.status == "disabled":
        why = _WHY_DISABLED.get(health.disabled_reason or "")
        at_ms = health.disabled_at_ms or 0
        if why is None:
            return State("Disabled", "calm", "Somebody disabled it.", at_ms)
        return State("Disabled", "bad", why, at_ms)
    if circuit_state(health, now_ms=now_ms) != "closed":
        why = f"{health.failures} failures in a row: only a probe is sent until it answers, next"
        return State("Circuit open", "bad", why, health.probe_at_ms or 0)
    if health.failures:
        times = "once" if health.failures == 1 else f"{health.failures} times in a row"
        return State("Failing", "warn", f"It failed {times}, first", health.failing_since_ms or 0)
    return State("Enabled", "good")


def outcome_words(outcome: str) -> str:
    """Return what came of an attempt, for people."""
    if outcome.startswith(_STATUS):
        return f"Answered {outcome.removeprefix(_STATUS)}"
    return _OUTCOMES.get(outcome, outcome.replace("_", " ").capitalize())
