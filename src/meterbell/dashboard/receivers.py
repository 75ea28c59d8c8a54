"""What deliveries are for, as pages name it and link to it: webhook endpoints and channels."""

from collections.abc import Sequence

from meterbell.channel import NotificationChannel
from meterbell.dashboard.lists import PAGE_ITEMS, Listed, cursors, listed
from meterbell.dashboard.states import State, state_of_endpoint
from meterbell.dashboard.visit import Visit
from meterbell.ledger import deliveries
from meterbell.ledger.deliveries import Receiver
from meterbell.records import Delivery, DeliveryStatus
from meterbell.store.deliveries import health_of, page_deliveries


def find_receiver(visit: Visit, receiver_id: str) -> Receiver | None:
    """Return the endpoint or the channel with an id; None if it was deleted."""
    objects = visit.services.store.reader
    return deliveries.find_receiver(objects, receiver_id, livemode=visit.livemode)


def state_of_receiver(visit: Visit, receiver: Receiver) -> State:
    """Return how an endpoint or a channel is."""
    health = health_of(visit.services.store.reader, receiver.id)
    return state_of_endpoint(receiver, health, now_ms=visit.services.clock.now_ms())


def deliveries_to(
    visit: Visit,
    receiver: Receiver,
    statuses: Sequence[DeliveryStatus],
    *,
    items: int = PAGE_ITEMS,
) -> Listed[Delivery]:
    """Return the page of a receiver's deliveries that the visit's cursors name, newest first."""
    after, before = cursors(visit)
    objects = visit.services.store.reader
    found = page_deliveries(
        objects, receiver.id, statuses=statuses, limit=items, after=after, before=before
    )
    return listed(visit, found)


def receiver_name(receiver: Receiver) -> str:
    """Return what an endpoint or a channel is known by."""
    return receiver.name if isinstance(receiver, NotificationChannel) else receiver.url


def receiver_href(visit: Visit, receiver: Receiver) -> str:
    """Return where an endpoint or a channel is shown."""
    section = "channels" if isinstance(receiver, NotificationChannel) else "webhooks"
    return visit.url(f"/{section}/{receiver.id}")
