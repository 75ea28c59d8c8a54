"""What deliveries are for, as pages name it and link to it: webhook endpoints and channels."""

from meterbell.channel import NotificationChannel
from meterbell.dashboard.visit import Visit
from meterbell.ledger.deliveries import Receiver


def receiver_name(receiver: Receiver) -> str:
    """Return what an endpoint or a channel is known by."""
    return receiver.name if isinstance(receiver, NotificationChannel) else receiver.url


def receiver_href(visit: Visit, receiver: Receiver) -> str:
    """Return where an endpoint or a channel is shown."""
    section = "channels" if isinstance(receiver, NotificationChannel) else "webhooks"
    return visit.url(f"/{section}/{receiver.id}")
