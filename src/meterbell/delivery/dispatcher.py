"""The outbox: deliveries due → attempts, one lane an endpoint.

A lane is a task with a few slots of its own, so an endpoint that hangs holds up nobody else (D2).
The database is the queue; a lane's memory is a bounded window on it. What was sent but not recorded
when the process ended is sent again, with the same event id and body (D1).
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

import structlog

from meterbell.clock import Clock
from meterbell.delivery.outbox import Outbox
from meterbell.delivery.sender import Outcome, Sender
from meterbell.errors import OverloadedError, StoreUnavailableError
from meterbell.ids import IdSource
from meterbell.ledger.committer import Committer
from meterbell.records import Delivery, WebhookEndpoint
from meterbell.settings import Settings
from meterbell.store.base import Store
from meterbell.wire.events import event_body
from meterbell.wire.signing import signature_header

_SLOTS = 4
_QUEUE_MAX = 1000
_LOAD = 200
# How often a lane looks by itself whether its endpoint was enabled again or a retry is due.
_LOOK_SECONDS = 5.0
_DRAIN_SECONDS = 3.0

logger = structlog.get_logger(__name__)


class Dispatcher:
    """Runs one lane for each endpoint that has deliveries."""

    def __init__(
        self, *, store: Store, committer: Committer, clock: Clock, ids: IdSource, settings: Settings
    ) -> None:
        """Prepare; nothing runs before `run`."""
        self._store = store
        self._clock = clock
        self._outbox = Outbox(store, committer, clock, ids)
        self._sender = Sender(timeout_seconds=settings.webhook_timeout_seconds)
        self._lanes: dict[str, _Lane] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False

    async def run(self) -> None:
        """Deliver until cancelled; attempts in flight then get a moment to end."""
        async with self._sender:
            for endpoint in self._outbox.endpoints_with_deliveries():
                self._lane(endpoint)
            try:
                await asyncio.Event().wait()
            finally:
                self._closing = True
                await asyncio.gather(*(lane.close() for lane in self._lanes.values()))
                for task in self._tasks:
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)

    def wake(self, deliveries: Sequence[Delivery]) -> None:
        """Take in new deliveries right after their commit; with none, look again at all lanes."""
        if self._closing:
            return
        for delivery in deliveries:
            self._lane(delivery.endpoint).offer(delivery)
        if not deliveries:
            for lane in self._lanes.values():
                lane.look()

    def _lane(self, endpoint: str) -> "_Lane":
        lane = self._lanes.get(endpoint)
        if lane is None:
            lane = self._lanes[endpoint] = _Lane(
                endpoint, self._store, self._outbox, self._sender, self._clock
            )
            task = asyncio.create_task(lane.run(), name=f"lane {endpoint}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            task.add_done_callback(lambda _: self._lanes.pop(endpoint, None))
        return lane


class _Lane:
    """The deliveries of one endpoint."""

    def __init__(
        self, endpoint: str, store: Store, outbox: Outbox, sender: Sender, clock: Clock
    ) -> None:
        self._endpoint = endpoint
        self._store = store
        self._outbox = outbox
        self._sender = sender
        self._clock = clock
        self._queue: deque[Delivery] = deque()
        self._taken: set[int] = set()
        self._slots = asyncio.Semaphore(_SLOTS)
        self._news = asyncio.Event()
        self._attempts: set[asyncio.Task[None]] = set()
        # Rows may be due that were never offered: left by an earlier process, or over the bound.
        self._is_behind = True

    def offer(self, delivery: Delivery) -> None:
        """Take in a delivery that is due now; past the bound it waits in the database."""
        if len(self._queue) < _QUEUE_MAX and not self._is_behind:
            self._take(delivery)
        else:
            self._is_behind = True
        self._news.set()

    def look(self) -> None:
        """Look into the database for what is due."""
        self._is_behind = True
        self._news.set()

    async def run(self) -> None:
        """Make attempts until cancelled, or until the endpoint is gone."""
        while True:
            await self._slots.acquire()
            try:
                delivery = await self._next()
            except BaseException:
                self._slots.release()
                raise
            if delivery is None:
                return
            attempt = asyncio.create_task(self._attempt(*delivery))
            self._attempts.add(attempt)
            attempt.add_done_callback(self._attempts.discard)

    async def close(self) -> None:
        """Give attempts in flight a moment to end, then end them."""
        if self._attempts:
            _, late = await asyncio.wait(self._attempts, timeout=_DRAIN_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _next(self) -> tuple[WebhookEndpoint, Delivery] | None:
        """Wait for the next delivery to attempt; None when the endpoint was deleted."""
        while True:
            endpoint = self._outbox.endpoint(self._endpoint)
            if endpoint is None:
                return None
            if endpoint.status == "disabled":
                await self._outbox.give_up_old(endpoint)
                self._forget_queue()
            else:
                if not self._queue and self._is_behind:
                    self._load()
                if self._queue:
                    return endpoint, self._queue.popleft()
            await self._wait()

    async def _wait(self) -> None:
        """Wait for news, the next retry, or a while."""
        due = self._outbox.next_due(self._endpoint, after_ms=self._clock.now_ms())
        seconds = _LOOK_SECONDS
        if due is not None:
            seconds = min(seconds, max(due - self._clock.now_ms(), 0) / 1000 + 0.001)
        self._news.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            self._is_behind = True

    def _load(self) -> None:
        """Read what is due from the database."""
        limit = _LOAD + len(self._taken)
        due = self._outbox.due(self._endpoint, now_ms=self._clock.now_ms(), limit=limit)
        self._is_behind = len(due) == limit
        for delivery in due:
            self._take(delivery)

    def _take(self, delivery: Delivery) -> None:
        if delivery.number not in self._taken:
            self._taken.add(delivery.number)
            self._queue.append(delivery)

    def _forget_queue(self) -> None:
        self._taken -= {delivery.number for delivery in self._queue}
        self._queue.clear()
        self._is_behind = True

    async def _attempt(self, endpoint: WebhookEndpoint, delivery: Delivery) -> None:
        try:
            started_at_ms = self._clock.now_ms()
            outcome = await self._send(endpoint, delivery)
            await self._outbox.record(endpoint, delivery, outcome, started_at_ms=started_at_ms)
        except (StoreUnavailableError, OverloadedError) as error:
            # The row stays due, so the event is sent again: at least once.
            logger.warning("attempt not recorded", delivery=delivery.number, error=str(error))
            self._is_behind = True
        except Exception:
            logger.exception("delivery can't be attempted", delivery=delivery.number)
            with suppress(StoreUnavailableError, OverloadedError):
                await self._outbox.park(delivery)
        finally:
            self._taken.discard(delivery.number)
            self._slots.release()
            if self._is_behind:
                self._news.set()

    async def _send(self, endpoint: WebhookEndpoint, delivery: Delivery) -> Outcome:
        event = self._outbox.event(delivery)
        body = event_body(event, api_version=endpoint.api_version)
        timestamp = self._clock.now_ms() // 1000
        signature = signature_header([endpoint.secret], timestamp=timestamp, body=body)
        return await self._sender.send(endpoint.url, body=body, signature=signature)
