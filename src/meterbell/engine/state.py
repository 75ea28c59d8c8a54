"""What usage is decided against: meters, alerts, counters, identifiers. A cache of the log."""

from collections import Counter as Counts
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from meterbell.engine.alerts import MeterAlerts, ScopeAlerts
from meterbell.engine.counter import Counter
from meterbell.engine.growing import Numbers
from meterbell.engine.model import Alert, Meter, MeterEvent
from meterbell.engine.names import NameFinder
from meterbell.engine.table import ARMED, CounterTable
from meterbell.ids import AlertId, CustomerId, MeterId

Lookup = Callable[[int], MeterEvent | None]
"""Returns the accepted meter event at a place in commit order; None if the log holds it no more."""
K = TypeVar("K")


class SequenceIndex(Protocol[K]):
    """Finds the place in commit order of something that was counted before."""

    def find(self, key: K, matches: Callable[[int], bool]) -> int | None:
        """Return the sequence stored for `key`, if `matches` confirms it.

        The index may hold digests in place of keys, so a hit counts only when confirmed.
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

    def find(self, key: K, matches: Callable[[int], bool]) -> int | None:
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


def _by_mode() -> dict[bool, dict[str, int]]:
    return {False: {}, True: {}}


@dataclass(slots=True)
class State:
    """Everything that decides what a meter event does.

    Attributes:
        sequence: Place in commit order of the latest entry taken in.
        identifiers: Accepted identifiers and where they stand, by mode.
        request_keys: Digests of accepted Idempotency-Keys and where they stand, by mode.
        meter_numbers: What the table calls each meter.
        meter_ids: Meters by number.
        plain_meters: By mode and event name, the numbers of active meters that add up and read the
            usual payload.
        counting_meters: By number, whether a meter counts events and reads no value.
        meters_with_own_alerts: Numbers of meters with alerts for one customer.
        table: The counters.
        log_begins: Meter events before this sequence are dropped: nothing finds them any more.
        cancelled: Sequences of cancelled meter events that are not dropped.
        customers: By mode, what the table calls each known customer; deleted ones are not in it.
        customer_ids: Customers by number, of both modes and deleted ones too; in the order in which
            they were made, which never changes.
        deleted_customers: Ids that are not used again, with their mode, and their numbers.
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
    meter_numbers: dict[MeterId, int] = field(default_factory=dict)
    meter_ids: list[MeterId] = field(default_factory=list)
    plain_meters: dict[bool, dict[str, int]] = field(default_factory=_by_mode)
    counting_meters: list[bool] = field(default_factory=list)
    meters_with_own_alerts: set[int] = field(default_factory=set)
    alerts: dict[AlertId, Alert] = field(default_factory=dict)
    meter_alerts: dict[MeterId, MeterAlerts] = field(default_factory=dict)
    table: CounterTable = field(default_factory=CounterTable)
    cancelled: set[int] = field(default_factory=set)
    customers: dict[bool, dict[CustomerId, int]] = field(
        default_factory=lambda: {False: {}, True: {}}
    )
    customer_ids: list[CustomerId] = field(default_factory=list)
    deleted_customers: dict[tuple[bool, CustomerId], int] = field(default_factory=dict)
    _finders: dict[bool, NameFinder] = field(
        default_factory=lambda: {False: NameFinder(), True: NameFinder()}, compare=False, repr=False
    )

    def put_meter(self, meter: Meter) -> None:
        """Take in a new or changed meter."""
        self.meters[meter.id] = meter
        self.meters_by_event_name[meter.livemode, meter.event_name] = meter
        if meter.id not in self.meter_numbers:
            self.meter_numbers[meter.id] = self.table.add_meter(plain=is_plain(meter))
            self.meter_ids.append(meter.id)
            self.counting_meters.append(meter.formula == "count")
        number = self.meter_numbers[meter.id]
        by_name = self.plain_meters[meter.livemode]
        by_name.pop(meter.event_name, None)
        if (
            is_plain(meter)
            and meter.status == "active"
            and meter.customer_key == "stripe_customer_id"
            and meter.value_key == "value"
        ):
            by_name[meter.event_name] = number

    def counter(self, meter: MeterId, customer: CustomerId) -> Counter | None:
        """Return a counter, if any usage came; `put_counter` takes changes in."""
        slot = self.slot(meter, customer)
        return None if slot < 0 else self.table.load(slot)

    def put_counter(self, meter: MeterId, customer: CustomerId, counter: Counter) -> None:
        """Take in a new or changed counter."""
        number = self.number_of(customer, livemode=self.meters[meter].livemode)
        slot = self.table.find(self.meter_numbers[meter], number)
        if slot < 0:
            slot = self.table.add(self.meter_numbers[meter], number)
        self.table.store(slot, counter)

    def slot(self, meter: MeterId, customer: CustomerId) -> int:
        """Return the row of a counter; -1 if no usage came."""
        number = self.find_customer(customer, livemode=self.meters[meter].livemode)
        return -1 if number is None else self.table.find(self.meter_numbers[meter], number)

    def restored_at(self, meter: MeterId, customer: CustomerId) -> int:
        """Return up to which sequence a checkpoint held a counter's usage and alerts; 0 if none."""
        return int(self.table.restored_at(np.array([self.slot(meter, customer)]))[0])

    def customers_from(self, meter: MeterId, total: int) -> list[CustomerId]:
        """Return the customers whose counter for a meter may be at so many whole units or above."""
        customers = self.table.customers_from(self.meter_numbers[meter], total)
        return [self.customer_ids[number] for number in customers]

    def alerts_of(self, meter: MeterId) -> MeterAlerts:
        """Return a meter's alerts, to be read or changed."""
        return self.meter_alerts.setdefault(meter, MeterAlerts())

    def put_alert(self, alert: Alert, *, sequence: int) -> None:
        """Take in a new alert or a changed status that stands at `sequence` in commit order."""
        self.alerts[alert.id] = alert
        self.alerts_of(alert.meter).scope(alert.customer).put(alert, sequence=sequence)
        number = self.meter_numbers[alert.meter]
        if alert.customer is None:
            scope = self.alerts_of(alert.meter).any_customer
            self.table.set_alerts(number, revision=scope.revision, lowest=scope.lowest)
            return
        # What concerns every customer is noticed by its revision; this is not.
        self.meters_with_own_alerts.add(number)
        customer = self.find_customer(alert.customer, livemode=alert.livemode)
        slot = -1 if customer is None else self.table.find(number, customer)
        if slot >= 0 and self.table.rows[slot, ARMED] < sequence:
            self.table.fire_next(slot)

    def watching(self, meter: MeterId, customer: CustomerId) -> tuple[ScopeAlerts, ...]:
        """Return the scopes that a customer's usage of a meter is held against."""
        return self.alerts_of(meter).watching(customer)

    def add_customer(self, customer: CustomerId, *, livemode: bool) -> int:
        """Make a customer known; return its number."""
        known = self.customers[livemode]
        number = known.setdefault(customer, len(self.customer_ids))
        if number == len(self.customer_ids):
            self.customer_ids.append(customer)
        return number

    def load_customers(
        self, names: list[CustomerId], live: NDArray[np.bool_], deleted: NDArray[np.bool_]
    ) -> None:
        """Make all customers known; none was so far.

        Args:
            names: In the order in which they were made.
            live: Of each, whether it is one in live mode.
            deleted: Of each, whether it was deleted.
        """
        assert not self.customer_ids, "customers are loaded first"
        self.customer_ids = names
        for livemode in (False, True):
            if (live == livemode).all():
                numbers: Iterable[int] = range(len(names))
                chosen: Iterable[CustomerId] = names
            else:
                numbers = np.flatnonzero(live == livemode).tolist()
                chosen = map(names.__getitem__, numbers)
            self.customers[livemode] = dict(zip(chosen, numbers, strict=True))
        for number in np.flatnonzero(deleted).tolist():
            self.remove_customer(names[number], livemode=bool(live[number]))

    def remove_customer(self, customer: CustomerId, *, livemode: bool) -> None:
        """Refuse usage of a deleted customer from now on; its counters stay."""
        number = self.add_customer(customer, livemode=livemode)
        # In this order: who looks in another thread finds it here or there.
        self.deleted_customers[livemode, customer] = number
        del self.customers[livemode][customer]
        self._finders[livemode].forget(customer)

    def find_customer(self, customer: CustomerId, *, livemode: bool) -> int | None:
        """Return what the table calls a customer, known or deleted."""
        number = self.customers[livemode].get(customer)
        return self.deleted_customers.get((livemode, customer)) if number is None else number

    def find_customers(self, names: Sequence[CustomerId], *, livemode: bool) -> Numbers:
        """Return what the table calls each customer, -1 for those who are not known.

        For the thread that changes the state; others have `customers`.
        """
        return self._finders[livemode].find(self.customers[livemode], names)

    def number_of(self, customer: CustomerId, *, livemode: bool) -> int:
        """Return what the table calls a customer, who may be seen for the first time."""
        number = self.find_customer(customer, livemode=livemode)
        return self.add_customer(customer, livemode=livemode) if number is None else number

    def numbers_of(self, names: Sequence[CustomerId], modes: NDArray[np.bool_]) -> Numbers:
        """Return what the table calls customers, each of whom may be seen for the first time.

        Args:
            names: At least one.
            modes: Of each, whether it is a customer in live mode.
        """
        if modes.all() or not modes.any():
            found = self.find_customers(names, livemode=bool(modes[0]))
        else:
            found = np.full(len(names), -1)
        for place in np.flatnonzero(found < 0).tolist():
            found[place] = self.number_of(names[place], livemode=bool(modes[place]))
        return found

    def drop_before(self, sequence: int) -> None:
        """Find no meter event before a sequence any more; what it added to counters stays."""
        self.log_begins = max(self.log_begins, sequence)
        self.cancelled = {place for place in self.cancelled if place >= self.log_begins}


def is_plain(meter: Meter) -> bool:
    """Return whether a meter's usage does nothing but add up."""
    return meter.formula != "last" and meter.event_time_window is None
