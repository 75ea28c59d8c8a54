"""Usage over time for charts, and who used most: of one customer, or of all together.

What memory holds is read on the event loop, a block of counters at a time; what the store keeps is
read in a thread. Of all customers together the stored hours are summed up once and kept, because
they never change: after that only what was put away since is read.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from meterbell.clock import Clock
from meterbell.engine.fold import HOUR_SECONDS
from meterbell.engine.growing import Numbers
from meterbell.engine.hours import SLOT, Hours, add_parts
from meterbell.engine.model import Meter
from meterbell.engine.series import (
    POINTS_MAX,
    STEP_SECONDS,
    Point,
    Step,
    by_step,
    by_week,
    hours_in_memory,
    points,
    start_of,
    sum_by_hour,
    sum_by_slot,
    within,
)
from meterbell.engine.state import State, is_plain
from meterbell.engine.summary import counting_in_windows, summarize
from meterbell.engine.table import BLOCK
from meterbell.errors import InvalidParamError
from meterbell.ids import CustomerId, MeterId
from meterbell.insight.waiting import in_thread
from meterbell.ledger.hours import PARTS_IN_BLOCK, read_entries, read_hours
from meterbell.store.base import Store

TOP_MAX = 100
_BLOCKS_AT_ONCE = 8
_METERS_KEPT_MAX = 16


class Series(NamedTuple):
    """Usage over time.

    Attributes:
        points: One for each step, oldest first.
        complete: Whether all usage is in them; if not, ask again: reading goes on where it ended.
    """

    points: list[Point]
    complete: bool


class Top(NamedTuple):
    """Who used most in a range.

    Attributes:
        customers: With their usage in units of 10^-12, most first.
        complete: Whether all usage was looked at.
    """

    customers: list[tuple[CustomerId, int]]
    complete: bool


@dataclass(slots=True)
class _Sums:
    """Stored hours of all customers of a meter, summed up.

    Attributes:
        first: The first UTC hour that is summed up.
        hourly: By hour.
        until: By part of a block, up to which place its rows are in them.
    """

    first: int
    hourly: dict[int, int] = field(default_factory=dict)
    until: dict[int, int] = field(default_factory=dict)


class _Held(NamedTuple):
    """What memory holds of a range.

    Attributes:
        sums: By hour, or by counter.
        stored_until: By block, up to which place the store's rows are to be added.
        is_own: By block, which of its rows are counters of the meter.
    """

    sums: dict[int, int]
    stored_until: dict[int, int]
    is_own: dict[int, NDArray[np.bool_]]

    def own(self, entries: Numbers, part: int) -> Numbers:
        """Return those entries of a part of a block that belong to the meter."""
        block = part // PARTS_IN_BLOCK
        return entries[self.is_own[block][entries[:, SLOT] - block * BLOCK]]


class SeriesReader:
    """Reads usage over time."""

    def __init__(self, store: Store, state: State, clock: Clock) -> None:
        """Prepare.

        Args:
            store: Where hours that are over are.
            state: Has the rest of them.
            clock: How much time is left.
        """
        self._store = store
        self._state = state
        self._clock = clock
        self._sums: dict[MeterId, _Sums] = {}
        self._reading = asyncio.Lock()

    async def of_customer(
        self, meter: Meter, customer: CustomerId, *, start: int, end: int, step: Step
    ) -> Series:
        """Return one customer's usage, whatever the formula; always complete.

        Args:
            meter: Whose usage.
            customer: Need not have any.
            start: Unix seconds; its step is included as a whole.
            end: Unix seconds, not included; its step is included as a whole.
            step: Length of a point; weeks begin on Monday, in UTC.

        Raises:
            InvalidParamError: The range is empty, or has too many steps.
            StoreUnavailableError: The store holds damaged hours.
        """
        start, end = _aligned(start, end, step)
        slot, table = self._state.slot(meter.id, customer), self._state.table
        if slot < 0:
            return Series(points({}, start=start, end=end, step=step), complete=True)
        hours, until = table.hours_of(slot), table.stored_until(slot)
        counting = counting_in_windows(meter, table.load(slot))
        if until:
            await asyncio.to_thread(self._add_stored, hours, slot, until, start, end)
        seconds = STEP_SECONDS["hour" if step == "hour" else "day"]
        found = summarize(
            meter,
            hours,
            counting=counting,
            start=start,
            end=end,
            window_seconds=seconds,
            hour_events=lambda _: (),
        )
        values = {summary.start: summary.value for summary in found}
        if step == "week":
            values = by_week(found, adds_up=meter.formula != "last")
        return Series(points(values, start=start, end=end, step=step), complete=True)

    async def of_all(
        self, meter: Meter, *, start: int, end: int, step: Step, wait_ms: int
    ) -> Series:
        """Return the usage of all customers together, of a meter that adds up.

        Args:
            meter: Adds up: `sum` or `count` without an event time window.
            start: As in `of_customer`, and `end` and `step` too.
            end: Unix seconds.
            step: Length of a point.
            wait_ms: About how long it may take.

        Raises:
            InvalidParamError: The range is empty or has too many steps, or the meter does not add
                up.
            StoreUnavailableError: The store holds damaged hours.
        """
        _require_plain(meter)
        deadline_ns = self._clock.monotonic_ns() + wait_ms * 1_000_000
        start, end = _aligned(start, end, step)
        first, last = start // HOUR_SECONDS, end // HOUR_SECONDS - 1
        async with self._reading:
            held = await self._held(meter, first, last, by_slot=False)
            sums = self._keep(meter, first)
            complete = await in_thread(self._sum_up, sums, held, deadline_ns)
            hourly = {hour: value for hour, value in sums.hourly.items() if first <= hour <= last}
        for hour, value in held.sums.items():
            hourly[hour] = hourly.get(hour, 0) + value
        values = by_step(hourly, step)
        return Series(points(values, start=start, end=end, step=step), complete)

    async def top(self, meter: Meter, *, start: int, end: int, limit: int, wait_ms: int) -> Top:
        """Return who used most in a range, of a meter that adds up.

        Args:
            meter: Adds up, as in `of_all`.
            start: Unix seconds; its hour is included as a whole.
            end: Unix seconds, not included; its hour is included as a whole.
            limit: Customers at most, up to 100.
            wait_ms: About how long it may take.

        Raises:
            InvalidParamError: The range is empty, or the meter does not add up.
            StoreUnavailableError: The store holds damaged hours.
        """
        assert 1 <= limit <= TOP_MAX, limit
        _require_plain(meter)
        deadline_ns = self._clock.monotonic_ns() + wait_ms * 1_000_000
        first, last = start // HOUR_SECONDS, -(-end // HOUR_SECONDS) - 1
        _require_range(first, last + 1)
        async with self._reading:
            held = await self._held(meter, first, last, by_slot=True)
            complete = await in_thread(self._add_by_slot, held, first, last, deadline_ns)
        slots = np.array(list(held.sums), dtype=np.int64)
        customers = self._state.table.customers_at(slots).tolist()
        names = self._state.customer_ids
        used = sorted(zip(held.sums.values(), customers, strict=True), key=lambda u: (-u[0], u[1]))
        return Top([(names[number], value) for value, number in used[:limit]], complete)

    def _add_stored(self, hours: Hours, slot: int, until: int, start: int, end: int) -> None:
        first, last = start // HOUR_SECONDS, end // HOUR_SECONDS
        stored = read_hours(self._store, slot, until=until, first=first, last=last)
        add_parts(hours, ((hour, part) for hour, parts in stored.items() for part in parts))

    async def _held(self, meter: Meter, first: int, last: int, *, by_slot: bool) -> _Held:
        """Read what memory holds of a range, some blocks of counters at a time."""
        table, held = self._state.table, _Held({}, {}, {})
        for count, (block, slots) in enumerate(self._blocks(meter)):
            found = hours_in_memory(table, slots, block=block)
            (sum_by_slot if by_slot else sum_by_hour)(within(found.entries, first, last), held.sums)
            for slot, hour, value in found.more:
                if first <= hour <= last:
                    key = slot if by_slot else hour
                    held.sums[key] = held.sums.get(key, 0) + value
            held.stored_until[block] = table.hours.stored_until(block)
            held.is_own[block] = np.isin(np.arange(block * BLOCK, (block + 1) * BLOCK), slots)
            if count % _BLOCKS_AT_ONCE == 0:
                await asyncio.sleep(0)
        return held

    def _blocks(self, meter: Meter) -> Iterator[tuple[int, Numbers]]:
        """Yield the blocks of rows in which a meter has counters, and those rows."""
        slots = np.sort(self._state.table.counters_of(self._state.meter_numbers[meter.id])[1])
        blocks, starts = np.unique(slots // BLOCK, return_index=True)
        yield from zip(blocks.tolist(), np.split(slots, starts[1:]), strict=bool(len(slots)))

    def _keep(self, meter: Meter, first: int) -> _Sums:
        """Return the sums of a meter's stored hours, begun anew if they don't reach far enough."""
        sums = self._sums.pop(meter.id, None)
        if sums is None or sums.first > first:
            sums = _Sums(first)
        self._sums[meter.id] = sums
        if len(self._sums) > _METERS_KEPT_MAX:
            del self._sums[next(iter(self._sums))]
        return sums

    def _sum_up(self, sums: _Sums, held: _Held, deadline_ns: int) -> bool:
        """Add what was stored since the last time; return whether there was time for all."""
        for part, until in _parts(held):
            after = sums.until.get(part, -1)
            if until <= after:
                continue
            if self._clock.monotonic_ns() >= deadline_ns:
                return False
            found = read_entries(
                self._store, part, until=until, first=sums.first, last=2**40, after=after
            )
            more: dict[int, int] = {}
            for entries in found:
                sum_by_hour(held.own(entries, part), more)
            # All of a part or nothing, should its reading fail.
            for hour, value in more.items():
                sums.hourly[hour] = sums.hourly.get(hour, 0) + value
            sums.until[part] = until
        return True

    def _add_by_slot(self, held: _Held, first: int, last: int, deadline_ns: int) -> bool:
        """Add what is stored of a range; return whether there was time for all."""
        for part, until in _parts(held):
            if self._clock.monotonic_ns() >= deadline_ns:
                return False
            for entries in read_entries(self._store, part, until=until, first=first, last=last):
                sum_by_slot(held.own(within(entries, first, last), part), held.sums)
        return True


def _parts(held: _Held) -> Iterator[tuple[int, int]]:
    """Yield the parts of blocks that the store keeps something of, and up to which place."""
    for block, until in held.stored_until.items():
        if until:
            for part in range(block * PARTS_IN_BLOCK, (block + 1) * PARTS_IN_BLOCK):
                yield part, until


def _aligned(start: int, end: int, step: Step) -> tuple[int, int]:
    """Return the range of whole steps around a range.

    Raises:
        InvalidParamError: It is empty, or has too many steps.
    """
    _require_range(start, end)
    seconds = STEP_SECONDS[step]
    start, end = start_of(start, step), start_of(end + seconds - 1, step)
    if (end - start) // seconds > POINTS_MAX:
        raise InvalidParamError(
            f"Invalid step: the range has more than {POINTS_MAX} of a {step} each. Choose a longer "
            "step or a shorter range.",
            param="step",
        )
    return start, end


def _require_range(start: int, end: int) -> None:
    if not 0 <= start < end:
        raise InvalidParamError("Invalid end: it must be after start.", param="end")


def _require_plain(meter: Meter) -> None:
    """Refuse a meter of which customers don't add up hour by hour."""
    if not is_plain(meter):
        raise InvalidParamError(
            f"The usage of meter {meter.id} does not add up over time and customers: it takes the "
            "last value, or one of a window. Ask for one customer.",
            param="customer",
        )
