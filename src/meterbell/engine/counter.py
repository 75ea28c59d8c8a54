"""A counter: the running aggregate of one meter and one customer, and what its alerts need.

What every event needs stands in the counter itself and everything rarer in its `Detail`. The table
holds counters as rows of numbers; see `table`.
"""

from typing import NamedTuple

from msgspec import Struct

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


class Baseline(Struct, array_like=True):
    """Usage of one counter that does not count for one alert (A2).

    Attributes:
        created_sequence: The alert's place in commit order.
        value: For `sum` and `count`: what to take off the total.
        since: For `last`: the newest event after the alert's creation.
    """

    created_sequence: int
    value: int = 0
    since: Counted | None = None


class Detail(Struct, array_like=True, gc=False):
    """What few events of a counter need.

    Attributes:
        newest: For `last`: the counted event with the newest timestamp.
        newest_in_hour: The same within the counter's newest hour.
        buckets: All hours but the newest, by UTC hour since 1970. Of a counter that only adds up:
            what came late for an hour since its part before was put away; see `hours`.
        slots: For meters with an event time window: the event that counts in each window.
        baselines: By alert; only for alerts made after the counter.
        watch: Untriggered alerts to be evaluated one by one.
        triggered: Alerts that fired for this customer.
        peak: Highest total right before it fell; see `Counter.highest`.
    """

    newest: Counted | None = None
    newest_in_hour: Counted | None = None
    buckets: dict[int, Bucket] = {}
    slots: dict[int, Counted] = {}
    baselines: dict[AlertId, Baseline] = {}
    watch: tuple[AlertId, ...] = ()
    triggered: frozenset[AlertId] = frozenset()
    peak: int = 0


NO_DETAIL = Detail()
"""Stands for the detail of a counter that has none; never changed."""


class Counter(Struct, array_like=True, gc=False):
    """The running aggregate of one meter and one customer.

    Attributes:
        total: Aggregate of all counted events, in units of 10^-12.
        next_fire: Lowest total at which an alert may trigger; lower than needed does no harm.
        armed: Sequence of the latest alert change that this counter has taken in.
        hour: The newest UTC hour with an event, since 1970; -1 before the first event.
        value: That hour's `Bucket.value`.
        events: That hour's `Bucket.events`.
        head: That hour's `Bucket.head`.
        detail: What few events need; None as long as it would be empty.
    """

    total: int = 0
    next_fire: int = NEVER
    armed: int = 0
    hour: int = -1
    value: int = 0
    events: int = 0
    head: int = 0
    detail: Detail | None = None

    @property
    def highest(self) -> int:
        """The highest total so far.

        Every active alert without a baseline whose threshold is at or below it has triggered or
        stands in `watch`.
        """
        return max(self.read_detail().peak, self.total)

    def read_detail(self) -> Detail:
        """Return the detail to be read."""
        return self.detail or NO_DETAIL

    def open_detail(self) -> Detail:
        """Return the detail to be changed."""
        if self.detail is None:
            self.detail = Detail()
        return self.detail

    def bucket(self, hour: int) -> Bucket:
        """Return the aggregate of an hour, empty if nothing came."""
        if hour == self.hour:
            return Bucket(self.value, self.events, self.read_detail().newest_in_hour, self.head)
        return self.read_detail().buckets.get(hour, _NO_EVENTS)

    def open_hour(self, hour: int) -> None:
        """Make an hour the newest one; it is newer than all, and empty."""
        if self.hour >= 0:
            detail = self.open_detail()
            detail.buckets[self.hour] = self.bucket(self.hour)
            detail.newest_in_hour = None
            self.value = self.events = self.head = 0
        self.hour = hour

    def set_bucket(self, hour: int, bucket: Bucket) -> None:
        """Make `bucket` the aggregate of an hour; a newer hour than all becomes the newest."""
        if hour > self.hour:
            self.open_hour(hour)
        if hour == self.hour:
            self.value, self.events, newest, self.head = bucket
            if newest is not self.read_detail().newest_in_hour:
                self.open_detail().newest_in_hour = newest
        else:
            self.open_detail().buckets[hour] = bucket

    def hours(self) -> list[int]:
        """Return the hours that have a bucket."""
        hours = list(self.read_detail().buckets)
        return hours if self.hour < 0 else [*hours, self.hour]
