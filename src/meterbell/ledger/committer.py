"""The commit queue: takes all that is waiting, decides it, commits once, then answers all.

An answer leaves only after the commit (C1). One failing request never fails its neighbours. The
queue is bounded: past the bound a request is refused instead of using more memory.

Everything is decided on the event loop, so nothing else looks at the state meanwhile. Where disks
are quick they are waited for there, too: handing over to a thread and back takes longer, and it
then waits for Python's lock. Where they are slow, a thread waits while requests are read.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar, cast

import structlog

from meterbell.clock import Clock
from meterbell.engine.decide import Group, Recorded
from meterbell.engine.model import UsageRequest
from meterbell.engine.state import State
from meterbell.engine.stream import StreamBatch
from meterbell.errors import OverloadedError, StoreFailedError, StoreUnavailableError
from meterbell.ids import IdSource
from meterbell.ledger.decider import Command, Decider, Request
from meterbell.records import Delivery, Event, ThinEvent
from meterbell.store.base import Store

T = TypeVar("T")

_GROUP_EVENTS_MAX = 4000
# How often and how long another process that writes to the database is waited for.
_LOCKED_SECONDS = 0.02
_LOCKED_TRIES = 250
# A sync that takes longer on average is waited for in a thread.
_SLOW_SYNC_NS = 1_500_000
_SMOOTHING = 8

logger = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Waiting:
    """A request in the queue, how many events it holds, and where its answer goes."""

    request: Request
    events: int
    answer: asyncio.Future[Any]


class Committed(NamedTuple):
    """A group that is on stable storage.

    Attributes:
        outcomes: What its requests were answered; errors for those refused.
        decide_ns: How long deciding took.
        store_ns: How long bringing it to stable storage took.
    """

    group: Group
    outcomes: Sequence[object]
    decide_ns: int
    store_ns: int


class Committer:
    """Everything that changes anything goes through it, in one order.

    Attributes:
        turned_away: How many requests found the queue full.
    """

    def __init__(
        self,
        *,
        store: Store,
        state: State,
        clock: Clock,
        ids: IdSource,
        queue_max: int,
        on_events: Callable[[Sequence[Event | ThinEvent], Sequence[Delivery]], None],
        on_group: Callable[["Committed"], None],
        on_failure: Callable[[StoreFailedError], None],
    ) -> None:
        """Prepare the queue; nothing runs before `run`.

        Args:
            store: Where groups are committed.
            state: What they are decided against.
            clock: The present.
            ids: New ids.
            queue_max: Meter events and changes that may wait; the next is refused.
            on_events: Told of new events and outbox rows once they are committed.
            on_group: Told of each committed group.
            on_failure: Told once when the store can't be trusted any more; should end the process.
        """
        self._store = store
        self._clock = clock
        self._queue_max = queue_max
        self._on_events = on_events
        self._on_group = on_group
        self._on_failure = on_failure
        self._queue: deque[_Waiting] = deque()
        self._waiting_events = 0
        self.turned_away = 0
        self._decider = Decider(store, state, clock, ids)
        self._sync_ns = 0
        self._wake = asyncio.Event()
        self._draining = asyncio.Lock()
        self._failure: StoreFailedError | None = None
        self._closing = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="meterbell-writer")

    async def record(self, request: UsageRequest) -> Recorded:
        """Count one meter event and return it once it is durable.

        Raises:
            RequestError: It was refused and changed nothing.
            OverloadedError: The queue is full.
            StoreUnavailableError: It is not acknowledged; the same request may be sent again.
        """
        return await self.begin(request)

    def begin(self, request: UsageRequest) -> "asyncio.Future[Recorded]":
        """Begin to count one meter event; the future ends as `record` does.

        Raises:
            OverloadedError: The queue is full.
            StoreUnavailableError: Nothing is acknowledged any more.
        """
        return self._submit(request, 1)

    def begin_stream(self, batch: StreamBatch) -> "asyncio.Future[None]":
        """Begin to count the meter events of a stream request; the future ends once it is durable.

        What can't be counted is told in error reports, which are durable then, too.

        Raises:
            OverloadedError: The queue is full.
            StoreUnavailableError: Nothing is acknowledged any more; raised by the future where it
                is not known to be stored.
        """
        return self._submit(batch, len(batch.columns.events))

    async def execute(self, command: Command[T]) -> T:
        """Run a control change in commit order; return its result once it is durable.

        If it raises, what it wrote is undone; it must therefore raise before it changes anything
        through `transaction.group`.

        Raises:
            RequestError: Raised by the command.
            OverloadedError: The queue is full.
            StoreUnavailableError: It is not acknowledged; the same request may be sent again.
        """
        return cast("T", await self._submit(command, 1))

    def require_room(self) -> None:
        """Refuse what would only be refused later, before work is put into it.

        Raises:
            OverloadedError: The queue is full.
            StoreUnavailableError: Nothing is acknowledged any more.
        """
        if self._failure is not None or self._closing:
            raise StoreUnavailableError("The server is shutting down; send the request again.")
        if self._waiting_events >= self._queue_max:
            self.turned_away += 1
            raise OverloadedError(
                f"Too many meter events are waiting (limit {self._queue_max}); send the request "
                "again after a short while."
            )

    async def run(self) -> None:
        """Commit groups until cancelled; what is still waiting then is committed first."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                await asyncio.shield(self._drain())
        finally:
            self._closing = True
            await self._drain()
            self._thread.shutdown()

    @property
    def failed(self) -> bool:
        """Whether the store failed, so that nothing is acknowledged any more."""
        return self._failure is not None

    @property
    def waiting(self) -> int:
        """How many meter events and changes wait for their commit to begin."""
        return self._waiting_events

    def _submit(self, request: Request, events: int) -> asyncio.Future[Any]:
        self.require_room()
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiting(request, events, answer))
        self._waiting_events += events
        self._wake.set()
        return answer

    async def _drain(self) -> None:
        """Commit what is waiting, one group after the other.

        A group is decided against the state that the one before it left, so there is never a second
        drain beside a first: at the end `run` may have been cancelled in the middle of one.
        """
        async with self._draining:
            while self._queue:
                batch = self._next_batch()
                try:
                    await self._commit(batch)
                except StoreFailedError as error:
                    self._fail(error, batch)
                    return
                except StoreUnavailableError as error:
                    _answer(batch, [error] * len(batch))
                except Exception as error:
                    logger.exception("a commit failed unexpectedly")
                    self._fail(StoreFailedError(f"The state is in doubt: {error!r}"), batch)
                    return
                # Answers leave, and what follows on them comes in: groups are as large as can be.
                await asyncio.sleep(0)
                await asyncio.sleep(0)

    def _next_batch(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        events = 0
        while self._queue and events < _GROUP_EVENTS_MAX:
            batch.append(self._queue.popleft())
            events += batch[-1].events
        self._waiting_events -= events
        return batch

    async def _commit(self, batch: list[_Waiting]) -> None:
        """Decide and commit one group, then answer.

        Raises:
            StoreFailedError: It can't be known what was written.
            StoreUnavailableError: Another process locks the database; nothing was decided.
        """
        with await self._begun():
            begun_ns = self._clock.monotonic_ns()
            group, transaction, outcomes = self._decider.decide([item.request for item in batch])
            decided_ns = self._clock.monotonic_ns()
        self._store.append(group.entries)
        await self._sync()
        stored_ns = self._clock.monotonic_ns()
        for callback in transaction.callbacks:
            callback()
        _answer(batch, outcomes)
        if transaction.events or transaction.deliveries:
            self._on_events(transaction.events, transaction.deliveries)
        self._on_group(Committed(group, outcomes, decided_ns - begun_ns, stored_ns - decided_ns))

    async def _sync(self) -> None:
        """Bring the open transaction to stable storage."""
        if self._sync_ns > _SLOW_SYNC_NS:
            loop = asyncio.get_running_loop()
            taken_ns = await loop.run_in_executor(self._thread, self._timed_commit)
        else:
            taken_ns = self._timed_commit()
        self._sync_ns += (taken_ns - self._sync_ns) // _SMOOTHING

    def _timed_commit(self) -> int:
        begun_ns = self._clock.monotonic_ns()
        self._store.commit()
        return self._clock.monotonic_ns() - begun_ns

    async def _begun(self) -> ExitStack:
        """Return an open transaction, after whoever locks the database has let go of it."""
        tries = 0
        while True:
            stack = ExitStack()
            try:
                stack.enter_context(self._store.writing())
            except StoreFailedError:
                raise
            except StoreUnavailableError:
                tries += 1
                if tries >= _LOCKED_TRIES:
                    raise
                await asyncio.sleep(_LOCKED_SECONDS)
            else:
                return stack

    def _fail(self, error: StoreFailedError, batch: list[_Waiting]) -> None:
        """Stop acknowledging for good."""
        self._failure = error
        logger.critical("store failed, nothing is acknowledged any more", error=str(error))
        batch += self._queue
        self._queue.clear()
        self._waiting_events = 0
        _answer(batch, [error] * len(batch))
        self._on_failure(error)


def _answer(batch: list[_Waiting], outcomes: Sequence[object]) -> None:
    for waiting, outcome in zip(batch, outcomes, strict=True):
        if waiting.answer.done():
            continue  # the client went away; what it asked for is done all the same
        if isinstance(outcome, Exception):
            waiting.answer.set_exception(outcome)
        else:
            waiting.answer.set_result(outcome)
