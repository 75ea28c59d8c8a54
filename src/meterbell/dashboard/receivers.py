"""What deliveries are for, as pages name it and link to it: webhook endpoints and channels."""

from meterbell.channel import CHANNEL_PREFIX, NotificationChannel
from meterbell.dashboard.visit import Visit
from meterbell.ledger.deliveries import Receiver
from meterbell.records import WebhookEndpoint


def find_receiver(visit: Visit, receiver_id: str) -> Receiver | None:
    """Return the endpoint or the channel with an id; None if it was deleted."""
    objects, livemode = visit.services.store.reader, visit.livemode
    if receiver_id.startswith(CHANNEL_PREFIX):
        return objects.get(NotificationChannel, receiver_id, livemode=livemode)
    return objects.get(WebhookEndpoint, receiver_id, livemode=livemode)


def receiver_name(receiver: Receiver) -> str:
    """Return what an endpoint or a channel is known by."""
    return receiver.name if isinstance(receiver, NotificationChannel) else receiver.url


def receiver_href(visit: Visit, receiver: Receiver) -> str:
    """Return where an endpoint or a channel is shown."""
    section = "channels" if isinstance(receiver, NotificationChannel) else "webhooks"
    return visit.url(f"/{section}/{receiver.id}")
