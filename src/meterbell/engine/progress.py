"""How far customers are towards an alert's threshold: one of them, or all side by side.

What counts is decided by rules A2 and A6 and nothing else, so what is shown is what will fire. A
meter may have a million customers: their usage is taken out of the counter table column by column,
and only counters with a `Detail` are looked at one by one.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from meterbell.engine.alerts import threshold_of
from meterbell.engine.counter import NO_DETAIL, Counter
from meterbell.engine.fold import usage_counted
from meterbell.engine.growing import Numbers
from meterbell.engine.largest import largest
from meterbell.engine.model import Alert, Meter
from meterbell.engine.state import State
from meterbell.engine.table import ARMED, TOTAL, TOTAL_PART, WHOLE_MAX, fitted
from meterbell.engine.value import SCALE
from meterbell.ids import CustomerId, MeterId

Flags = NDArray[np.bool_]
# How often those chosen are chosen anew because usage came since they were read.
_ROUNDS_MAX = 4


class Progress(NamedTuple):
    """How far one customer is towards one alert's threshold.

    Attributes:
        usage: What counts for the alert, in units of 10^-12; it goes on counting once triggered.
    """

    alert: Alert
    customer: CustomerId
    usage: int
    triggered: bool

    @property
    def remaining(self) -> int:
        """What is missing to the threshold, in units of 10^-12; 0 if nothing is."""
        return max(threshold_of(self.alert) - self.usage, 0)

    @property
    def share(self) -> Fraction:
        """Usage as a share of the threshold, 1 where it is reached."""
        return Fraction(self.usage, threshold_of(self.alert))


def counts_for(meter: Meter, alert: Alert, counter: Counter) -> int:
    """Return the usage of a counter that counts for an alert, in units of 10^-12 (A2).

    Args:
        meter: The counter's meter.
        alert: Watches the counter and is not archived, because baselines are forgotten then.
        counter: As it is; it need not have taken the alert in.
    """
    if alert.baseline == "creation" and alert.created_sequence > counter.armed:
        return 0  # nothing came since
    baseline = counter.read_detail().baselines.get(alert.id)
    return usage_counted(meter, counter.total, baseline)


def progress_of(state: State, alert: Alert, customer: CustomerId) -> Progress:
    """Return how far one customer is; without any usage at 0."""
    counter = state.counter(alert.meter, customer)
    if counter is None:
        return Progress(alert, customer, 0, triggered=False)
    usage = counts_for(state.meters[alert.meter], alert, counter)
    return Progress(alert, customer, usage, alert.id in counter.read_detail().triggered)


@dataclass(slots=True)
class Standings:
    """What counts for one alert of all its customers, each as it was when it was read last.

    Attributes:
        customers: Numbers, ascending; those who were deleted are left out.
        slots: Their counters' rows.
        wholes: Whole units of the usage, rounded down; at most as much as a row can hold.
        parts: What it has above that, in units of 10^-12.
        triggered: Whether the alert fired for each.
    """

    alert: Alert
    customers: Numbers
    slots: Numbers
    wholes: Numbers
    parts: Numbers
    triggered: Flags

    @classmethod
    def of(cls, state: State, alert: Alert) -> "Standings":
        """Return the customers with usage whom an alert watches, none of it read."""
        customers, slots = state.table.counters_of(state.meter_numbers[alert.meter])
        is_watched: Flags = np.ones(len(customers), dtype=np.bool_)
        if alert.customer is not None:
            number = state.find_customer(alert.customer, livemode=alert.livemode)
            is_watched = customers == (-1 if number is None else number)
        gone = [
            number
            for (livemode, _), number in state.deleted_customers.items()
            if livemode == alert.livemode
        ]
        if gone:
            is_watched &= ~np.isin(customers, gone)
        customers, slots = customers[is_watched], slots[is_watched]
        wholes, parts = np.zeros_like(customers), np.zeros_like(customers)
        return cls(alert, customers, slots, wholes, parts, np.zeros(len(slots), dtype=np.bool_))

    def __len__(self) -> int:
        return len(self.customers)

    def read(self, state: State, start: int, end: int) -> None:
        """Read the usage of those from one place up to another."""
        table, alert = state.table, self.alert
        slots = self.slots[start:end]
        wholes, parts = table.rows[slots, TOTAL], table.rows[slots, TOTAL_PART]
        if alert.baseline == "creation":
            is_unseen = table.rows[slots, ARMED] < alert.created_sequence
            wholes[is_unseen] = parts[is_unseen] = 0  # nothing came since
        self.wholes[start:end], self.parts[start:end] = wholes, parts
        more = table.with_more(slots)
        if len(more):
            self._read_details(state, start + more)

    def _read_details(self, state: State, places: Numbers) -> None:
        """Take in what stands beside the table: baselines, and for whom the alert fired."""
        alert_id, meter = self.alert.id, state.meters[self.alert.meter]
        details, is_large = state.table.details, state.table.is_large
        slots, wholes, parts = self.slots[places], self.wholes[places], self.parts[places]
        read = zip(places.tolist(), slots.tolist(), wholes.tolist(), parts.tolist(), strict=True)
        triggered = []
        for at, (place, slot, whole, part) in enumerate(read):
            if is_large(slot):
                self._read_one(state, place)
                wholes[at], parts[at] = self.wholes[place], self.parts[place]
            detail = details.get(slot, NO_DETAIL)
            triggered.append(alert_id in detail.triggered)
            baseline = detail.baselines.get(alert_id)
            if baseline is not None and not is_large(slot):
                total = whole * SCALE + part
                wholes[at], parts[at] = fitted(usage_counted(meter, total, baseline))
        self.wholes[places], self.parts[places] = wholes, parts
        self.triggered[places] = triggered

    def furthest(
        self, state: State, count: int, *, waiting: bool, after: CustomerId | None = None
    ) -> list[Progress]:
        """Return those with the most usage, each exactly as it is now, most first.

        Of equals the customer that was made first comes first.

        Args:
            state: What was read.
            count: Customers at most.
            waiting: Whether to leave out those for whom the alert fired.
            after: Begin behind this customer, as far as that one is now.
        """
        begin = None if after is None else _order(state, progress_of(state, self.alert, after))
        places: list[int] = []
        for _ in range(_ROUNDS_MAX):
            places = self._choose(count, waiting=waiting, begin=begin)
            if not [place for place in places if self._read_one(state, place)]:
                break
        found: list[tuple[tuple[int, int], Progress]] = []
        for place in places:
            name = state.customer_ids[int(self.customers[place])]
            progress = progress_of(state, self.alert, name)
            order = _order(state, progress)
            if (begin is None or order > begin) and not (waiting and progress.triggered):
                found.append((order, progress))
        return [progress for _, progress in sorted(found)[:count]]

    def _read_one(self, state: State, place: int) -> bool:
        """Read one anew; return whether it had changed."""
        counter = state.table.load(int(self.slots[place]))
        usage = counts_for(state.meters[self.alert.meter], self.alert, counter)
        now = (*fitted(usage), self.alert.id in counter.read_detail().triggered)
        before = (int(self.wholes[place]), int(self.parts[place]), bool(self.triggered[place]))
        self.wholes[place], self.parts[place], self.triggered[place] = now
        return now != before

    def _choose(self, count: int, *, waiting: bool, begin: tuple[int, int] | None) -> list[int]:
        """Return the places of those with the most usage, in no order; a few more do no harm."""
        is_large = np.abs(self.wholes) == WHOLE_MAX
        is_wanted: Flags = ~is_large
        if begin is not None:
            whole, part = fitted(-begin[0])
            is_behind = (self.parts < part) | ((self.parts == part) & (self.customers > begin[1]))
            is_wanted &= (self.wholes < whole) | ((self.wholes == whole) & is_behind)
        is_wanted |= is_large
        if waiting:
            is_wanted &= ~self.triggered
        # How far these are is not known here; hardly ever there is one.
        chosen: list[int] = np.flatnonzero(is_wanted & is_large).tolist()
        places = np.flatnonzero(is_wanted & ~is_large)
        return chosen + largest(places, (self.wholes, self.parts), count)


def nearest(found: Iterable[Progress], count: int) -> list[Progress]:
    """Return the customers nearest to an alert's threshold, by their share of it, nearest first.

    Of a customer and a meter only the alert that is nearest is told.

    Args:
        found: Progress towards alerts that may fire; more than once does no harm.
        count: Items at most.
    """
    best: dict[tuple[MeterId, CustomerId], Progress] = {}
    for progress in found:
        if progress.usage <= 0 or progress.triggered:
            continue
        key = progress.alert.meter, progress.customer
        known = best.get(key)
        if known is None or _nearness(progress) < _nearness(known):
            best[key] = progress
    return sorted(best.values(), key=_nearness)[:count]


def _nearness(progress: Progress) -> tuple[Fraction, int, str, str]:
    alert = progress.alert
    return -progress.share, progress.remaining, progress.customer, alert.id


def _order(state: State, progress: Progress) -> tuple[int, int]:
    """Return what progress is sorted by: most usage first, then customers as they were made."""
    number = state.find_customer(progress.customer, livemode=progress.alert.livemode)
    return -progress.usage, -1 if number is None else number
