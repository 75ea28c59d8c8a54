"""The engine over a plain list as a store, with hours put away and a commit queue of one."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

from meterbell.clock import Clock
from meterbell.engine.counter import Counted
from meterbell.engine.model import Cancellation, EventRun, LogEntry, Meter, MeterEvent
from meterbell.engine.tail import UsageRun
from meterbell.insight.dry_run import DryRunner
from meterbell.ledger.committer import Committer
from meterbell.ledger.hours import split_hours
from meterbell.ledger.transaction import Transaction
from meterbell.store.base import LogView, Store, StoredHours
from tests.builders import EngineRun


class TickingClock:
    """A clock that stands still for the calendar and moves on each time something is measured."""

    def __init__(self, now_ms: int, *, tick_ms: int = 0) -> None:
        self._now_ms = now_ms
        self.tick_ms = tick_ms
        self._measured_ns = 0

    def now_ms(self) -> int:
        return self._now_ms

    def set(self, now_ms: int) -> None:
        self._now_ms = now_ms

    def monotonic_ns(self) -> int:
        self._measured_ns += self.tick_ms * 1_000_000
        return self._measured_ns


class FakeLog:
    """A log of single entries, as far as dry runs read it. See `store.base.LogView`."""

    def __init__(self, run: EngineRun) -> None:
        self._run = run

    def read_usage(self, after: int, *, rows_max: int) -> tuple[list[UsageRun | Cancellation], int]:
        entries = self._run.log[after : after + rows_max]
        return [_as_usage(e) for e in entries if isinstance(e, EventRun | Cancellation)], (
            entries[-1].sequence if entries else after
        )

    def read_cancellations(self, after: int, *, until: int) -> list[Cancellation]:
        return [e for e in self._run.log[after:until] if isinstance(e, Cancellation)]

    def find_event(self, sequence: int) -> MeterEvent | None:
        return self._run.lookup(sequence)

    def walk_chain(self, meter: Meter, head: int) -> Iterator[Counted]:
        while head:
            event = self._run.lookup(head)
            assert event.meter == meter.id
            yield Counted(event.timestamp, head, event.value)
            head = event.previous


class FakeStore:
    """What a dry run needs of a store."""

    def __init__(self, run: EngineRun) -> None:
        self._run = run
        self.views = 0

    @contextmanager
    def view_log(self) -> Iterator[LogView]:
        self.views += 1
        yield cast("LogView", FakeLog(self._run))

    def first_sequence_since(self, received_at_ms: int) -> int:
        log = self._run.log
        return next((e.sequence for e in log if _received_ms(e) >= received_at_ms), len(log) + 1)

    def received_at_ms(self, sequence: int) -> int | None:
        return _received_ms(self._run.log[sequence - 1]) if sequence <= len(self._run.log) else None

    def read_hours(
        self, parts: Iterable[tuple[int, int, int]], *, first: int, last: int
    ) -> Iterator[StoredHours]:
        for part, after, until in parts:
            for sequence, entries in self._run.stored_hours:
                for row in split_hours(entries, sequence):
                    inside = after < row.sequence <= until and row.last_hour >= first
                    if row.part == part and inside and row.first_hour <= last:
                        yield row


class FakeCommitter:
    """Runs commands at once."""

    def __init__(self, run: EngineRun) -> None:
        self._run = run

    async def execute(self, command: Callable[[Transaction], Any]) -> Any:  # noqa: ANN401
        return command(cast("Transaction", SimpleNamespace(state=self._run.state)))


def dry_runner(run: EngineRun, store: FakeStore, clock: Clock) -> DryRunner:
    """Return a dry runner over the engine."""
    return DryRunner(cast("Store", store), run.state, cast("Committer", FakeCommitter(run)), clock)


def _as_usage(entry: EventRun | Cancellation) -> UsageRun | Cancellation:
    if isinstance(entry, Cancellation):
        return entry
    names = sorted(set(entry.meters))
    return UsageRun(
        entry.sequence,
        entry.received_at_ms,
        names,
        [names.index(meter) for meter in entry.meters],
        entry.customers,
        entry.timestamps,
        entry.values,
    )


def _received_ms(entry: LogEntry) -> int:
    return entry.received_at_ms
