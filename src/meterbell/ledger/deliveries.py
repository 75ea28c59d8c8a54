"""What is done to endpoints, channels and their deliveries by hand or for good: resend, disable."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import func

from meterbell.channel import NotificationChannel
from meterbell.ledger.transaction import Transaction
from meterbell.records import (
    Delivery,
    DisabledReason,
    EndpointHealth,
    Event,
    ThinEvent,
    WebhookEndpoint,
)
from meterbell.store import tables
from meterbell.store.objects import Objects, table_of
from meterbell.wire.objects import render_disabled

Receiver = WebhookEndpoint | NotificationChannel
"""What deliveries are for."""

ENDPOINT_DISABLED = "meterbell.webhook_endpoint.disabled"
CHANNEL_DISABLED = "meterbell.notification_channel.disabled"
RESEND_MAX = 500
"""Deliveries that are put back at a time; more would hold up other commits."""

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


def resend_failed(
    transaction: Transaction, endpoint: Receiver, *, since_ms: int
) -> Sequence[Delivery]:
    """Put failed deliveries into the outbox again, the oldest first, `RESEND_MAX` at a time.

    Args:
        transaction: Where it happens.
        endpoint: An enabled endpoint.
        since_ms: Deliveries made earlier stay as they are.
    """
    failed = transaction.objects.find(
        Delivery,
        _delivery.endpoint == endpoint.id,
        _delivery.status == "failed",
        _delivery.created_ms >= since_ms,
        limit=RESEND_MAX,
    )
    return _put_back(transaction, endpoint, failed)


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
    if numbers:
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
    transaction.objects.update(
        Delivery,
        _delivery.endpoint == endpoint.id,
        _delivery.status == "pending",
        status="canceled",
        next_attempt_at_ms=None,
    )
    transaction.forget_endpoints()


def forgive(transaction: Transaction, endpoint: Receiver) -> None:
    """Forget how an endpoint failed, because it was enabled or has another address now."""
    transaction.objects.delete(EndpointHealth, tables.endpoint_health.c.endpoint == endpoint.id)


def health_of(objects: Objects, endpoint_id: str) -> EndpointHealth:
    """Return how an endpoint is, as those who read these objects see it."""
    found = objects.fetch(EndpointHealth, endpoint=endpoint_id)
    return found or EndpointHealth(endpoint=endpoint_id)


begun_ms = func.coalesce(_delivery.resent_ms, _delivery.created_ms)
"""When the schedule of a delivery began, as a column."""
