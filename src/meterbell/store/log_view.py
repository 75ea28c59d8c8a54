"""The log as those read it who ask what happened; over a connection of their own, in any thread."""

from collections.abc import Iterator

from meterbell.engine.counter import Counted
from meterbell.engine.model import Cancellation, EventRun, Meter, MeterEvent
from meterbell.engine.rows import event_of, value_of
from meterbell.engine.tail import UsageRun
from meterbell.store.log import LogReader
from meterbell.store.objects import Objects
from meterbell.store.tables import meter as meter_table


class SqliteLogView:
    """See `store.base.LogView` for what each call promises."""

    def __init__(self, log: LogReader, objects: Objects) -> None:
        self._log = log
        self._objects = objects
        self._meters: dict[str, Meter] = {}

    def read_usage(self, after: int, *, rows_max: int) -> tuple[list[UsageRun | Cancellation], int]:
        """Return what follows a place in commit order, and how far that reaches."""
        return self._log.read_usage(after, rows_max=rows_max)

    def read_back(self, before: int, *, rows_max: int) -> tuple[list[EventRun], int]:
        """Return the runs before a place, latest first, and how far back that reaches."""
        return self._log.read_back(before, rows_max=rows_max)

    def read_cancellations(self, after: int, *, until: int) -> list[Cancellation]:
        """Return the cancellations after a place up to another, in commit order."""
        return self._log.cancellations(after, until)

    def find_event(self, sequence: int) -> MeterEvent | None:
        """Return a meter event; None if the log holds it no more."""
        found = self._log.find(sequence)
        if found is None:
            return None
        row, received_at_ms = found
        return event_of(self._meter(row.meter), row, sequence, received_at_ms)

    def walk_chain(self, meter: Meter, head: int) -> Iterator[Counted]:
        """Yield a meter's event and those before it in its counter and part of an hour."""
        while head and (found := self._log.find_link(head)) is not None:
            timestamp, text, previous = found
            yield Counted(timestamp, head, value_of(meter, text))
            head = previous

    def _meter(self, meter_id: str) -> Meter:
        """Return a meter for its immutable parts: formula and payload keys."""
        if meter_id not in self._meters:
            (meter,) = self._objects.find(Meter, meter_table.c.id == meter_id)
            self._meters[meter_id] = meter
        return self._meters[meter_id]
