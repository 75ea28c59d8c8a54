"""Usage over time for charts: one customer's, or that of all customers together, step by step."""

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from meterbell.engine.fold import HOUR_SECONDS
from meterbell.engine.growing import Numbers
from meterbell.engine.hours import ENTRY_WIDTH, HOUR, PART, SLOT, WHOLE
from meterbell.engine.summary import Summary
from meterbell.engine.table import BLOCK, HOUR_SHIFT, TIME, VALUE, VALUE_PART, CounterTable
from meterbell.engine.value import SCALE

Step = Literal["hour", "day", "week"]

POINTS_MAX = 2000
STEP_SECONDS: dict[Step, int] = {"hour": HOUR_SECONDS, "day": 86_400, "week": 7 * 86_400}
# The first Monday after 1970-01-01, which was a Thursday.
_MONDAY = 4 * 86_400
_LOW_BITS = 32


class Point(NamedTuple):
    """Usage from `start` (included) to `end` (excluded), in Unix seconds.

    Attributes:
        value: In units of 10^-12; None where there was no usage.
    """

    start: int
    end: int
    value: int | None


def start_of(at: int, step: Step) -> int:
    """Return when the step begins that an instant lies in; weeks begin on Monday, in UTC."""
    offset = _MONDAY if step == "week" else 0
    return at - (at - offset) % STEP_SECONDS[step]


def points(values: Mapping[int, int], *, start: int, end: int, step: Step) -> list[Point]:
    """Return one point for each step that has a part in a range.

    Args:
        values: By the instant at which their step begins; others do no harm.
        start: Unix seconds.
        end: Unix seconds, not included.
        step: How long each is.
    """
    seconds = STEP_SECONDS[step]
    begins = range(start_of(start, step), end, seconds)
    return [Point(at, at + seconds, values.get(at)) for at in begins]


def by_step(hourly: Mapping[int, int], step: Step) -> dict[int, int]:
    """Return the sums of hours, by the instant at which their step begins.

    Args:
        hourly: By UTC hour since 1970.
        step: How long each is.
    """
    found: dict[int, int] = {}
    for hour, value in hourly.items():
        at = start_of(hour * HOUR_SECONDS, step)
        found[at] = found.get(at, 0) + value
    return found


def by_week(daily: Iterable[Summary], *, adds_up: bool) -> dict[int, int]:
    """Return days as weeks, by the instant at which they begin.

    Args:
        daily: Usage of days, newest first.
        adds_up: Whether the newest day does not stand for its week.
    """
    found: dict[int, int] = {}
    for day in daily:
        at = start_of(day.start, "week")
        if adds_up:
            found[at] = found.get(at, 0) + day.value
        else:
            found.setdefault(at, day.value)
    return found


class HeldHours(NamedTuple):
    """What memory holds of hours of some counters.

    Attributes:
        entries: See `ClosedHours`.
        more: Row, hour and value of what no entry holds.
    """

    entries: Numbers
    more: list[tuple[int, int, int]]


def hours_in_memory(table: CounterTable, slots: Numbers, *, block: int) -> HeldHours:
    """Return what the table holds of hours of some counters of meters that add up.

    Args:
        table: The counters.
        slots: Rows that are wanted, all within the block.
        block: Which block of rows.
    """
    rows = table.rows[slots]
    has_hour = rows[:, TIME] >= 0
    newest = np.zeros((int(np.count_nonzero(has_hour)), ENTRY_WIDTH), dtype=np.int64)
    newest[:, SLOT] = slots[has_hour]
    newest[:, HOUR] = rows[has_hour, TIME] >> HOUR_SHIFT
    newest[:, WHOLE], newest[:, PART] = rows[has_hour, VALUE], rows[has_hour, VALUE_PART]
    closed = table.hours.of_block(block * BLOCK, (block + 1) * BLOCK, block=block)
    entries = np.concatenate((newest, closed[np.isin(closed[:, SLOT], slots)]))
    more: list[tuple[int, int, int]] = []
    for slot in slots[table.with_more(slots)].tolist():
        counter = table.load(slot)
        late = counter.read_detail().buckets
        more += [(slot, hour, bucket.value) for hour, bucket in late.items()]
        if table.is_large(slot):
            more.append((slot, counter.hour, counter.value))
    return HeldHours(entries, more)


def sum_by_hour(entries: Numbers, into: dict[int, int]) -> None:
    """Add the values of entries to those of their hours."""
    _sum_by(entries[:, HOUR], entries, into)


def sum_by_slot(entries: Numbers, into: dict[int, int]) -> None:
    """Add the values of entries to those of their counters."""
    _sum_by(entries[:, SLOT], entries, into)


def within(entries: Numbers, first: int, last: int) -> Numbers:
    """Return the entries of a range of hours, both included."""
    inside: NDArray[np.bool_] = (entries[:, HOUR] >= first) & (entries[:, HOUR] <= last)
    return entries[inside]


def _sum_by(keys: Numbers, entries: Numbers, into: dict[int, int]) -> None:
    if not len(keys):
        return
    order = np.argsort(keys, kind="stable")
    keys, wholes, parts = keys[order], entries[order, WHOLE], entries[order, PART]
    starts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
    # In two parts, so that no sum of 64-bit numbers overflows.
    high = np.add.reduceat(wholes >> _LOW_BITS, starts).tolist()
    low = np.add.reduceat(wholes & ((1 << _LOW_BITS) - 1), starts).tolist()
    rest = np.add.reduceat(parts, starts).tolist()
    for key, upper, lower, part in zip(keys[starts].tolist(), high, low, rest, strict=True):
        value = ((upper << _LOW_BITS) + lower) * SCALE + part
        into[key] = into.get(key, 0) + value
