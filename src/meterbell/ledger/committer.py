"""The commit queue: takes all that is waiting, decides it, commits once, then answers all.

An answer leaves only after the commit (C1). One failing request never fails its neighbours. The
queue is bounded: past the bound a request is refused instead of using more memory.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import structlog

from meterbell.clock import Clock
from meterbell.engine.decide import Group, Recorded
from meterbell.engine.model import AlertChange, UsageRequest
from meterbell.engine.state import State
from meterbell.errors import (
    DuplicateIdentifierError,
    MeterbellError,
    OverloadedError,
    StoreFailedError,
    StoreUnavailableError,
    UsageRefusedError,
)
from meterbell.ids import IdSource
from meterbell.ledger.consequences import store_consequences
from meterbell.ledger.reports import note_refusals, refusal_of
from meterbell.ledger.transaction import Transaction
from meterbell.records import Delivery, Event
from meterbell.store.base import Store

T = TypeVar("T")
Command = Callable[[Transaction], T]

_GROUP_MAX = 2000

logger = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Waiting:
    """A request in the queue and where its answer goes."""

    request: UsageRequest | Command[Any]
    answer: asyncio.Future[Any]


@dataclass(slots=True)
class _Committed:
    """What a group's commit means for the event loop."""

    outcomes: list[Any]
    group: Group
    transaction: Transaction


