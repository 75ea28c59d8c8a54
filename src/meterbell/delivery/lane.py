"""The deliveries of one endpoint: a few attempts at a time, new ones at once, retries when due.

The database is the queue; a lane's memory is a bounded window on it.
"""

import asyncio
from collections import deque

import structlog

from meterbell.channel import NotificationChannel
from meterbell.clock import Clock
from meterbell.delivery.channels.announcer import Announcer
from meterbell.delivery.circuit import slots
from meterbell.delivery.outbox import Outbox
from meterbell.delivery.outcome import Outcome
from meterbell.delivery.sender import Sender
from meterbell.errors import OverloadedError, SecretUnreadableError, StoreUnavailableError
from meterbell.ledger.deliveries import Receiver
from meterbell.records import Delivery, Event
from meterbell.wire.events import event_body

QUEUE_MAX = 500
_LOAD = 200
# How often it is looked whether a disabled endpoint was enabled again, or reading works again.
_LOOK_SECONDS = 5.0
# Waiting for a retry ends after this long, because the machine's clock may have been set.
_WAIT_SECONDS_MAX = 60.0
_RECORD_AGAIN_SECONDS = 0.2

logger = structlog.get_logger(__name__)


class Lane:
    """Makes the attempts for one endpoint; shares nothing that could hold up another lane (D2)."""

    def __init__(
        self,
        endpoint_id: str,
        *,
        livemode: bool,
        outbox: Outbox,
        sender: Sender,
        clock: Clock,
        announcer: Announcer | None = None,
    ) -> None:
        """Prepare; nothing is sent before `run`.

        Args:
            endpoint_id: Whose deliveries these are.
            livemode: The endpoint's mode.
            outbox: Where they are read and what came of them is written.
            sender: Makes the attempts.
            clock: The present.
            announcer: Makes those for notification channels.
        """
        self._announcer = announcer
        self._endpoint_id = endpoint_id
        self._livemode = livemode
        self._outbox = outbox
        self._sender = sender
        self._clock = clock
        self._queue: deque[Delivery] = deque()
        self._taken: set[int] = set()
        # Offered again while they were taken: there may be another attempt to make.
        self._again: set[int] = set()
        self._in_flight = 0
        self._successes = 0
        self._news = asyncio.Event()
        self._is_stopping = False
        # Rows may be due that were never offered: left by an earlier process, or over the bound.
        self._is_behind = True
        self._next_due_ms: int | None = None
        # Of what waits while the endpoint is disabled, looked at up to this number.
        self._given_up = 0

    @property
    def waiting(self) -> int:
        """How many deliveries are in memory and not yet begun."""
        return len(self._queue)

    def offer(self, delivery: Delivery) -> None:
        """Take in a delivery that is due now; past the bound it waits in the database."""
        if delivery.number in self._taken:
            # Its attempt may be recorded and it be resent in one commit, of which this tells first.
            self._again.add(delivery.number)
        if self._is_behind or len(self._queue) >= QUEUE_MAX:
            self._is_behind = True
        else:
            self._take(delivery)
        self._news.set()

    def look(self) -> None:
        """Look into the database for what is due."""
        self._is_behind = True
        self._news.set()

    def stop(self) -> None:
        """Begin no more attempts; `run` ends with those in flight."""
        self._is_stopping = True
        self._news.set()

    async def run(self) -> None:
        """Make attempts until stopped, or until the endpoint is gone."""
        async with asyncio.TaskGroup() as attempts:
            while not self._is_stopping:
                self._news.clear()
                try:
                    seconds = await self._begin(attempts)
                except Exception:
                    logger.exception("a lane can't go on yet", endpoint=self._endpoint_id)
                    seconds = _LOOK_SECONDS
                if not self._is_stopping:
                    await self._wait(seconds)

    async def _begin(self, attempts: asyncio.TaskGroup) -> float | None:
        """Begin the attempts that are due, as far as slots are free.

        Returns:
            After how many seconds to look again; None if only news can change anything.
        """
        endpoint = self._outbox.endpoint(self._endpoint_id, livemode=self._livemode)
        if endpoint is None:
            await self._outbox.cancel(self._endpoint_id)
            self._is_stopping = True
            return None
        if endpoint.status == "disabled":
            self._forget_queue()
            self._given_up = await self._outbox.give_up_old(endpoint, after=self._given_up)
            has_deliveries = self._outbox.next_due(self._endpoint_id, after_ms=-1) is not None
            return _LOOK_SECONDS if has_deliveries else None
        health = self._outbox.health(self._endpoint_id)
        slots_max = slots(health, successes=self._successes)
        while self._in_flight < slots_max:
            now_ms = self._clock.now_ms()
            if health.probe_at_ms is not None and health.probe_at_ms > now_ms:
                # Nothing is taken from what waits. The circuit may be closed by hand meanwhile.
                return min((health.probe_at_ms - now_ms + 1) / 1000, _LOOK_SECONDS)
            is_retry_due = self._next_due_ms is not None and self._next_due_ms <= now_ms
            has_room = len(self._queue) < QUEUE_MAX
            if (is_retry_due and has_room) or (self._is_behind and not self._queue):
                self._load(now_ms)
            if not self._queue:
                return self._seconds_to_next(now_ms)
            # It may have been canceled or resent since it was taken in. As long as that can't be
            # read it stays the next.
            present = self._outbox.delivery(self._queue[0].number)
            number = self._queue.popleft().number
            if present is None or present.next_attempt_at_ms is None:
                self._release(number)
                continue
            self._in_flight += 1
            attempts.create_task(self._attempt(endpoint, present))
        return None

    async def _wait(self, seconds: float | None) -> None:
        """Wait for news, but no longer than some seconds."""
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            self._is_behind = True

    def _seconds_to_next(self, now_ms: int) -> float | None:
        if self._next_due_ms is None:
            return None
        # A millisecond more, for timers that fire a little early.
        return min((self._next_due_ms - now_ms + 1) / 1000, _WAIT_SECONDS_MAX)

    def _load(self, now_ms: int) -> None:
        """Read what is due from the database, and when the next retry is."""
        limit = _LOAD + len(self._taken)
        due = self._outbox.due(self._endpoint_id, now_ms=now_ms, limit=limit)
        next_due_ms = self._outbox.next_due(self._endpoint_id, after_ms=now_ms)
        self._is_behind = len(due) == limit
        self._next_due_ms = next_due_ms
        for delivery in due:
            self._take(delivery)

    def _take(self, delivery: Delivery) -> None:
        # A commit can be read before it is told of: what was loaded may be offered afterwards.
        if delivery.number not in self._taken:
            self._taken.add(delivery.number)
            self._queue.append(delivery)

    def _release(self, number: int) -> None:
        """Let a delivery be taken in again."""
        self._taken.discard(number)
        if number in self._again:
            self._again.discard(number)
            self._is_behind = True

    def _forget_queue(self) -> None:
        left = {delivery.number for delivery in self._queue}
        self._taken -= left
        self._again -= left
        self._queue.clear()
        self._is_behind = True

    async def _attempt(self, endpoint: Receiver, delivery: Delivery) -> None:
        """Make one attempt and record it."""
        try:
            started_at_ms = self._clock.now_ms()
            outcome = await self._send(endpoint, delivery)
            self._successes = self._successes + 1 if outcome.succeeded else 0
            next_due_ms = await self._record(endpoint, delivery, outcome, started_at_ms)
        except Exception:
            # It stays taken, so this process does not send the same event again and again.
            logger.exception("attempt not recorded", delivery=delivery.number)
        else:
            self._release(delivery.number)
            if next_due_ms is not None:
                self._next_due_ms = min(next_due_ms, self._next_due_ms or next_due_ms)
        finally:
            self._in_flight -= 1
            self._news.set()

    async def _send(self, endpoint: Receiver, delivery: Delivery) -> Outcome:
        try:
            event = self._outbox.event(delivery)
        except Exception:
            logger.exception("event can't be read", delivery=delivery.number)
            return Outcome("event_unreadable")
        if event is None:
            logger.error("event is missing", delivery=delivery.number)
            return Outcome("event_missing")
        if isinstance(endpoint, NotificationChannel):
            assert self._announcer is not None, "there are channels"
            assert isinstance(event, Event), "channels are told of triggers only"
            return await self._announcer.send(endpoint, event)
        try:
            body = event_body(event, api_version=endpoint.api_version)
            headers = self._outbox.signed_headers(endpoint, event, body)
        except SecretUnreadableError as error:
            logger.error("event can't be signed", delivery=delivery.number, error=str(error))  # noqa: TRY400 - the message says it all
            return Outcome("secret_unreadable")
        except Exception:
            logger.exception("event can't be sent", delivery=delivery.number)
            return Outcome("not_sendable")
        return await self._sender.send(
            endpoint.url, livemode=endpoint.livemode, body=body, headers=headers
        )

    async def _record(
        self, endpoint: Receiver, delivery: Delivery, outcome: Outcome, started_at_ms: int
    ) -> int | None:
        """Record an attempt, however long the commit queue is; return when the next one is due."""
        ended_at_ms = self._clock.now_ms()
        while True:
            try:
                return await self._outbox.record(
                    endpoint,
                    delivery,
                    outcome,
                    started_at_ms=started_at_ms,
                    ended_at_ms=ended_at_ms,
                )
            except (OverloadedError, StoreUnavailableError) as error:
                logger.warning(
                    "attempt not recorded yet", delivery=delivery.number, error=str(error)
                )
            await asyncio.sleep(_RECORD_AGAIN_SECONDS)
