"""An event to an endpoint once more, because somebody asks for it."""

import msgspec

from meterbell.ledger.transaction import Transaction
from meterbell.records import Delivery, Event, WebhookEndpoint
from meterbell.store.tables import delivery as table


def deliver_again(transaction: Transaction, event: Event, endpoint: WebhookEndpoint) -> Delivery:
    """Put an event for an endpoint into the outbox, due at once, whatever became of it before.

    A delivery whose schedule is over gets one more attempt.
    """
    objects = transaction.objects
    found = objects.find(
        Delivery, table.c.event == event.id, table.c.endpoint == endpoint.id, limit=1
    )
    if not found:
        return transaction.add_delivery(event, endpoint)
    (before,) = found
    due = {"status": "pending", "next_attempt_at_ms": transaction.now_ms}
    objects.update(Delivery, table.c.number == before.number, **due)
    delivery = msgspec.structs.replace(before, **due)
    transaction.deliveries.append(delivery)
    return delivery
