"""What usage is decided against: meters, alerts, counters, identifiers. A cache of the log."""

from collections import Counter as Counts
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from meterbell.engine.alerts import MeterAlerts, ScopeAlerts
from meterbell.engine.counter import ALWAYS, Counter
from meterbell.engine.model import Alert, Meter, MeterEvent
from meterbell.ids import AlertId, CustomerId, MeterId

Lookup = Callable[[int], MeterEvent | None]
"""Returns the accepted meter event at a place in commit order; None if the log holds it no more."""
K = TypeVar("K")


class SequenceIndex(Protocol[K]):
    """Finds the place in commit order of something that was counted before."""

    def find(self, key: K, matches: Callable[[int], bool], *, since_ms: int) -> int | None:
        """Return the sequence stored for `key`, if `matches` confirms it.

        The index may hold digests in place of keys, so a hit counts only when confirmed. A key that
        is held as it is, and was stored at or after `since_ms`, needs no confirmation.
        """

    def suspects(self, keys: Sequence[K]) -> AbstractSet[K]:
        """Return those of the keys that may be stored, or that come twice; usually none."""

    def add(self, key: K, sequence: int) -> None:
        """Store where `key` stands; sequences come in ascending order."""

    def add_run(self, keys: Sequence[K], sequence: int) -> None:
        """Store where keys stand that follow each other without a gap, the first at `sequence`."""


