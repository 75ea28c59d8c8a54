"""Usage that needs no more than a sum, added to many counters in one step: the hot path.

Nearly every event belongs to a meter that adds up, falls in its counter's newest hour or opens a
later one, lifts the total and reaches no threshold. What `add_plain_event` does for one such event
is done here for thousands at once, column by column. Where one event of a counter needs more, all
of that counter's events are left to the general way, so that their order is kept.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from meterbell.engine.growing import Numbers
from meterbell.engine.state import State
from meterbell.engine.table import (
    ARMED,
    EVENTS_MASK,
    FIRE,
    HEAD,
    HOUR_SHIFT,
    TIME,
    TOTAL,
    TOTAL_PART,
    VALUE,
    VALUE_PART,
    WHOLE_MAX,
)
from meterbell.engine.value import SCALE

Flags = NDArray[np.bool_]
_CUSTOMER_BITS = 32
_CUSTOMER_MASK = (1 << _CUSTOMER_BITS) - 1
NOT_ADDED = -1


class Usage(NamedTuple):
    """Accepted meter events in commit order, column by column.

    Attributes:
        meters: Numbers in the counter table.
        customers: Numbers in the counter table.
        wholes: Whole units of the values; never negative where not `apart`.
        parts: What they have below one unit, in units of 10^-12.
        hours: UTC hours since 1970.
        sequences: Places in commit order, ascending.
        apart: Events that need the general way whatever their counter holds.
    """

    meters: Numbers
    customers: Numbers
    wholes: Numbers
    parts: Numbers
    hours: Numbers
    sequences: Numbers
    apart: Flags


def add_plain(state: State, usage: Usage) -> Numbers:
    """Add the events to their counters, but for those that need the general way.

    Returns:
        For each event the sequence of the one before it in its counter and hour, 0 for none;
        `NOT_ADDED` where nothing was done.
    """
    return _Addition(state, usage).run()


class _Addition:
    """Usage sorted by counter, and what it makes of these."""

    def __init__(self, state: State, usage: Usage) -> None:
        self._state = state
        count = len(usage.meters)
        keys = usage.meters << _CUSTOMER_BITS | usage.customers
        self._order = np.argsort(keys, kind="stable")
        keys = keys[self._order]
        is_first = np.ones(count, dtype=np.bool_)
        np.not_equal(keys[1:], keys[:-1], out=is_first[1:])
        # Where each counter's events begin, and how many they are.
        self._starts = np.flatnonzero(is_first)
        self._lengths = np.diff(self._starts, append=count)
        self._usage = Usage(*(column[self._order] for column in usage))  # type: ignore[arg-type]
        keys = keys[self._starts]
        self._meters, self._customers = keys >> _CUSTOMER_BITS, keys & _CUSTOMER_MASK
        self._hour = self._usage.hours[self._starts]

    def run(self) -> Numbers:
        """Add what can be added; return as `add_plain` does."""
        table = self._state.table
        slots = table.find_many(self._meters, self._customers)
        rows = table.rows[slots]
        is_new = slots < 0
        if is_new.any():
            rows[is_new] = 0
            rows[is_new, TIME] = -1 << HOUR_SHIFT
            rows[is_new, FIRE] = table.first_fire[self._meters[is_new]]
            rows[is_new, ARMED] = table.revisions[self._meters[is_new]]
        before = rows[:, TIME] >> HOUR_SHIFT
        is_same_hour = self._hour == before
        heads = np.where(is_same_hour, rows[:, HEAD], 0)
        takes = self._is_plain(rows, before)
        self._leave_own_alerts(takes, is_new)
        earlier, rows = rows, self._sums(rows, is_same_hour)
        takes &= (rows[:, TOTAL] < rows[:, FIRE]) & (rows[:, TOTAL] < WHOLE_MAX)
        takes &= rows[:, VALUE] < WHOLE_MAX
        closes = takes & ~is_same_hour & (before >= 0)
        if closes.any():
            self._close_hours(slots[closes], earlier[closes])
        added = is_new & takes
        if added.any():
            slots[added] = table.add_many(self._meters[added], self._customers[added])
        if takes.all():
            table.put_rows(slots, rows)
        else:
            table.put_rows(slots[takes], rows[takes])
        return self._previous(heads, takes)

    def _is_plain(self, rows: Numbers, before: Numbers) -> Flags:
        """Return which counters know all alerts and take usage of one hour, none of it earlier."""
        usage, starts = self._usage, self._starts
        takes: Flags = self._state.table.revisions[self._meters] <= rows[:, ARMED]
        takes &= self._hour >= before
        if usage.hours.min() != usage.hours.max():
            earliest = np.minimum.reduceat(usage.hours, starts)
            takes &= earliest == np.maximum.reduceat(usage.hours, starts)
        if usage.apart.any():
            takes &= ~np.logical_or.reduceat(usage.apart, starts)
        return takes

    def _leave_own_alerts(self, takes: Flags, is_new: Flags) -> None:
        """Leave new counters to the general way whose customer has alerts of their own."""
        state = self._state
        for meter in state.meters_with_own_alerts:
            alerts = state.meter_alerts[state.meter_ids[meter]].by_customer
            for place in np.flatnonzero(is_new & (self._meters == meter)).tolist():
                if state.customer_ids[int(self._customers[place])] in alerts:
                    takes[place] = False

    def _sums(self, rows: Numbers, is_same_hour: Flags) -> Numbers:
        """Return the rows with all of the usage added."""
        usage, starts = self._usage, self._starts
        wholes = np.add.reduceat(usage.wholes, starts)
        parts = np.add.reduceat(usage.parts, starts)
        sums = rows.copy()
        carried, sums[:, TOTAL_PART] = np.divmod(rows[:, TOTAL_PART] + parts, SCALE)
        sums[:, TOTAL] += wholes + carried
        value_parts = np.where(is_same_hour, rows[:, VALUE_PART], 0) + parts
        carried, sums[:, VALUE_PART] = np.divmod(value_parts, SCALE)
        sums[:, VALUE] = np.where(is_same_hour, rows[:, VALUE], 0) + wholes + carried
        events = np.where(is_same_hour, rows[:, TIME] & EVENTS_MASK, 0) + self._lengths
        sums[:, TIME] = self._hour << HOUR_SHIFT | events
        sums[:, HEAD] = usage.sequences[starts + self._lengths - 1]
        return sums

    def _close_hours(self, slots: Numbers, rows: Numbers) -> None:
        """Keep what rows hold as hours that are over: later ones begin."""
        time = rows[:, TIME]
        columns = (
            slots,
            time >> HOUR_SHIFT,
            rows[:, VALUE],
            rows[:, VALUE_PART],
            time & EVENTS_MASK,
            rows[:, HEAD],
        )
        self._state.table.hours.add(np.column_stack(columns))

    def _previous(self, heads: Numbers, takes: Flags) -> Numbers:
        """Return for each event, as it was given, the one before it in its counter and hour."""
        previous = np.empty(len(self._order), dtype=np.int64)
        previous[1:] = self._usage.sequences[:-1]
        previous[self._starts] = heads
        if not takes.all():
            previous[~np.repeat(takes, self._lengths)] = NOT_ADDED
        answer = np.empty(len(self._order), dtype=np.int64)
        answer[self._order] = previous
        return answer