class Committer:
    """Owns the writer's thread; everything that changes anything goes through it, in one order."""

    def __init__(
        self,
        *,
        store: Store,
        state: State,
        clock: Clock,
        ids: IdSource,
        queue_max: int,
        on_events: Callable[[Sequence[Event], Sequence[Delivery]], None],
        on_group: Callable[[Group], None],
        on_failure: Callable[[StoreFailedError], None],
    ) -> None:
        """Prepare the queue; nothing runs before `run`.

        Args:
            store: Where groups are committed.
            state: What they are decided against.
            clock: The present.
            ids: New ids.
            queue_max: Requests that may wait; the next is refused.
            on_events: Told of new events and outbox rows once they are committed.
            on_group: Told of each committed group, after it became part of the state.
            on_failure: Told once when the store can't be trusted any more; should end the process.
        """
        self._store = store
        self._state = state
        self._clock = clock
        self._ids = ids
        self._queue_max = queue_max
        self._on_events = on_events
        self._on_group = on_group
        self._on_failure = on_failure
        self._queue: deque[_Waiting] = deque()
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
        return cast("Recorded", await self._submit(request))

    async def record_stream(self, requests: Sequence[UsageRequest]) -> None:
        """Count the meter events of a stream; return once all is durable.

        Those that may not be counted are refused one by one, and reported (contract §2.12).

        Raises:
            OverloadedError: The queue is full.
            StoreUnavailableError: It is not acknowledged; the same request may be sent again.
        """

        def command(transaction: Transaction) -> None:
            refusals = []
            for request in requests:
                try:
                    new_identifier = f"idmp_{self._ids.token(24)}"
                    transaction.group.record(request, new_identifier=new_identifier)
                except (UsageRefusedError, DuplicateIdentifierError) as error:
                    refusals.append(refusal_of(request, error, transaction.state))
            note_refusals(transaction, refusals)

        await self.execute(command)

    async def execute(self, command: Command[T]) -> T:
        """Run a control change in commit order; return its result once it is durable.

        The command runs in the writer's thread. If it raises, what it wrote is undone; it must
        therefore raise before it changes anything through `transaction.group`.

        Raises:
            RequestError: Raised by the command.
            OverloadedError: The queue is full.
            StoreUnavailableError: It is not acknowledged; the same request may be sent again.
        """
        return cast("T", await self._submit(command))

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

    async def _submit(self, request: UsageRequest | Command[Any]) -> Any:  # noqa: ANN401
        if self._failure is not None or self._closing:
            raise StoreUnavailableError("The server is shutting down; send the request again.")
        if len(self._queue) >= self._queue_max:
            raise OverloadedError(
                f"Too many requests are waiting (limit {self._queue_max}); send this one again "
                "after a short while."
            )
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiting(request, answer))
        self._wake.set()
        return await answer

    async def _drain(self) -> None:
        """Commit what is waiting, one group after the other.

        A group is decided against the state that the one before it left, so there is never a second
        drain beside a first: at the end `run` may have been cancelled in the middle of one.
        """
        async with self._draining:
            await self._commit_waiting()

    async def _commit_waiting(self) -> None:
        loop = asyncio.get_running_loop()
        while self._queue:
            batch = [self._queue.popleft() for _ in range(min(len(self._queue), _GROUP_MAX))]
            requests = [waiting.request for waiting in batch]
            try:
                committed = await loop.run_in_executor(self._thread, self._commit, requests)
            except StoreUnavailableError as error:
                _answer(batch, [error] * len(batch))
                if isinstance(error, StoreFailedError):
                    self._fail(error)
                    return
                continue
            except Exception as error:
                logger.exception("a commit failed unexpectedly")
                failure = StoreFailedError(f"The state is in doubt: {error!r}")
                _answer(batch, [failure] * len(batch))
                self._fail(failure)
                return
            committed.group.merge()
            self._on_group(committed.group)
            for callback in committed.transaction.callbacks:
                callback()
            _answer(batch, committed.outcomes)
            if committed.transaction.events or committed.transaction.deliveries:
                self._on_events(committed.transaction.events, committed.transaction.deliveries)

    def _fail(self, error: StoreFailedError) -> None:
        """Stop acknowledging for good."""
        self._failure = error
        logger.critical("store failed, nothing is acknowledged any more", error=str(error))
        while self._queue:
            batch = [self._queue.popleft()]
            _answer(batch, [error])
        self._on_failure(error)

    def _commit(self, requests: list[UsageRequest | Command[Any]]) -> _Committed:
        """Decide and commit one group; the writer's thread.

        A request that fails in a way nobody foresaw may leave the group half changed. The group is
        then decided anew without it.
        """
        poisoned: dict[int, Exception] = {}
        while True:
            now_ms = self._clock.now_ms()
            group = Group(self._state, self._store.lookup_event, now_ms=now_ms)
            transaction = Transaction(
                store=self._store, state=self._state, group=group, now_ms=now_ms, ids=self._ids
            )
            try:
                with self._store.transaction():
                    outcomes = [
                        poisoned.get(index) or self._decide(index, request, group, transaction)
                        for index, request in enumerate(requests)
                    ]
                    store_consequences(self._store, group, transaction)
            except _PoisonError as error:
                logger.exception("a request failed unexpectedly", exc_info=error.reason)
                if any(isinstance(entry, AlertChange) for entry in group.entries):
                    # Alerts change in the state at once; only the log knows what is true now.
                    raise StoreFailedError(f"The state is in doubt: {error.reason!r}") from error
                poisoned[error.index] = error.reason
            else:
                return _Committed(outcomes, group, transaction)

    def _decide(
        self,
        index: int,
        request: UsageRequest | Command[Any],
        group: Group,
        transaction: Transaction,
    ) -> object:
        """Return a request's result, or the exception to raise for it."""
        try:
            if isinstance(request, UsageRequest):
                return group.record(request, new_identifier=f"idmp_{self._ids.token(24)}")
            with self._store.savepoint():
                return request(transaction)
        except StoreUnavailableError:
            raise
        except MeterbellError as error:
            return error
        except Exception as error:
            raise _PoisonError(index, error) from error


class _PoisonError(Exception):
    """A request failed in a way nobody foresaw."""

    def __init__(self, index: int, reason: Exception) -> None:
        super().__init__(index, reason)
        self.index = index
        self.reason = reason


def _answer(batch: list[_Waiting], outcomes: Sequence[object]) -> None:
    for waiting, outcome in zip(batch, outcomes, strict=True):
        if waiting.answer.done():
            continue  # the client went away; what it asked for is done all the same
        if isinstance(outcome, Exception):
            waiting.answer.set_exception(outcome)
        else:
            waiting.answer.set_result(outcome)
