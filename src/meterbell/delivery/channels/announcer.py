"""A trigger's event to a notification channel: one attempt."""

from typing import Protocol

import structlog

from meterbell.channel import NotificationChannel
from meterbell.delivery.channels.message import fill, values_of
from meterbell.delivery.outcome import Outcome
from meterbell.errors import SecretUnreadableError
from meterbell.records import Event
from meterbell.store import channel_tables
from meterbell.store.base import Store
from meterbell.store.sealing import row
from meterbell.vault import Vault

logger = structlog.get_logger(__name__)


class Sends(Protocol):
    """What sends notices."""

    async def send(self, url: str, *, livemode: bool, title: str, body: str) -> Outcome:
        """Send a notice and return what came of it."""


class Announcer:
    """Makes attempts for channels, as the sender does for webhook endpoints."""

    def __init__(self, *, store: Store, vault: Vault, notifier: Sends) -> None:
        """Prepare.

        Args:
            store: Where the names of customers and meters are read.
            vault: Opens the URLs of channels.
            notifier: Sends.
        """
        self._store = store
        self._vault = vault
        self._notifier = notifier

    async def send(self, channel: NotificationChannel, event: Event) -> Outcome:
        """Tell of a trigger and return what came of it; raises nothing."""
        about = row(channel_tables.notification_channel, channel.id)
        try:
            url = self._vault.open(channel.url, about=about)
        except SecretUnreadableError as error:
            logger.error("notice can't be sent", channel=channel.id, error=str(error))  # noqa: TRY400 - the message says it all
            return Outcome("secret_unreadable")
        try:
            values = values_of(event, self._store.reader)
        except Exception:
            logger.exception("event can't be read", channel=channel.id, event_id=event.id)
            return Outcome("event_unreadable")
        try:
            title, body = fill(channel, values)
        except Exception:
            logger.exception("notice can't be sent", channel=channel.id, event_id=event.id)
            return Outcome("not_sendable")
        try:
            return await self._notifier.send(url, livemode=channel.livemode, title=title, body=body)
        except Exception:
            logger.exception("notice failed unexpectedly", channel=channel.id, event_id=event.id)
            return Outcome("internal_error")
