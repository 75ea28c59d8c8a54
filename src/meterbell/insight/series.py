"""Usage over time for charts, and who used most: of one customer, or of all together."""

from collections.abc import Sequence
from heapq import merge, nsmallest
from typing import NamedTuple

import numpy as np

from meterbell.clock import Clock
from meterbell.engine.fold import HOUR_SECONDS
from meterbell.engine.hours import Hours
from meterbell.engine.model import Meter
from meterbell.engine.series import (
    POINTS_MAX,
    STEP_SECONDS,
    Point,
    Step,
    by_step,
    by_week,
    points,
    start_of,
)
from meterbell.engine.state import State, is_plain
from meterbell.engine.summary import counting_in_windows, summarize
from meterbell.errors import InvalidParamError
from meterbell.ids import CustomerId, MeterId
from meterbell.insight.sums import Sums
from meterbell.insight.waiting import in_thread
from meterbell.ledger.hours import add_stored
from meterbell.store.base import Store

TOP_MAX = 100
_SUMS_KEPT_MAX = 4
_SLICE_MS = 1000
_HOURS_KEPT_MAX = 2_000_000
# Hours since 1970 have no more, for a long time.
_HOUR_BITS = 24
_LOW_BITS = 62
_LOW = (1 << _LOW_BITS) - 1
_SORTED_AT_ONCE = 1000


class Series(NamedTuple):
    """Usage over time.

    Attributes:
        points: One for each step, oldest first.
        complete: Whether all usage is in them, but maybe that of the last seconds where there is
            very much; if not, nothing is: it is being read, and there is an answer soon.
    """

    points: list[Point]
    complete: bool


