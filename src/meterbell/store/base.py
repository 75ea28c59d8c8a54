"""What the ledger and the delivery need of a store. One implementation a database."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from meterbell.engine.counter import Counted
from meterbell.engine.model import Cancellation, EventRun, LogEntry, Meter, MeterEvent
from meterbell.engine.tail import UsageRun
from meterbell.ids import CustomerId
from meterbell.store.objects import Objects


class Checkpoint(NamedTuple):
    """A piece of the state as it was after `sequence`."""

    name: str
    sequence: int
    data: bytes


class StoredHours(NamedTuple):
    """Hours that are over of some counters, as they were after `sequence`.

    Attributes:
        part: Which counters.
        sequence: Place in commit order.
        first_hour: UTC hour since 1970 of the oldest.
        last_hour: UTC hour since 1970 of the newest.
        data: The ledger's business.
    """

    part: int
    sequence: int
    first_hour: int
    last_hour: int
    data: bytes


class Customers(NamedTuple):
    """All customers in the order of their numbers, and of each whether it is live and deleted."""

    ids: list[CustomerId]
    live: NDArray[np.bool_]
    deleted: NDArray[np.bool_]


class LogView(Protocol):
    """The log as it is committed, read by one thread at a time; it ends where retention began."""

    def read_usage(self, after: int, *, rows_max: int) -> tuple[list[UsageRun | Cancellation], int]:
        """Return what follows a place in commit order, and how far that reaches.

        Args:
            after: The place; a run is cut where it has to be.
            rows_max: Rows at most, at least 2; runs have up to 500 meter events.
        """

    def read_back(self, before: int, *, rows_max: int) -> tuple[list[EventRun], int]:
        """Return the runs before a place where an entry begins, and how far back that reaches.

        Latest first. 1 is the beginning; after retention the log may begin later.
        """

    def read_cancellations(self, after: int, *, until: int) -> list[Cancellation]:
        """Return the cancellations after a place up to another, in commit order."""

    def find_event(self, sequence: int) -> MeterEvent | None:
        """Return a meter event; None if the log holds it no more."""

    def walk_chain(self, meter: Meter, head: int) -> Iterator[Counted]:
        """Yield a meter's event and those before it in its counter and part of an hour.

        Latest first. It ends where the log holds no more.
        """


class Store(Protocol):
    """A place that keeps what was acknowledged.

    One at a time writes: it calls `transaction`, or `writing` and `commit`, and inside everything
    marked as the writer's.
    Another thread may read through `reader` and `find_event` meanwhile.
    """

    @property
    def reader(self) -> Objects:
        """Control objects as committed last."""

    @property
    def writer(self) -> Objects:
        """Control objects inside the open transaction; the writer's."""

    def reading(self) -> AbstractContextManager[Objects]:
        """Control objects as committed last, for a long read in another thread."""

    def transaction(self) -> AbstractContextManager[None]:
        """Write everything done inside, or nothing; the writer's.

        Leaving it means that all is on stable storage (C1).

        Raises:
            StoreUnavailableError: It can't be known that anything was written; stop acknowledging.
        """

    def writing(self) -> AbstractContextManager[None]:
        """Open a transaction and leave it open; undo it if what is done inside raises.

        The writer's. `commit` ends it.

        Raises:
            StoreUnavailableError: Another process locks the database; try again later.
            StoreFailedError: It can't be written; stop acknowledging.
        """

    def append(self, entries: Sequence[LogEntry]) -> None:
        """Add entries to the log inside the open transaction; the writer's.

        Raises:
            StoreFailedError: It can't be written; stop acknowledging.
        """

    def commit(self) -> None:
        """Bring the open transaction to stable storage (C1); the writer's.

        `append` and `commit` may be called in another thread, as long as nobody else uses the
        writer's side meanwhile.

        Raises:
            StoreFailedError: It can't be known what was written; stop acknowledging.
        """

    def savepoint(self) -> AbstractContextManager[None]:
        """Undo what was done inside if it raises, and nothing before it; the writer's."""

    def find_event(self, sequence: int) -> MeterEvent | None:
        """Return a committed meter event; None if the log holds it no more."""

    def received_at_ms(self, sequence: int) -> int | None:
        """Return when an entry of the log was accepted; None if the log does not hold it."""

    def read_chain(self, meter: Meter, head: int) -> Iterator[tuple[Counted, int]]:
        """Yield a meter's event and those before it in its counter and hour, latest first.

        Each comes with the sequence of the one before it, 0 for none.

        From any thread. It ends where the log holds no more.
        """

    def view_log(self) -> AbstractContextManager[LogView]:
        """Open a view of the log, and close it at the end; from any thread."""

    def read_log(self, after: int) -> Iterator[LogEntry]:
        """Yield the log's entries after a sequence, in commit order; at start-up only."""

    def read_control(self, until: int) -> Iterator[LogEntry]:
        """Yield cancellations and alert changes up to a sequence; at start-up only."""

    def first_sequence_since(self, received_at_ms: int) -> int:
        """Return a sequence before which everything was received before an instant."""

    def last_sequence(self) -> int:
        """Return the place in commit order of the log's last entry; 0 for an empty log."""

    def read_customers(self) -> Customers:
        """Return all customers, as fast as a start needs them; any thread's.

        Raises:
            StoreFailedError: Some are missing.
        """

    def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Keep a piece of the state and the one before it; the writer's, inside a transaction."""

    def delete_checkpoints(self, names: Collection[str] | None = None) -> None:
        """Forget pieces by name, or all, so that the next start replays the whole log.

        The writer's, inside a transaction.
        """

    def read_checkpoints(self) -> Iterator[Checkpoint]:
        """Yield all intact generations of all pieces, newest first by name; in any thread."""

    def save_hours(self, hours: StoredHours) -> None:
        """Keep hours of counters, for ever; the writer's, inside a transaction."""

    def read_hours(
        self, parts: Iterable[tuple[int, int, int]], *, first: int, last: int
    ) -> Iterator[StoredHours]:
        """Yield the hours of some counters, those of each part in commit order; from any thread.

        Args:
            parts: Which counters, after which sequence, and up to which.
            first: UTC hour since 1970 from which on rows are wanted.
            last: UTC hour since 1970 up to which rows are wanted.
        """

    def drop_hours(self, kept: Mapping[int, int]) -> None:
        """Forget hours that the counters do not hold; the writer's, inside a transaction.

        Args:
            kept: By part, the latest sequence that stays; of other parts nothing stays.
        """

    def begin_of_entry(self, sequence: int) -> int:
        """Return where the first entry at or after a sequence begins; past the end without one."""

    def drop_log(self, *, after: int, before: int, rows_max: int) -> tuple[int, int] | None:
        """Delete meter events and cancellations from the log's left; alert changes stay.

        The writer's, inside a transaction.

        Args:
            after: Where the call before this one ended; 0 at first.
            before: A place where an entry begins; it stays.
            rows_max: How many rows are deleted at most.

        Returns:
            Where it ended and how many meter events it deleted; None if nothing is left to delete.
        """

    def version(self) -> int:
        """Return a number that is another one whenever something was committed; cheap."""

    def size_bytes(self) -> int:
        """Return how much of the database file is in use; cheap."""

    def count_events(self, since: int) -> int:
        """Return how many meter events the log holds from a sequence on; cheap."""

    def close(self) -> None:
        """Close everything; call it when nobody writes or reads any more."""