@dataclass(slots=True)
class DictIndex(Generic[K]):
    """The simplest `SequenceIndex`: everything in one dictionary."""

    sequences: dict[K, int] = field(default_factory=dict)

    def find(self, key: K, matches: Callable[[int], bool], *, since_ms: int) -> int | None:  # noqa: ARG002
        """Return the sequence stored for `key`, if `matches` confirms it."""
        sequence = self.sequences.get(key)
        return sequence if sequence is not None and matches(sequence) else None

    def suspects(self, keys: Sequence[K]) -> AbstractSet[K]:
        """Return those of the keys that are stored, or that come twice."""
        return {key for key, times in Counts(keys).items() if times > 1 or key in self.sequences}

    def add(self, key: K, sequence: int) -> None:
        """Store where `key` stands."""
        self.sequences[key] = sequence

    def add_run(self, keys: Sequence[K], sequence: int) -> None:
        """Store where keys stand that follow each other without a gap."""
        self.sequences.update(zip(keys, range(sequence, sequence + len(keys)), strict=True))


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that a setting may change.

    Attributes:
        alerts_per_scope: Non-archived alerts per meter and scope (A7).
        identifier_days: For how long an identifier counts once (C2); also how far back a
            timestamp may lie is fixed by C4 at 35 days.
        auto_create_customers: Whether usage for an unknown customer id creates the customer.
    """

    alerts_per_scope: int = 25
    identifier_days: int = 35
    auto_create_customers: bool = False


@dataclass(slots=True)
class PlainMeter:
    """A meter whose usual events need no more than a sum: what the hot path looks at.

    Attributes:
        counters: The state's own, by customer.
        alerts: The state's own alerts of the meter.
        any_customer: Those among them for any customer.
        counts_events: For `count`; a `sum` meter reads the value.
    """

    id: MeterId
    livemode: bool
    counters: dict[CustomerId, Counter]
    alerts: MeterAlerts
    any_customer: ScopeAlerts
    counts_events: bool


def _by_mode() -> dict[bool, dict[str, PlainMeter]]:
    return {False: {}, True: {}}


@dataclass(slots=True)
class State:
    """Everything that decides what a meter event does.

    Attributes:
        sequence: Place in commit order of the latest entry taken in.
        identifiers: Accepted identifiers and where they stand, by mode.
        request_keys: Digests of accepted Idempotency-Keys and where they stand, by mode.
        plain_meters: By mode and event name, active ones that read the usual payload.
        plain_meters_by_id: All of them.
        counters: By meter and customer, in the order in which they were made.
        log_begins: Meter events before this sequence are dropped: nothing finds them any more.
        cancelled: Sequences of cancelled meter events that are not dropped.
        customers: Known customer ids by mode; deleted ones are not in it.
        deleted_customers: Ids that are not used again, with their mode.
    """

    identifiers: dict[bool, SequenceIndex[str]] = field(
        default_factory=lambda: {False: DictIndex(), True: DictIndex()}
    )
    request_keys: dict[bool, SequenceIndex[bytes]] = field(
        default_factory=lambda: {False: DictIndex(), True: DictIndex()}
    )
    limits: Limits = field(default_factory=Limits)
    sequence: int = 0
    log_begins: int = 1
    meters: dict[MeterId, Meter] = field(default_factory=dict)
    meters_by_event_name: dict[tuple[bool, str], Meter] = field(default_factory=dict)
    plain_meters: dict[bool, dict[str, PlainMeter]] = field(default_factory=_by_mode)
    plain_meters_by_id: dict[MeterId, PlainMeter] = field(default_factory=dict)
    alerts: dict[AlertId, Alert] = field(default_factory=dict)
    meter_alerts: dict[MeterId, MeterAlerts] = field(default_factory=dict)
    counters: dict[MeterId, dict[CustomerId, Counter]] = field(default_factory=dict)
    cancelled: set[int] = field(default_factory=set)
    customers: dict[bool, dict[CustomerId, CustomerId]] = field(
        default_factory=lambda: {False: {}, True: {}}
    )
    deleted_customers: set[tuple[bool, CustomerId]] = field(default_factory=set)

    def put_meter(self, meter: Meter) -> None:
        """Take in a new or changed meter."""
        self.meters[meter.id] = meter
        self.meters_by_event_name[meter.livemode, meter.event_name] = meter
        by_name = self.plain_meters[meter.livemode]
        by_name.pop(meter.event_name, None)
        if meter.formula == "last" or meter.event_time_window is not None:
            return
        alerts = self.alerts_of(meter.id)
        plain = PlainMeter(
            id=meter.id,
            livemode=meter.livemode,
            counters=self.counters_of(meter.id),
            alerts=alerts,
            any_customer=alerts.any_customer,
            counts_events=meter.formula == "count",
        )
        self.plain_meters_by_id[meter.id] = plain
        if (
            meter.status == "active"
            and meter.customer_key == "stripe_customer_id"
            and (meter.value_key == "value" or plain.counts_events)
        ):
            by_name[meter.event_name] = plain

    def counters_of(self, meter: MeterId) -> dict[CustomerId, Counter]:
        """Return a meter's counters, to be read or changed."""
        return self.counters.setdefault(meter, {})

    def counter(self, meter: MeterId, customer: CustomerId) -> Counter | None:
        """Return a counter, if any usage came."""
        return self.counters_of(meter).get(customer)

    def alerts_of(self, meter: MeterId) -> MeterAlerts:
        """Return a meter's alerts, to be read or changed."""
        return self.meter_alerts.setdefault(meter, MeterAlerts())

    def put_alert(self, alert: Alert, *, sequence: int) -> None:
        """Take in a new alert or a changed status that stands at `sequence` in commit order."""
        self.alerts[alert.id] = alert
        self.alerts_of(alert.meter).scope(alert.customer).put(alert, sequence=sequence)
        if alert.customer is not None:
            # What concerns every customer is noticed by its revision; this is not.
            counter = self.counter(alert.meter, alert.customer)
            if counter is not None and counter.armed < sequence:
                counter.next_fire = ALWAYS

    def watching(self, meter: MeterId, customer: CustomerId) -> tuple[ScopeAlerts, ...]:
        """Return the scopes that a customer's usage of a meter is held against."""
        return self.alerts_of(meter).watching(customer)

    def add_customer(self, customer: CustomerId, *, livemode: bool) -> None:
        """Make a customer known."""
        self.customers[livemode][customer] = customer

    def add_customers(self, customers: Iterable[CustomerId], *, livemode: bool) -> None:
        """Make many customers known."""
        self.customers[livemode].update((customer, customer) for customer in customers)

    def remove_customer(self, customer: CustomerId, *, livemode: bool) -> None:
        """Refuse usage of a deleted customer from now on; its counters stay."""
        self.customers[livemode].pop(customer, None)
        self.deleted_customers.add((livemode, customer))
        self.shut_out(customer, livemode=livemode)

    def drop_before(self, sequence: int) -> None:
        """Find no meter event before a sequence any more; what it added to counters stays."""
        self.log_begins = max(self.log_begins, sequence)
        self.cancelled = {place for place in self.cancelled if place >= self.log_begins}

    def shut_out(self, customer: CustomerId, *, livemode: bool) -> None:
        """Have each event for a deleted customer judged anew: its counters alone don't tell."""
        for meter, counters in self.counters.items():
            counter = counters.get(customer)
            if counter is not None and self.meters[meter].livemode == livemode:
                counter.next_fire = ALWAYS
