"""Deliveries and attempts in the database: what is due, what came of it.

Writes go through the commit queue like everything else.
"""

from collections.abc import Sequence

from sqlalchemy import ColumnElement

from meterbell.clock import Clock
from meterbell.delivery.schedule import is_too_old, next_attempt_at_ms, parse_retry_after
from meterbell.delivery.sender import Outcome
from meterbell.errors import StoreUnavailableError
from meterbell.ids import IdSource
from meterbell.ledger.committer import Committer
from meterbell.ledger.transaction import Transaction
from meterbell.records import Attempt, Delivery, Event, WebhookEndpoint
from meterbell.store import tables
from meterbell.store.base import Store

_GONE = 410
_delivery = tables.delivery.c


class Outbox:
    """The deliveries that are not done."""

    def __init__(self, store: Store, committer: Committer, clock: Clock, ids: IdSource) -> None:
        self._store = store
        self._committer = committer
        self._clock = clock
        self._ids = ids

    def endpoints_with_deliveries(self) -> Sequence[str]:
        """Return the ids of the endpoints that have deliveries to be attempted."""
        return [
            endpoint.id
            for endpoint in self._store.reader.find(WebhookEndpoint)
            if self.next_due(endpoint.id, after_ms=-1) is not None
        ]

    def endpoint(self, endpoint_id: str) -> WebhookEndpoint | None:
        """Return an endpoint as it is now, or None if it was deleted."""
        found = self._store.reader.find(
            WebhookEndpoint, tables.webhook_endpoint.c.id == endpoint_id, limit=1
        )
        return found[0] if found else None

    def event(self, delivery: Delivery) -> Event:
        """Return the event to deliver."""
        event = self._store.reader.get(Event, delivery.event, livemode=delivery.livemode)
        if event is None:
            raise StoreUnavailableError(f"event {delivery.event} is not there")
        return event

    def due(self, endpoint_id: str, *, now_ms: int, limit: int) -> list[Delivery]:
        """Return deliveries whose next attempt is due, longest overdue first."""
        return self._store.reader.find(
            Delivery,
            _delivery.endpoint == endpoint_id,
            _delivery.next_attempt_at_ms <= now_ms,
            order_by=_delivery.next_attempt_at_ms,
            limit=limit,
        )

    def next_due(self, endpoint_id: str, *, after_ms: int) -> int | None:
        """Return when the next attempt after an instant is due, in milliseconds."""
        return self._store.reader.next_due_ms(endpoint_id, after_ms=after_ms)

    async def record(
        self, endpoint: WebhookEndpoint, delivery: Delivery, outcome: Outcome, *, started_at_ms: int
    ) -> None:
        """Store an attempt and what follows from it."""
        now_ms = self._clock.now_ms()
        attempts = delivery.attempts + 1
        attempt = Attempt(
            delivery=delivery.number,
            attempt=attempts,
            started_at_ms=started_at_ms,
            duration_ms=max(now_ms - started_at_ms, 0),
            outcome=outcome.text,
            status_code=outcome.status_code,
            response=outcome.response,
        )
        next_at = None
        if not outcome.succeeded:
            next_at = next_attempt_at_ms(
                livemode=delivery.livemode,
                attempts=attempts,
                created_ms=delivery.created_ms,
                now_ms=now_ms,
                jitter=self._ids.number(below=1001),
                retry_after_ms=parse_retry_after(outcome.retry_after, now_ms=now_ms),
            )
        status = "succeeded" if outcome.succeeded else "failed" if next_at is None else "pending"

        def command(transaction: Transaction) -> None:
            transaction.objects.insert(attempt)
            transaction.objects.update(
                Delivery,
                *_open(delivery.number),
                status=status,
                attempts=attempts,
                next_attempt_at_ms=next_at,
            )
            if outcome.status_code == _GONE:
                transaction.objects.update(
                    WebhookEndpoint,
                    tables.webhook_endpoint.c.id == endpoint.id,
                    status="disabled",
                )

        await self._committer.execute(command)

    async def park(self, delivery: Delivery) -> None:
        """Fail a delivery that can't be attempted at all, so that the others go on."""

        def command(transaction: Transaction) -> None:
            transaction.objects.update(
                Delivery, *_open(delivery.number), status="failed", next_attempt_at_ms=None
            )

        await self._committer.execute(command)

    async def give_up_old(self, endpoint: WebhookEndpoint) -> None:
        """Fail what waited too long for a disabled endpoint to be enabled again."""
        now_ms = self._clock.now_ms()
        old = [
            delivery.number
            for delivery in self.due(endpoint.id, now_ms=now_ms, limit=1000)
            if is_too_old(livemode=delivery.livemode, created_ms=delivery.created_ms, now_ms=now_ms)
        ]
        if old:

            def command(transaction: Transaction) -> None:
                transaction.objects.update(
                    Delivery,
                    _delivery.number.in_(old),
                    _delivery.status == "pending",
                    status="failed",
                    next_attempt_at_ms=None,
                )

            await self._committer.execute(command)


def _open(number: int) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Return the condition for one delivery that was not canceled meanwhile."""
    return _delivery.number == number, _delivery.status == "pending"