class Top(NamedTuple):
    """Who used most in a range.

    Attributes:
        customers: With their usage in units of 10^-12, most first.
        complete: As in `Series`.
    """

    customers: list[tuple[CustomerId, int]]
    complete: bool


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
        self._hours: list[Sums] = []
        self._used: dict[tuple[MeterId, int, int], Sums] = {}

    @property
    def readings(self) -> int:
        """What changes when something was read that a page may wait for."""
        return sum(sums.readings for sums in (*self._hours, *self._used.values()))

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
        (found,) = await self.of_meters([meter], customer, start=start, end=end, step=step)
        return found

    async def of_meters(
        self, meters: Sequence[Meter], customer: CustomerId, *, start: int, end: int, step: Step
    ) -> list[Series]:
        """Return one customer's usage of several meters, read together; see `of_customer`."""
        start, end = _aligned(start, end, step)
        table = self._state.table
        slots = [self._state.slot(meter.id, customer) for meter in meters]
        hours = {slot: table.hours_of(slot) for slot in slots if slot >= 0}
        until = {slot: table.stored_until(slot) for slot in hours}
        counting = [
            counting_in_windows(meter, table.load(slot)) if slot >= 0 else None
            for meter, slot in zip(meters, slots, strict=True)
        ]
        if any(until.values()):
            first, last = start // HOUR_SECONDS, end // HOUR_SECONDS
            await in_thread(add_stored, self._store, until, hours, first=first, last=last)
        return [
            self._series(meter, hours.get(slot, {}), counts, start=start, end=end, step=step)
            for meter, slot, counts in zip(meters, slots, counting, strict=True)
        ]

    @staticmethod
    def _series(
        meter: Meter,
        hours: Hours,
        counting: frozenset[int] | None,
        *,
        start: int,
        end: int,
        step: Step,
    ) -> Series:
        found = summarize(
            meter,
            hours,
            counting=counting,
            start=start,
            end=end,
            window_seconds=STEP_SECONDS["hour" if step == "hour" else "day"],
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
            wait_ms: So long it takes at most.

        Raises:
            InvalidParamError: The range is empty or has too many steps, or the meter does not add
                up.
            StoreUnavailableError: The store holds damaged hours.
        """
        _require_plain(meter)
        start, end = _aligned(start, end, step)
        first, last = start // HOUR_SECONDS, end // HOUR_SECONDS - 1
        meter_key = self._state.meter_numbers[meter.id] + 1 << _HOUR_BITS
        sums = self._hours_from(first)
        complete = await sums.read(wait_ms)
        read = ((hour, sums.get(meter_key | hour)) for hour in range(first, last + 1))
        hourly = {hour: value for hour, value in read if value is not None}
        values = by_step(hourly, step)
        return Series(points(values, start=start, end=end, step=step), complete)

    async def top(self, meter: Meter, *, start: int, end: int, limit: int, wait_ms: int) -> Top:
        """Return who used most in a range, of a meter that adds up.

        Args:
            meter: Adds up, as in `of_all`.
            start: Unix seconds; its hour is included as a whole.
            end: Unix seconds, not included; its hour is included as a whole.
            limit: Customers at most, up to 100.
            wait_ms: So long it takes at most.

        Raises:
            InvalidParamError: The range is empty, or the meter does not add up.
            StoreUnavailableError: The store holds damaged hours.
        """
        assert 1 <= limit <= TOP_MAX, limit
        sums = self._used_between(meter, start, end)
        complete = await sums.read(wait_ms)
        return Top(await in_thread(self._most, sums, limit), complete)

    async def users(self, meter: Meter, *, start: int, end: int) -> list[tuple[CustomerId, int]]:
        """Return all who used something in a range, most first; takes as long as it takes.

        Args:
            meter: Adds up, as in `of_all`.
            start: As in `top`, and `end` too.
            end: Unix seconds.

        Raises:
            InvalidParamError: The range is empty, or the meter does not add up.
            StoreUnavailableError: The store holds damaged hours.
        """
        sums = self._used_between(meter, start, end)
        while not await sums.read(_SLICE_MS):
            pass
        return await in_thread(self._most, sums)

    def _most(self, sums: Sums, limit: int | None = None) -> list[tuple[CustomerId, int]]:
        """Return whose counters have the largest sums, or all of them; in a thread."""
        used = sums.all()
        rows = np.fromiter(used, dtype=np.int64, count=len(used))
        customers = self._state.table.customers_at(rows).tolist()
        names = map(self._state.customer_ids.__getitem__, customers)
        if limit is None:
            return most_first(list(names), list(used.values()))
        return nsmallest(
            limit, zip(names, used.values(), strict=True), key=lambda item: (-item[1], item[0])
        )

    def _hours_from(self, first: int) -> Sums:
        """Return the sums of all meters by hour, kept ones if they reach far enough."""
        fitting = [sums for sums in self._hours if sums.first <= first]
        sums = next((sums for sums in fitting if sums.is_read), fitting[0] if fitting else None)
        if sums is None or len(sums) > _HOURS_KEPT_MAX:
            sums = Sums(
                self._store,
                self._state,
                self._clock,
                lambda rows, hours, meters: np.where(
                    hours >= first, meters[rows] << _HOUR_BITS | hours, -1
                ),
                first=first,
                last=2**_HOUR_BITS,
            )
            self._hours = [sums, *self._hours[: _SUMS_KEPT_MAX - 1]]
        return sums

    def _used_between(self, meter: Meter, start: int, end: int) -> Sums:
        """Return the sums of a meter's counters over a range; some that were asked for are kept.

        Raises:
            InvalidParamError: The range is empty, or the meter does not add up.
        """
        _require_plain(meter)
        first, last = start // HOUR_SECONDS, -(-end // HOUR_SECONDS) - 1
        _require_range(first, last + 1)
        number = self._state.meter_numbers[meter.id]
        sums = self._used.pop((meter.id, first, last), None)
        if sums is None:
            sums = Sums(
                self._store,
                self._state,
                self._clock,
                lambda rows, hours, meters: np.where(
                    (meters[rows] == number + 1) & (hours >= first) & (hours <= last), rows, -1
                ),
                first=first,
                last=last,
            )
        self._used[meter.id, first, last] = sums
        if len(self._used) > _SUMS_KEPT_MAX:
            del self._used[next(iter(self._used))]
        return sums


def most_first(names: list[CustomerId], values: list[int]) -> list[tuple[CustomerId, int]]:
    """Return all names with their values, largest first, and equal ones by name.

    Python sorts a list without a pause in which other threads could run, so numpy sorts, and what
    it can't compare is sorted some at a time.
    """
    # No number of numpy's holds them exactly: they are compared in two parts.
    upper = np.fromiter((value >> _LOW_BITS for value in values), np.int64, len(values))
    lower = np.fromiter((value & _LOW for value in values), np.int64, len(values))
    order = np.lexsort((~lower, ~upper))
    is_other = (np.diff(upper[order]) != 0) | (np.diff(lower[order]) != 0)
    begins = [0, *(np.flatnonzero(is_other) + 1).tolist()]
    at = order.tolist()
    found: list[tuple[CustomerId, int]] = []
    for begin, end in zip(begins, [*begins[1:], len(at)], strict=True):
        same = [names[place] for place in at[begin:end]]
        if len(same) > 1:
            parts = range(0, len(same), _SORTED_AT_ONCE)
            same = list(merge(*(sorted(same[part : part + _SORTED_AT_ONCE]) for part in parts)))
        found += [(name, values[at[begin]]) for name in same]
    return found


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
