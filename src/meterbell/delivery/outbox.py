"""Deliveries and attempts in the database: what is due, what came of it.

Writes go through the commit queue like everything else.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import msgspec
import structlog

from meterbell.clock import Clock
from meterbell.delivery.circuit import after_attempt, is_given_up
from meterbell.delivery.outcome import Outcome
from meterbell.delivery.schedule import (
    JITTER_MAX,
    next_attempt_at_ms,
    oldest_kept_ms,
    parse_retry_after,
)
from meterbell.ids import IdSource
from meterbell.ledger.committer import Committer
from meterbell.ledger.deliveries import (
    PIECE_MAX,
    Receiver,
    cancel_some,
    disable,
    fail_old,
    find_receiver,
    find_waiting,
)
from meterbell.ledger.transaction import Transaction
from meterbell.records import (
    Attempt,
    Delivery,
    DeliveryStatus,
    EndpointHealth,
    Event,
    ThinEvent,
    WebhookEndpoint,
)
from meterbell.store.base import Store
from meterbell.store.deliveries import health_of
from meterbell.store.endpoint_secrets import secrets_of
from meterbell.vault import Vault
from meterbell.wire.signing import signed_headers

_GONE = 410

logger = structlog.get_logger(__name__)

OnAttempt = Callable[[str, int, int], None]
"""Told an attempt's outcome, its number for the delivery, and the milliseconds from the event's
commit to its end."""


def _ignore(_outcome: str, _attempt: int, _milliseconds: int) -> None:
    pass


class Outbox:
    """The deliveries that are not done."""

    def __init__(
        self,
        store: Store,
        committer: Committer,
        clock: Clock,
        ids: IdSource,
        *,
        vault: Vault,
        on_attempt: OnAttempt = _ignore,
    ) -> None:
        """Prepare.

        Args:
            store: Where deliveries are read.
            committer: Where they are changed.
            clock: The present.
            ids: Where the jitter of retries comes from.
            vault: Opens the secrets of endpoints.
            on_attempt: Told of each attempt once it is on record.
        """
        self._on_attempt = on_attempt
        self._store = store
        self._committer = committer
        self._clock = clock
        self._ids = ids
        self._vault = vault

    def endpoints_with_deliveries(self) -> Sequence[tuple[str, bool]]:
        """Return id and mode of those whose deliveries wait, deleted ones among them."""
        return self._store.reader.endpoints_due()

    def endpoint(self, endpoint_id: str, *, livemode: bool) -> Receiver | None:
        """Return an endpoint or a channel as it is now, or None if it was deleted."""
        return find_receiver(self._store.reader, endpoint_id, livemode=livemode)

    def event(self, delivery: Delivery) -> Event | ThinEvent | None:
        """Return the event to deliver, or None if it is not there."""
        reader, livemode = self._store.reader, delivery.livemode
        event = reader.get(Event, delivery.event, livemode=livemode)
        return event or reader.get(ThinEvent, delivery.event, livemode=livemode)

    def delivery(self, number: int) -> Delivery | None:
        """Return a delivery as it is now."""
        return self._store.reader.fetch(Delivery, number=number)

    def health(self, endpoint_id: str) -> EndpointHealth:
        """Return how an endpoint is."""
        return health_of(self._store.reader, endpoint_id)

    def signed_headers(
        self, endpoint: WebhookEndpoint, event: Event | ThinEvent, body: bytes
    ) -> dict[str, str]:
        """Return the headers that sign one attempt, made now.

        Raises:
            SecretUnreadableError: The endpoint's secrets can't be decrypted.
        """
        now_ms = self._clock.now_ms()
        return signed_headers(
            secrets_of(self._vault, endpoint, now_ms=now_ms),
            event_id=event.id,
            timestamp=now_ms // 1000,
            body=body,
            is_standard=endpoint.standard_webhooks,
        )

    def due(self, endpoint_id: str, *, now_ms: int, limit: int) -> list[Delivery]:
        """Return deliveries whose next attempt is due, longest overdue first."""
        return self._store.reader.deliveries_due(endpoint_id, now_ms=now_ms, limit=limit)

    def next_due(self, endpoint_id: str, *, after_ms: int) -> int | None:
        """Return when the next attempt after an instant is due, in milliseconds."""
        return self._store.reader.next_due_ms(endpoint_id, after_ms=after_ms)

    async def record(
        self,
        endpoint: Receiver,
        delivery: Delivery,
        outcome: Outcome,
        *,
        started_at_ms: int,
        ended_at_ms: int,
    ) -> int | None:
        """Store an attempt and what follows from it; return when the next one is due, if one is.

        A delivery that was resent meanwhile is due at once: this attempt was an earlier one's.

        Raises:
            OverloadedError: Nothing was stored: the commit queue is full.
            StoreUnavailableError: It is not known to be stored.
        """
        attempts = delivery.attempts + 1
        next_at = self._next_attempt_at(delivery, attempts, outcome, now_ms=ended_at_ms)
        status: DeliveryStatus = "failed" if next_at is None else "pending"
        if outcome.succeeded:
            status = "succeeded"
        attempt = Attempt(
            delivery=delivery.number,
            attempt=attempts,
            started_at_ms=started_at_ms,
            duration_ms=max(ended_at_ms - started_at_ms, 0),
            outcome=outcome.text,
            status_code=outcome.status_code,
            response=outcome.response,
            manual=delivery.resent_ms is not None and attempts == 1,
        )
        after = msgspec.structs.replace(
            delivery, status=status, attempts=attempts, next_attempt_at_ms=next_at
        )
        jitter = self._ids.number(below=JITTER_MAX + 1)

        def command(transaction: Transaction) -> bool:
            transaction.objects.insert(attempt)
            is_current = transaction.objects.end_attempt(delivery, after)
            if outcome.is_endpoints:
                _note(transaction, endpoint, outcome, now_ms=ended_at_ms, jitter=jitter)
            return is_current

        is_current = await self._committer.execute(command)
        self._on_attempt(outcome.text, attempts, ended_at_ms - delivery.begun_ms)
        return next_at if is_current else ended_at_ms

    async def cancel(self, endpoint_id: str) -> None:
        """Cancel what still waits for an endpoint that was deleted.

        Raises:
            OverloadedError: Some still wait: the commit queue is full.
            StoreUnavailableError: It is not known what was canceled.
        """
        while await self._committer.execute(partial(cancel_some, endpoint_id=endpoint_id)):
            pass

    async def give_up_old(self, endpoint: Receiver, *, after: int) -> int:
        """Fail what waited too long for a disabled endpoint to be enabled again.

        It ends with the first piece in which something may go on waiting.

        Args:
            endpoint: A disabled one.
            after: Where to begin: after the delivery with this number.

        Returns:
            Where to begin the next time; 0 once all was looked at.

        Raises:
            OverloadedError: Nothing was changed: the commit queue is full.
            StoreUnavailableError: It is not known to be changed.
        """
        oldest = oldest_kept_ms(livemode=endpoint.livemode, now_ms=self._clock.now_ms())
        while True:
            waiting = find_waiting(self._store.reader, endpoint.id, after=after)
            old = [delivery for delivery in waiting if delivery.begun_ms < oldest]
            if old:
                piece = partial(fail_old, waiting=old, begun_before_ms=oldest)
                await self._committer.execute(piece)
            after = waiting[-1].number if len(waiting) == PIECE_MAX else 0
            if len(old) < PIECE_MAX:
                return after

    def _next_attempt_at(
        self, delivery: Delivery, attempts: int, outcome: Outcome, *, now_ms: int
    ) -> int | None:
        if outcome.succeeded or outcome.is_final:
            return None
        return next_attempt_at_ms(
            livemode=delivery.livemode,
            attempts=attempts,
            created_ms=delivery.begun_ms,
            now_ms=now_ms,
            jitter=self._ids.number(below=JITTER_MAX + 1),
            retry_after_ms=parse_retry_after(outcome.retry_after, now_ms=now_ms),
        )


def _note(
    transaction: Transaction,
    endpoint: Receiver,
    outcome: Outcome,
    *,
    now_ms: int,
    jitter: int,
) -> None:
    """Note what an outcome says of its endpoint, and disable one that is given up."""
    before = health_of(transaction.objects, endpoint.id)
    if outcome.succeeded and not before.failures:
        return
    present = transaction.objects.get(type(endpoint), endpoint.id, livemode=endpoint.livemode)
    if present is None or present.status == "disabled" or present.url != endpoint.url:
        return  # it is about an endpoint that is no more
    after = after_attempt(before, succeeded=outcome.succeeded, now_ms=now_ms, jitter=jitter)
    transaction.objects.put(after)
    reason: Literal["gone", "failing"] | None = None
    # A chat has many reasons for a 410, and none of them is for good.
    if outcome.status_code == _GONE and isinstance(present, WebhookEndpoint):
        reason = "gone"
    elif is_given_up(after, now_ms=now_ms):
        reason = "failing"
    if reason is not None:
        disable(transaction, present, reason=reason)
        logger.warning("endpoint disabled", endpoint=endpoint.id, reason=reason)
    elif after.is_open and not before.is_open:
        logger.warning("circuit opened", endpoint=endpoint.id, failures=after.failures)
    elif before.is_open and not after.is_open:
        logger.info("circuit closed", endpoint=endpoint.id)
