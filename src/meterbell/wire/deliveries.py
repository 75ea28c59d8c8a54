"""Deliveries, attempts and how an endpoint is, as JSON. All of it is ours."""

from collections.abc import Mapping, Sequence
from typing import Any

from meterbell.channel import NotificationChannel
from meterbell.records import Attempt, Delivery, DeliveryStatus, EndpointHealth, WebhookEndpoint
from meterbell.wire.instants import format_instant

_PREFIX = "dlv_"


def delivery_id(delivery: Delivery) -> str:
    """Return the id under which a delivery is shown."""
    return f"{_PREFIX}{delivery.number}"


def parse_delivery_id(text: str) -> int | None:
    """Return the number in a delivery's id; None if it is none."""
    digits = text.removeprefix(_PREFIX)
    is_id = text.startswith(_PREFIX) and digits.isascii() and digits.isdecimal()
    return int(digits) if is_id and len(digits) <= 18 else None  # noqa: PLR2004 - within 64 bits


def render_delivery(
    delivery: Delivery, *, attempts: Sequence[Attempt] | None = None
) -> dict[str, Any]:
    """Return a `meterbell.delivery`, with its attempts if they are given."""
    rendered = {
        "id": delivery_id(delivery),
        "object": "meterbell.delivery",
        "attempt_count": delivery.attempts,
        "created": format_instant(delivery.created_ms),
        "event": delivery.event,
        "livemode": delivery.livemode,
        "next_attempt": _instant(delivery.next_attempt_at_ms),
        "resent": _instant(delivery.resent_ms),
        "status": delivery.status,
        "webhook_endpoint": delivery.endpoint,
    }
    if attempts is not None:
        rendered["attempts"] = [render_attempt(attempt) for attempt in attempts]
    return rendered


def render_attempt(attempt: Attempt) -> dict[str, Any]:
    """Return a `meterbell.attempt`; what is no UTF-8 in the answer is shown as a replacement."""
    return {
        "object": "meterbell.attempt",
        "attempt": attempt.attempt,
        "delivery": f"{_PREFIX}{attempt.delivery}",
        "duration_ms": attempt.duration_ms,
        "manual": attempt.manual,
        "outcome": attempt.outcome,
        "response": attempt.response.decode(errors="replace"),
        "started": format_instant(attempt.started_at_ms),
        "status_code": attempt.status_code,
    }


def render_health(
    endpoint: WebhookEndpoint | NotificationChannel,
    health: EndpointHealth,
    *,
    counts: Mapping[DeliveryStatus, int],
    attempts: Sequence[Attempt],
    now_ms: int,
) -> dict[str, Any]:
    """Return a `meterbell.webhook_endpoint_health`."""
    disabled = None
    if endpoint.status == "disabled":
        disabled = {
            "at": _instant(health.disabled_at_ms),
            "reason": health.disabled_reason or "user",
        }
    return {
        "object": "meterbell.webhook_endpoint_health",
        "attempts": [render_attempt(attempt) for attempt in attempts],
        "circuit": {
            "failing_since": _instant(health.failing_since_ms),
            "failures": health.failures,
            "next_probe": _instant(health.probe_at_ms),
            "state": circuit_state(health, now_ms=now_ms),
        },
        "deliveries": dict(counts),
        "disabled": disabled,
        "livemode": endpoint.livemode,
        "status": endpoint.status,
        "webhook_endpoint": endpoint.id,
    }


def render_resent(
    endpoint: WebhookEndpoint | NotificationChannel, *, count: int, last: Delivery | None
) -> dict[str, Any]:
    """Return a `meterbell.resent`: how many deliveries were put back, and where to go on."""
    return {
        "object": "meterbell.resent",
        "has_more": last is not None,
        "last": None if last is None else delivery_id(last),
        "resent": count,
        "webhook_endpoint": endpoint.id,
    }


def circuit_state(health: EndpointHealth, *, now_ms: int) -> str:
    """Return `closed`, `open`, or `half_open` while a probe is due or under way."""
    if not health.is_open:
        return "closed"
    return "open" if (health.probe_at_ms or 0) > now_ms else "half_open"


def _instant(milliseconds: int | None) -> str | None:
    return None if milliseconds is None else format_instant(milliseconds)
