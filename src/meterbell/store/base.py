"""What the ledger and the delivery need of a store. One implementation a database."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from meterbell.engine.model import LogEntry, MeterEvent
from meterbell.store.objects import Objects


class Checkpoint(NamedTuple):
    """A piece of the state as it was after `sequence`."""

    name: str
    sequence: int
    data: bytes


class Store(Protocol):
    """A place that keeps what was acknowledged.

    One thread writes: it calls `transaction` and, inside, everything marked as the writer's.
    Another thread may read through `reader` and `read_event` meanwhile.
    """

    @property
    def reader(self) -> Objects:
        """Control objects as committed last."""

    @property
    def writer(self) -> Objects:
        """Control objects inside the open transaction; the writer's."""

    def transaction(self) -> AbstractContextManager[None]:
        """Write everything done inside, or nothing; the writer's.

        Leaving it means that all is on stable storage (C1).

        Raises:
            StoreUnavailableError: It can't be known that anything was written; stop acknowledging.
        """

    def savepoint(self) -> AbstractContextManager[None]:
        """Undo what was done inside if it raises, and nothing before it; the writer's."""

    def append(self, entries: Sequence[LogEntry]) -> None:
        """Add entries to the log inside the open transaction; the writer's."""

    def lookup_event(self, sequence: int) -> MeterEvent:
        """Return a committed meter event; the writer's."""

    def read_event(self, sequence: int) -> MeterEvent:
        """Return a committed meter event; the reader's."""

    def read_log(self, after: int) -> Iterator[LogEntry]:
        """Yield the log's entries after a sequence, in commit order; at start-up only."""

    def read_control(self, until: int) -> Iterator[LogEntry]:
        """Yield cancellations and alert changes up to a sequence; at start-up only."""

    def first_sequence_since(self, received_at_ms: int) -> int:
        """Return the sequence of the first entry received at or after an instant; the reader's."""

    def last_sequence(self) -> int:
        """Return the place in commit order of the log's last entry; 0 for an empty log."""

    def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Keep a piece of the state and the one before it; the writer's, inside a transaction."""

    def load_checkpoints(self, usable: Callable[[Checkpoint], bool]) -> dict[str, Checkpoint]:
        """Return by name the newest piece that is intact and that `usable` accepts."""

    def delete_checkpoints(self, names: Collection[str] | None = None) -> None:
        """Forget pieces by name, or all, so that the next start replays the whole log.

        The writer's, inside a transaction.
        """

    def close(self) -> None:
        """Close everything; call it when nobody writes or reads any more."""
