"""Usage over time for charts: one customer's, or that of all customers together, step by step."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from itertools import chain
from typing import Literal, NamedTuple

import numpy as np

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


def month_start(at: int) -> int:
    """Return when the calendar month of an instant begins, in UTC."""
    moment = datetime.fromtimestamp(at, UTC)
    return int(moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0).timestamp())


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
        more: The same of what no entry can hold: row, hour and value.
    """

    entries: Numbers
    more: list[tuple[int, int, int]]


def hours_in_memory(table: CounterTable, first: int, end: int) -> HeldHours:
    """Return what the table holds of hours of a stretch of rows, as far as their meters add up.

    Args:
        table: The counters.
        first: Where a block of rows begins.
        end: Where another one does, or the table ends.
    """
    rows = table.rows[first:end]
    adds_up = np.array([False, *table.plain])[table.meters[first:end]]
    slots = first + np.flatnonzero((rows[:, TIME] >= 0) & adds_up)
    rows = table.rows[slots]
    newest = np.zeros((len(slots), ENTRY_WIDTH), dtype=np.int64)
    newest[:, SLOT], newest[:, HOUR] = slots, rows[:, TIME] >> HOUR_SHIFT
    newest[:, WHOLE], newest[:, PART] = rows[:, VALUE], rows[:, VALUE_PART]
    entries = np.concatenate((newest, table.hours.in_memory(first, end)))
    more: list[tuple[int, int, int]] = []
    blocks = range(first // BLOCK, -(-end // BLOCK))
    for slot in chain.from_iterable(table.late.get(block, ()) for block in blocks):
        buckets = table.details[slot].buckets if slot in table.details else {}
        more += [(slot, hour, bucket.value) for hour, bucket in buckets.items()]
    for slot in table.large_between(first, end):
        counter = table.load(slot)
        more.append((slot, counter.hour, counter.value))
    return HeldHours(entries, more)


def sum_by(keys: Numbers, entries: Numbers, into: dict[int, int]) -> None:
    """Add the values of entries to those of their keys, exactly.

    Args:
        keys: Of each entry.
        entries: See `ClosedHours`.
        into: Sums in units of 10^-12, by key.
    """
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
