"""What is done to endpoints, channels and their deliveries by hand or for good: resend, disable.

What concerns many deliveries is done in pieces, each a command of its own: meter events are
committed between them.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import ColumnElement, func

from meterbell.channel import CHANNEL_PREFIX, NotificationChannel
from meterbell.ledger.transaction import Transaction
from meterbell.records import (
    Delivery,
    DeliveryStatus,
    DisabledReason,
    EndpointHealth,
    Event,
    ThinEvent,
    WebhookEndpoint,
)
from meterbell.store import tables
from meterbell.store.deliveries import health_of
from meterbell.store.objects import Objects, table_of
from meterbell.wire.objects import render_disabled

Receiver = WebhookEndpoint | NotificationChannel
"""What deliveries are for."""

ENDPOINT_DISABLED = "meterbell.webhook_endpoint.disabled"
CHANNEL_DISABLED = "meterbell.notification_channel.disabled"
PIECE_MAX = 200
"""Deliveries that one command looks at and changes; more would hold up other commits."""

_delivery = tables.delivery.c


def resend(transaction: Transaction, event: Event | ThinEvent, endpoint: Receiver) -> Delivery:
    """Put an event into the outbox again for an endpoint, by hand, and return its delivery.

    Its schedule begins anew and ends with the first success; it is due at once, even if the
    endpoint's circuit is open. If the event was never meant for the endpoint, it is now.

    Args:
        transaction: Where it happens.
        event: The event.
        endpoint: An enabled endpoint, in the event's mode.
    """
    found = transaction.objects.fetch_all(Delivery, event=event.id, endpoint=endpoint.id)
    delivery = found[0] if found else transaction.add_delivery(event, endpoint)
    return _put_back(transaction, endpoint, [delivery])[0]


class Resent(NamedTuple):
    """What became of one piece of the failed deliveries.

    Attributes:
        deliveries: Those that were put back.
        last: Where the next piece begins: after this delivery. None if there is no more.
    """

    deliveries: Sequence[Delivery]
    last: Delivery | None


def resend_failed(
    transaction: Transaction, endpoint: Receiver, *, since_ms: int, after: int = 0
) -> Resent:
    """Put a piece of the failed deliveries into the outbox again, the oldest first.

    Args:
        transaction: Where it happens.
        endpoint: An enabled endpoint.
        since_ms: Deliveries made earlier stay as they are.
        after: Number of the last delivery of the piece before. What fails again meanwhile is
            therefore in no later piece.
    """
    failed = _piece(transaction.objects, endpoint.id, "failed", after=after)
    again = [delivery for delivery in failed if delivery.created_ms >= since_ms]
    return Resent(
        _put_back(transaction, endpoint, again) if again else [],
        failed[-1] if len(failed) == PIECE_MAX else None,
    )


def cancel_some(transaction: Transaction, endpoint_id: str) -> bool:
    """Cancel a piece of what waits for an endpoint or a channel that is no more.

    Returns:
        Whether there may be more, which its lane cancels.
    """
    waiting = _piece(transaction.objects, endpoint_id, "pending")
    _end(transaction, waiting, status="canceled")
    return len(waiting) == PIECE_MAX


def find_waiting(objects: Objects, endpoint_id: str, *, after: int) -> Sequence[Delivery]:
    """Return a piece of what waits for an endpoint, after the delivery with a number."""
    return _piece(objects, endpoint_id, "pending", after=after)


def fail_old(
    transaction: Transaction, waiting: Sequence[Delivery], *, begun_before_ms: int
) -> None:
    """Let a piece of what waits for an endpoint fail without another attempt.

    Args:
        transaction: Where it happens.
        waiting: The piece, as it was a moment ago.
        begun_before_ms: What was resent meanwhile is not that old any more, and waits on.
    """
    begun_ms = func.coalesce(_delivery.resent_ms, _delivery.created_ms)
    _end(transaction, waiting, begun_ms < begun_before_ms, status="failed")


def _piece(
    objects: Objects, endpoint_id: str, status: DeliveryStatus, *, after: int = 0
) -> list[Delivery]:
    # In the order of an index, so only what is returned is read.
    return objects.find(
        Delivery,
        _delivery.endpoint == endpoint_id,
        _delivery.status == status,
        _delivery.number > after,
        limit=PIECE_MAX,
    )


def _end(
    transaction: Transaction,
    waiting: Sequence[Delivery],
    *where: ColumnElement[bool],
    status: DeliveryStatus,
) -> None:
    transaction.objects.update(
        Delivery,
        _delivery.number.in_([delivery.number for delivery in waiting]),
        _delivery.status == "pending",
        *where,
        status=status,
        next_attempt_at_ms=None,
    )


def _put_back(
    transaction: Transaction, endpoint: Receiver, deliveries: Sequence[Delivery]
) -> list[Delivery]:
    changes = {
        "status": "pending",
        "attempts": 0,
        "next_attempt_at_ms": transaction.now_ms,
        # Never the same twice, so that an attempt in flight is known to be an earlier one's.
        "resent_ms": max([transaction.now_ms, *((one.resent_ms or 0) + 1 for one in deliveries)]),
    }
    numbers = [delivery.number for delivery in deliveries]
    transaction.objects.update(Delivery, _delivery.number.in_(numbers), **changes)
    # Somebody says that it is well again, so nobody waits for the next probe.
    transaction.objects.update(
        EndpointHealth,
        tables.endpoint_health.c.endpoint == endpoint.id,
        tables.endpoint_health.c.probe_at_ms.is_not(None),
        probe_at_ms=transaction.now_ms,
    )
    again = [msgspec.structs.replace(delivery, **changes) for delivery in deliveries]
    transaction.deliveries += again
    return again


def disable(transaction: Transaction, endpoint: Receiver, *, reason: DisabledReason) -> None:
    """Disable an endpoint and keep why and when; if nobody asked for it, tell the others."""
    kind = type(endpoint)
    transaction.objects.update(kind, table_of(kind).c.id == endpoint.id, status="disabled")
    transaction.forget_endpoints()
    health = health_of(transaction.objects, endpoint.id)
    transaction.objects.put(
        msgspec.structs.replace(health, disabled_at_ms=transaction.now_ms, disabled_reason=reason)
    )
    if reason != "user":
        disabled = msgspec.structs.replace(endpoint, status="disabled")
        transaction.emit(
            ENDPOINT_DISABLED if isinstance(endpoint, WebhookEndpoint) else CHANNEL_DISABLED,
            render_disabled(disabled, reason=reason, disabled_at=transaction.now),
            livemode=endpoint.livemode,
        )


def remove(transaction: Transaction, endpoint: Receiver) -> None:
    """Delete an endpoint; what was not delivered to it is given up."""
    kind = type(endpoint)
    transaction.objects.delete(kind, table_of(kind).c.id == endpoint.id)
    forgive(transaction, endpoint)
    cancel_some(transaction, endpoint.id)
    transaction.forget_endpoints()


def forgive(transaction: Transaction, endpoint: Receiver) -> None:
    """Forget how an endpoint failed, because it was enabled or has another address now."""
    transaction.objects.delete(EndpointHealth, tables.endpoint_health.c.endpoint == endpoint.id)


def find_receiver(objects: Objects, endpoint_id: str, *, livemode: bool) -> Receiver | None:
    """Return an endpoint or a channel as it is now, or None if it was deleted."""
    if endpoint_id.startswith(CHANNEL_PREFIX):
        return objects.get(NotificationChannel, endpoint_id, livemode=livemode)
    return objects.get(WebhookEndpoint, endpoint_id, livemode=livemode)
