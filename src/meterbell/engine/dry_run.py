"""What an alert would have done had it been made earlier, and how near those came who are left out.

Rules A2 and A3 over stored usage; nothing is written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from meterbell.engine.growing import Numbers
from meterbell.engine.largest import largest
from meterbell.engine.model import Meter
from meterbell.engine.state import State, is_plain
from meterbell.engine.table import TOTAL, TOTAL_PART, WHOLE_MAX, fitted
from meterbell.engine.tail import Step
from meterbell.engine.value import SCALE
from meterbell.ids import CustomerId

SHARES = 10
"""Into so many equal shares of the threshold those are sorted who stay below it."""


class Crossing(NamedTuple):
    """The meter event at which an alert would have fired.

    Attributes:
        sequence: Its place in commit order.
        value: Usage right after it, in units of 10^-12.
        timestamp: Unix seconds, the usage's own time.
    """

    sequence: int
    value: int
    identifier: str
    timestamp: int
    received_at_ms: int


class Candidate(NamedTuple):
    """A customer with usage in the span.

    Attributes:
        peak: The highest usage right after one of its events, in units of 10^-12; 0 at least.
        crossing: Where the alert would have fired; None if it would not, or if there was no time
            to look.
    """

    customer: CustomerId
    peak: int
    crossing: Crossing | None = None


class StepCount(NamedTuple):
    """For how many customers an alert would have fired between two instants, in Unix seconds."""

    start: int
    end: int
    customers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """What an alert would have done had it been made at the start of a span.

    Attributes:
        customer: The one customer that it watches; None for any.
        start: Unix seconds; usage that was received from then on counts.
        end: Unix seconds; usage that was received before is taken in.
        complete: Whether `end` is the present. If not, there was no time to look at all of the
            usage: the alert would have fired for more customers, or for as many.
        customers: How many had usage.
        count: For how many of them it would have fired.
        fired: Some of these, most usage first.
        near: Some of the others, most usage first.
        shares: How many of the others came to less than a tenth of the threshold, to less than two
            tenths, and so on.
        steps: When it would have fired, oldest first; up to `steps_end`, which may be earlier.
    """

    meter: Meter
    customer: CustomerId | None
    gte: int
    start: int
    end: int
    complete: bool
    customers: int
    count: int
    fired: Sequence[Candidate]
    near: Sequence[Candidate]
    shares: Sequence[int]
    steps: Sequence[StepCount]
    steps_end: int


class Peaks(NamedTuple):
    """The highest usage of customers side by side.

    Attributes:
        customers: Their numbers.
        wholes: Whole units, rounded down; at most as much as a row of the counter table can hold.
        parts: What is above that, in units of 10^-12.
        large: By place, the usage that is more than that.
    """

    customers: Numbers
    wholes: Numbers
    parts: Numbers
    large: Mapping[int, int]

    def only(self, customer: int) -> "Peaks":
        """Return those of one customer, or of none if it has no usage."""
        chosen = np.flatnonzero(self.customers == customer)
        large = {at: self.large[p] for at, p in enumerate(chosen.tolist()) if p in self.large}
        return Peaks(self.customers[chosen], self.wholes[chosen], self.parts[chosen], large)

    def reaching(self, gte: int) -> int:
        """Return how many reach a threshold."""
        return int(np.count_nonzero(self.wholes >= gte))

    def furthest(self, count: int, *, gte: int, reached: bool) -> list[int]:
        """Return the places of those with most usage, most first.

        Args:
            count: Places at most.
            gte: A threshold.
            reached: Whether those are meant who reach it, or the others.
        """
        places = np.flatnonzero((self.wholes >= gte) == reached)
        chosen = largest(places, (self.wholes, self.parts), count)
        return sorted(chosen, key=lambda place: (-self.usage(place), place))

    def usage(self, place: int) -> int:
        """Return a usage in units of 10^-12."""
        if place in self.large:
            return self.large[place]
        return int(self.wholes[place]) * SCALE + int(self.parts[place])

    def shares(self, gte: int) -> list[int]:
        """Return how many stay below a threshold, by the share of it that they come to."""
        below = [self._below(gte * SCALE * share // SHARES) for share in range(SHARES + 1)]
        below[0] = 0
        return [after - before for before, after in pairwise(below)]

    def _below(self, bound: int) -> int:
        whole, part = divmod(bound, SCALE)
        is_below: NDArray[np.bool_] = self.wholes < whole
        return int(np.count_nonzero(is_below | ((self.wholes == whole) & (self.parts < part))))


def lifetime_peaks(state: State, meter: Meter, customers: Numbers, slots: Numbers) -> Peaks:
    """Return the highest totals that counters of a meter ever had.

    Only of a meter that adds up, without cancellations: then they are what its events led to.

    Args:
        state: Has the counters.
        meter: Adds up.
        customers: Whose.
        slots: Their rows.
    """
    assert is_plain(meter), "of others the total says nothing about the usage before"
    table = state.table
    wholes, parts = table.rows[slots, TOTAL], table.rows[slots, TOTAL_PART]
    large: dict[int, int] = {}
    for place in table.with_more(slots).tolist():
        highest = table.load(int(slots[place])).highest
        wholes[place], parts[place] = fitted(highest)
        if wholes[place] == WHOLE_MAX:
            large[place] = highest
    is_below = wholes < 0
    wholes[is_below] = parts[is_below] = 0
    return Peaks(customers, wholes, parts, large)


def joined(pieces: Sequence[Peaks]) -> Peaks:
    """Return several one after the other, at least one."""
    large: dict[int, int] = {}
    begin = 0
    for piece in pieces:
        large |= {begin + place: usage for place, usage in piece.large.items()}
        begin += len(piece.customers)
    customers, wholes, parts, _ = zip(*pieces, strict=True)
    return Peaks(np.concatenate(customers), np.concatenate(wholes), np.concatenate(parts), large)


def count_steps(
    steps: Sequence[Step], gte: int, *, start: int, place: int | None = None
) -> list[StepCount]:
    """Return for how many customers usage reached a threshold in each step.

    Args:
        steps: Oldest first.
        gte: The threshold, in whole units.
        start: When the first step begins, in Unix seconds.
        place: Of the one customer that is counted; None for all.
    """
    found: list[StepCount] = []
    before = 0
    for step in steps:
        wholes = step.wholes if place is None else step.wholes[place : place + 1]
        reached = int(np.count_nonzero(wholes >= gte))
        found.append(StepCount(start, step.end, reached - before))
        start, before = step.end, reached
    return found
