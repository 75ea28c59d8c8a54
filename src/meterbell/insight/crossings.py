"""The meter event at which a customer's usage reached a threshold, read from hours and the log."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from meterbell.engine.counter import Counted
from meterbell.engine.dry_run import Crossing
from meterbell.engine.hours import Hours, add_parts
from meterbell.engine.locate import Located, locate
from meterbell.engine.model import Cancellation, Meter, MeterEvent
from meterbell.engine.state import State, is_plain
from meterbell.engine.tail import Tail
from meterbell.engine.value import SCALE
from meterbell.ids import CustomerId
from meterbell.ledger.hours import read_hours
from meterbell.store.base import LogView, Store

EVENTS_MAX = 5000
"""Meter events of one customer that are looked at."""


class _GaveUpError(Exception):
    """There are too many events, or no time is left."""


class Captured(NamedTuple):
    """What the state holds of a counter, that nobody changes any more.

    Attributes:
        hours: But for what the store keeps.
        slot: The counter's row.
        stored_until: What the store keeps is to be added up to this place.
        total: The counter's total.
        fell: Whether the total ever fell.
        sequence: Everything up to this place is in it.
    """

    customer: CustomerId
    hours: Hours
    slot: int
    stored_until: int
    total: int
    fell: bool
    sequence: int

    @classmethod
    def of(cls, state: State, meter: Meter, customer: CustomerId) -> "Captured":
        """Return what the state holds of a counter that there is."""
        slot, table = state.slot(meter.id, customer), state.table
        counter = table.load(slot)
        return cls(
            customer,
            table.hours_of(slot),
            slot,
            table.stored_until(slot),
            counter.total,
            counter.read_detail().peak > 0,
            state.sequence,
        )


class Search(NamedTuple):
    """Where crossings are looked for.

    Attributes:
        first: The place from which on usage counts.
        start: When what stands there was received, in Unix seconds.
        is_late: Says when no time is left.
    """

    store: Store
    view: LogView
    state: State
    meter: Meter
    first: int
    start: int
    is_late: Callable[[], bool]

    def find(self, captured: Captured, gte: int, *, total: int, steady: bool) -> Crossing | None:
        """Return where usage reached a threshold; None if that takes too long; in any thread.

        Args:
            captured: The counter.
            gte: The threshold, in whole units.
            total: Usage since the first place, by another account.
            steady: Whether it never fell since.
        """
        hours = captured.hours
        try:
            if captured.stored_until:
                self._add_stored(captured)
            if steady and is_plain(self.meter):
                found = locate(
                    ((hour, part) for hour, parts in hours.items() for part in parts),
                    first=self.first,
                    start=self.start,
                    threshold=gte * SCALE,
                    total=total,
                    walk=self._walk,
                    received=lambda sequence: self._event(sequence).received_at_ms // 1000,
                )
            else:
                found = self._replay(captured, gte)
        except _GaveUpError:
            return None
        return None if found is None else self._crossing(found)

    def _add_stored(self, captured: Captured) -> None:
        stored = read_hours(
            self.store,
            captured.slot,
            until=captured.stored_until,
            first=0,
            last=2**40,
            after=self.first - 1,
        )
        add_parts(
            captured.hours, ((hour, part) for hour, parts in stored.items() for part in parts)
        )

    def _walk(self, head: int) -> Iterator[Counted]:
        """Yield the events of a chain from the first place on, latest first."""
        for count, event in enumerate(self.view.walk_chain(self.meter, head)):
            if event.sequence < self.first:
                return
            if count >= EVENTS_MAX or self.is_late():
                raise _GaveUpError
            yield event

    def _replay(self, captured: Captured, gte: int) -> Located | None:
        """Count all of the customer's events again, one by one."""
        events: dict[int, Counted | Cancellation] = {}
        for parts in captured.hours.values():
            for part in parts:
                if part.head >= self.first:
                    events |= {event.sequence: event for event in self._walk(part.head)}
                if len(events) > EVENTS_MAX:
                    raise _GaveUpError
        until = captured.sequence
        for cancellation in self.view.read_cancellations(self.first - 1, until=until):
            if cancellation.cancelled_sequence in events:
                events[cancellation.sequence] = cancellation
        entries = [events[sequence] for sequence in sorted(events)]
        tail = Tail(self.state, self.meter, first=self.first)
        found = tail.reach(captured.customer, entries, gte * SCALE, self.view.find_event)
        return None if found is None else Located(*found)

    def _event(self, sequence: int) -> MeterEvent:
        event = self.view.find_event(sequence)
        assert event is not None, "it was read just now"
        return event

    def _crossing(self, found: Located) -> Crossing:
        event = self._event(found.sequence)
        return Crossing(
            found.sequence, found.usage, event.identifier, event.timestamp, event.received_at_ms
        )
