"""What a meter's usage adds up to from a place in commit order on: what a dry run is made of.

An alert made at that place would count exactly this (A2), and fire for each customer whose usage
right after some meter event reaches its threshold (A3). The highest usage right after an event says
so for every threshold at once, so that a threshold may be tried as quickly as it is typed.

Usage is counted by the same functions as ever, in a state of its own with no alerts.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import NamedTuple

import numpy as np

from meterbell.engine.counter import Counted, Counter
from meterbell.engine.decide import Group
from meterbell.engine.growing import Numbers, look_up
from meterbell.engine.model import Cancellation, Meter, MeterEvent
from meterbell.engine.plain import NOT_ADDED, Usage, add_plain
from meterbell.engine.rows import value_of
from meterbell.engine.state import Lookup, State, is_plain
from meterbell.engine.table import TOTAL, TOTAL_PART, WHOLE_MAX, fitted
from meterbell.engine.values import Values
from meterbell.ids import CustomerId, MeterId

# Beyond every place in commit order: all events are looked up, none is of the group itself.
_LATER = 2**62
_COUNTERS_AT_FIRST = 1024
_STEPS_MAX = 4_000_000


@dataclass(frozen=True, slots=True)
class UsageRun:
    """A run of the log, read only as far as it says what counts for whom.

    Attributes:
        sequence: Place in commit order of the first event; the others follow without a gap.
        received_at_ms: When they were accepted.
        names: The meters that occur.
        which: Of each event, which of them it belongs to.
    """

    sequence: int
    received_at_ms: int
    names: Sequence[MeterId]
    which: Sequence[int]
    customers: Sequence[CustomerId]
    timestamps: Sequence[int]
    values: Sequence[str | None]

    def __len__(self) -> int:
        return len(self.which)

    @property
    def sequences(self) -> Sequence[int]:
        """Places in commit order."""
        return range(self.sequence, self.sequence + len(self))

    def part(self, start: int, end: int) -> "UsageRun":
        """Return the run of the events from one place up to another."""
        if start == 0 and end >= len(self):
            return self
        return UsageRun(
            self.sequence + start,
            self.received_at_ms,
            self.names,
            self.which[start:end],
            self.customers[start:end],
            self.timestamps[start:end],
            self.values[start:end],
        )


class Step(NamedTuple):
    """How far customers had come by an instant.

    Attributes:
        end: Unix seconds.
        wholes: The highest usage of each so far in whole units, by place; of those with usage.
    """

    end: int
    wholes: Numbers


class Tail:
    """The usage of one meter from a place in commit order on.

    Attributes:
        meter: Whose usage.
        first: The place from which on usage counts.
        until: Everything up to this place is taken in.
        count: Customers with usage, each at a place of its own.
        unsteady: Places of customers whose usage fell, so that it may have been higher than it is.
        large: By place, the highest usage that is more than a row can hold.
        steps: How far they had come before, oldest first.
    """

    def __init__(
        self, state: State, meter: Meter, *, first: int, steps_max: int = _STEPS_MAX
    ) -> None:
        """Begin without usage.

        Args:
            state: Knows all customers who occur; only these are shared, and read in any thread.
            meter: One of its meters.
            first: Events before this place don't count.
            steps_max: How much is kept of steps, in customers times steps.
        """
        self.meter, self.first, self.until = meter, first, first - 1
        self.unsteady: set[int] = set()
        self.large: dict[int, int] = {}
        self.steps: list[Step] = []
        self._steps_max = steps_max
        self._is_plain, self._has_more = is_plain(meter), True
        self._values = Values()
        self._state = State(
            customers=state.customers,
            customer_ids=state.customer_ids,
            deleted_customers=state.deleted_customers,
            sequence=_LATER,
            log_begins=first,
        )
        self._state.put_meter(meter)
        self._wholes: Numbers = np.zeros(_COUNTERS_AT_FIRST, dtype=np.int64)
        self._parts: Numbers = np.zeros(_COUNTERS_AT_FIRST, dtype=np.int64)
        self.count = 0

    def take(self, entries: Iterable[UsageRun | Cancellation], lookup: Lookup) -> None:
        """Take in what follows in the log; entries of other meters are passed over.

        Args:
            entries: In commit order, all of them after `until`.
            lookup: Finds meter events by their place.
        """
        group = Group(self._state, lookup, now_ms=0)
        runs: list[UsageRun] = []
        for entry in entries:
            if isinstance(entry, UsageRun):
                runs.append(entry)
                self.until = entry.sequence + len(entry) - 1
                continue
            self._take_runs(group, runs)
            runs = []
            if entry.cancelled_sequence >= self.first:
                self._cancel(group, lookup(entry.cancelled_sequence))
            self.until = entry.sequence
        self._take_runs(group, runs)

    def reach(
        self,
        customer: CustomerId,
        entries: Iterable[Counted | Cancellation],
        threshold: int,
        lookup: Lookup,
    ) -> tuple[int, int] | None:
        """Take in one customer's events until usage is at or above a threshold.

        Args:
            customer: Whose events.
            entries: In commit order; cancellations of these events among them.
            threshold: In units of 10^-12.
            lookup: As in `take`.

        Returns:
            The place of the event that reached it, and the usage right after it.
        """
        group = Group(self._state, lookup, now_ms=0)
        for entry in entries:
            if isinstance(entry, Cancellation):
                self._cancel(group, lookup(entry.cancelled_sequence))
            else:
                usage = self._count_one(group, customer, entry)
                if usage >= threshold:
                    return entry.sequence, usage
        return None

    def usage(self, place: int) -> int:
        """Return a customer's usage at present, in units of 10^-12."""
        return self._state.table.load(place).total

    def place_of(self, customer: CustomerId) -> int:
        """Return a customer's place; -1 without usage."""
        return self._state.slot(self.meter.id, customer)

    @property
    def customers(self) -> Numbers:
        """The customers' numbers, by place."""
        return self._state.table.customers_at(np.arange(self.count))

    @property
    def peaks(self) -> tuple[Numbers, Numbers]:
        """The highest usage of each right after one of its events, in whole units and parts."""
        return self._wholes[: self.count], self._parts[: self.count]

    def end_step(self, end: int) -> None:
        """Keep the highest usage so far, as that of everything received before an instant.

        Args:
            end: Unix seconds.
        """
        if self._has_more or not self.steps:
            wholes = self._wholes[: self.count].copy()
        else:
            wholes = self.steps[-1].wholes
        self._has_more = False
        self.steps.append(Step(end, wholes))
        if sum(len(step.wholes) for step in self.steps) > self._steps_max:
            # Only the end of every other one is kept: steps are twice as long from now on.
            self.steps = self.steps[1::2]

    def _take_runs(self, group: Group, runs: Sequence[UsageRun]) -> None:
        names, timestamps, texts, sequences = self._own(runs)
        if not names:
            return
        self._has_more = True
        customers = self._numbers(names)
        wholes, parts = self._values.read(texts)
        if self.meter.formula == "count":
            wholes, parts = np.ones_like(wholes), np.zeros_like(parts)
        # Hours make no difference where values add up; kept apart they would only take room.
        hours = np.zeros_like(wholes)
        meters, apart = np.zeros_like(wholes), (wholes < 0) | (not self._is_plain)
        places = np.array(sequences)
        added = add_plain(
            self._state, Usage(meters, customers, wholes, parts, hours, places, apart)
        )
        for at in np.flatnonzero(added == NOT_ADDED).tolist():
            value = value_of(self.meter, texts[at])
            self._count_one(group, names[at], Counted(timestamps[at], sequences[at], value))
        self._raise_peaks(customers)

    def _own(
        self, runs: Sequence[UsageRun]
    ) -> tuple[list[CustomerId], list[int], list[str | None], list[int]]:
        """Return the meter's events: customers, timestamps, values, places in commit order."""
        names: list[CustomerId] = []
        timestamps: list[int] = []
        texts: list[str | None] = []
        sequences: list[int] = []
        for run in runs:
            if self.meter.id not in run.names:
                continue
            own = run.names.index(self.meter.id)
            is_own = [meter == own for meter in run.which]
            names += compress(run.customers, is_own)
            timestamps += compress(run.timestamps, is_own)
            texts += compress(run.values, is_own)
            sequences += compress(run.sequences, is_own)
        return names, timestamps, texts, sequences

    def _numbers(self, names: Sequence[CustomerId]) -> Numbers:
        """Return the customers' numbers; all of them are known, or were once."""
        livemode = self.meter.livemode
        numbers = look_up(self._state.customers[livemode], names)
        for place in np.flatnonzero(numbers < 0).tolist():
            numbers[place] = self._state.deleted_customers[livemode, names[place]]
        return numbers

    def _count_one(self, group: Group, customer: CustomerId, event: Counted) -> int:
        """Count an event by itself; return the customer's usage right after it."""
        state, meter = self._state, self.meter
        before = state.counter(meter.id, customer) or Counter()
        timestamp = 0 if self._is_plain else event.timestamp
        group.count(meter, customer, event.sequence, timestamp, event.value)
        slot = self.place_of(customer)
        usage = self.usage(slot)
        self._reserve(slot + 1)
        whole, part = fitted(usage)
        if (whole, part) > (int(self._wholes[slot]), int(self._parts[slot])):
            self._wholes[slot], self._parts[slot] = whole, part
        if whole == WHOLE_MAX:
            self.large[slot] = max(usage, self.large.get(slot, 0))
        if usage < before.total:
            self.unsteady.add(slot)
        return usage

    def _raise_peaks(self, customers: Numbers) -> None:
        """Take in where the customers are right after an event."""
        table = self._state.table
        customers = np.unique(customers)
        slots = table.find_many(np.zeros_like(customers), customers)
        self._reserve(int(slots.max()) + 1)
        wholes, parts = table.rows[slots, TOTAL], table.rows[slots, TOTAL_PART]
        before = self._wholes[slots]
        is_higher = (wholes > before) | ((wholes == before) & (parts > self._parts[slots]))
        self._wholes[slots[is_higher]] = wholes[is_higher]
        self._parts[slots[is_higher]] = parts[is_higher]

    def _reserve(self, count: int) -> None:
        self.count = max(self.count, count)
        if count > len(self._wholes):
            more = np.zeros(max(len(self._wholes), count - len(self._wholes)), dtype=np.int64)
            self._wholes = np.append(self._wholes, more)
            self._parts = np.append(self._parts, more)

    def _cancel(self, group: Group, event: MeterEvent | None) -> None:
        """Take an event out that counted; usage may fall, and rise without an event."""
        assert event is not None, "the log holds everything from `first` on"
        if event.meter != self.meter.id:
            return
        self._state.cancelled.add(event.sequence)
        group.uncount(event._replace(timestamp=0) if self._is_plain else event)
        self.unsteady.add(self.place_of(event.customer))
