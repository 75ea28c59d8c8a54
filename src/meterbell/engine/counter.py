"""A counter: the running aggregate of one meter and one customer, and what its alerts need.

Counters are read while the next group is being decided, so a group never changes one in place: it
works on a fork and merges it when the group is committed.
"""

from dataclasses import dataclass, field, replace
from typing import NamedTuple

from meterbell.ids import AlertId

# Beyond every total that 35 days of any load can reach: "never fires" and "look at each event".
NEVER = int("9" * 80)
ALWAYS = -NEVER


class Counted(NamedTuple):
    """A meter event that counts. Compares by timestamp, then commit order: the `last` rule (C5)."""

    timestamp: int
    sequence: int
    value: int


class Bucket(NamedTuple):
    """The aggregate of one UTC hour of one counter.

    Attributes:
        value: For `sum` and `count`: the aggregate, in units of 10^-12.
        events: How many meter events count.
        newest: For `last`: the counted event with the newest timestamp.
        head: Sequence of the hour's latest event in commit order, counted or not. Each event names
            the one before it, so an hour's events are found without an index.
    """

    value: int = 0
    events: int = 0
    newest: Counted | None = None
    head: int = 0


_NO_EVENTS = Bucket()
# Stands in a fork for a window whose events were all cancelled. No event has sequence 0.
_NOTHING_COUNTS = Counted(0, 0, 0)


@dataclass(slots=True)
class Baseline:
    """Usage of one counter that does not count for one alert (A2).

    Attributes:
        created_sequence: The alert's place in commit order.
        value: For `sum` and `count`: what to take off the total.
        since: For `last`: the newest event after the alert's creation.
    """

    created_sequence: int
    value: int = 0
    since: Counted | None = None


@dataclass(slots=True)
class Counter:
    """The running aggregate of one meter and one customer.

    Attributes:
        total: Aggregate of all counted events, in units of 10^-12.
        newest: For `last`: the counted event with the newest timestamp.
        peak: Highest total right after any event. Every active alert without a baseline whose
            threshold is at or below it has triggered or stands in `watch`.
        armed: Sequence of the latest alert change that this counter has taken in.
        next_fire: Lowest total at which an alert may trigger; lower than needed does no harm.
        buckets: By UTC hour since 1970. In a fork: only those that changed.
        slots: For meters with an event time window: the event that counts in each window. In a
            fork: only those that changed.
        baselines: By alert; only for alerts made after the counter.
        watch: Untriggered alerts to be evaluated one by one.
        triggered: Alerts that fired for this customer.
        origin: In a fork: the counter it was made from.
    """

    total: int = 0
    newest: Counted | None = None
    peak: int = 0
    armed: int = 0
    next_fire: int = NEVER
    buckets: dict[int, Bucket] = field(default_factory=dict)
    slots: dict[int, Counted] | None = None
    baselines: dict[AlertId, Baseline] | None = None
    watch: tuple[AlertId, ...] = ()
    triggered: frozenset[AlertId] = frozenset()
    origin: "Counter | None" = None

    def fork(self) -> "Counter":
        """Return a copy that can change while this one is read."""
        baselines = self.baselines
        if baselines is not None:
            baselines = {alert: replace(baseline) for alert, baseline in baselines.items()}
        return Counter(
            self.total,
            self.newest,
            self.peak,
            self.armed,
            self.next_fire,
            {},
            None if self.slots is None else {},
            baselines,
            self.watch,
            self.triggered,
            self,
        )

    def bucket(self, hour: int) -> Bucket:
        """Return the aggregate of an hour, empty if nothing came."""
        found = self.buckets.get(hour)
        if found is None and self.origin is not None:
            found = self.origin.buckets.get(hour)
        return found or _NO_EVENTS

    def hours(self) -> set[int]:
        """Return the hours that have a bucket."""
        return set(self.buckets) | (set(self.origin.buckets) if self.origin else set())

    def slot(self, window: int) -> Counted | None:
        """Return the event that counts in an event time window, by its number since 1970."""
        assert self.slots is not None
        found = self.slots.get(window)
        if found is None and self.origin is not None:
            assert self.origin.slots is not None
            found = self.origin.slots.get(window)
        return None if found is _NOTHING_COUNTS else found

    def set_slot(self, window: int, counted: Counted | None) -> None:
        """Make `counted` the event that counts in an event time window."""
        assert self.slots is not None
        self.slots[window] = counted or _NOTHING_COUNTS

    def merge(self) -> None:
        """Turn a fork into the counter itself; its origin must not be used any more."""
        origin, self.origin = self.origin, None
        if origin is not None:
            origin.buckets.update(self.buckets)
            self.buckets = origin.buckets
        if self.slots is not None:
            slots = {} if origin is None or origin.slots is None else origin.slots
            for window, counted in self.slots.items():
                if counted is _NOTHING_COUNTS:
                    slots.pop(window, None)
                else:
                    slots[window] = counted
            self.slots = slots
