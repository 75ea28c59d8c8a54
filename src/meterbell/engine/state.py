"""What usage is decided against: meters, alerts, counters, identifiers. A cache of the log."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from meterbell.engine.alerts import MeterAlerts, ScopeAlerts
from meterbell.engine.counter import Counter
from meterbell.engine.model import Alert, Meter, MeterEvent
from meterbell.ids import AlertId, CustomerId, MeterId

CounterKey = tuple[MeterId, CustomerId]
Lookup = Callable[[int], MeterEvent]
"""Returns the accepted meter event at a place in commit order."""


class SequenceIndex(Protocol):
    """Finds the place in commit order of something that was counted before."""

    def find(self, key: bytes, matches: Callable[[int], bool]) -> int | None:
        """Return the sequence stored for `key`, if `matches` confirms it.

        The index may hold digests in place of keys, so a hit counts only when confirmed.
        """

    def add(self, key: bytes, sequence: int) -> None:
        """Store where `key` stands."""


@dataclass(slots=True)
class DictIndex:
    """The simplest `SequenceIndex`: everything in one dictionary."""

    sequences: dict[bytes, int] = field(default_factory=dict)

    def find(self, key: bytes, matches: Callable[[int], bool]) -> int | None:
        """Return the sequence stored for `key`, if `matches` confirms it."""
        sequence = self.sequences.get(key)
        return sequence if sequence is not None and matches(sequence) else None

    def add(self, key: bytes, sequence: int) -> None:
        """Store where `key` stands."""
        self.sequences[key] = sequence


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
class State:
    """Everything that decides what a meter event does.

    Attributes:
        sequence: Place in commit order of the latest entry taken in.
        identifiers: Accepted identifiers and where they stand.
        request_keys: Digests of accepted Idempotency-Keys and where they stand.
        cancelled: Sequences of cancelled meter events.
        customers: Known customer ids by mode; deleted ones are not in it.
        deleted_customers: Ids that are not used again, with their mode.
    """

    identifiers: SequenceIndex = field(default_factory=DictIndex)
    request_keys: SequenceIndex = field(default_factory=DictIndex)
    limits: Limits = field(default_factory=Limits)
    sequence: int = 0
    meters: dict[MeterId, Meter] = field(default_factory=dict)
    meters_by_event_name: dict[tuple[bool, str], Meter] = field(default_factory=dict)
    alerts: dict[AlertId, Alert] = field(default_factory=dict)
    meter_alerts: dict[MeterId, MeterAlerts] = field(default_factory=dict)
    counters: dict[CounterKey, Counter] = field(default_factory=dict)
    cancelled: set[int] = field(default_factory=set)
    customers: dict[bool, dict[CustomerId, CustomerId]] = field(
        default_factory=lambda: {False: {}, True: {}}
    )
    deleted_customers: set[tuple[bool, CustomerId]] = field(default_factory=set)

    def put_meter(self, meter: Meter) -> None:
        """Take in a new or changed meter."""
        self.meters[meter.id] = meter
        self.meters_by_event_name[meter.livemode, meter.event_name] = meter

    def put_alert(self, alert: Alert, *, sequence: int) -> None:
        """Take in a new alert or a changed status that stands at `sequence` in commit order."""
        self.alerts[alert.id] = alert
        alerts = self.meter_alerts.setdefault(alert.meter, MeterAlerts())
        alerts.scope(alert.customer).put(alert, sequence=sequence)

    def watching(self, meter: MeterId, customer: CustomerId) -> tuple[ScopeAlerts, ...]:
        """Return the scopes that a customer's usage of a meter is held against."""
        alerts = self.meter_alerts.get(meter)
        return () if alerts is None else alerts.watching(customer)

    def add_customer(self, customer: CustomerId, *, livemode: bool) -> None:
        """Make a customer known."""
        self.customers[livemode][customer] = customer

    def remove_customer(self, customer: CustomerId, *, livemode: bool) -> None:
        """Refuse usage of a deleted customer from now on; its counters stay."""
        self.customers[livemode].pop(customer, None)
        self.deleted_customers.add((livemode, customer))


def identifier_key(identifier: str, *, livemode: bool) -> bytes:
    """Return the key of an identifier in its mode: test and live never meet (C2)."""
    return (b"L" if livemode else b"T") + identifier.encode()


def request_index_key(request_key: bytes, *, livemode: bool) -> bytes:
    """Return the key of an Idempotency-Key's digest in its mode."""
    return (b"L" if livemode else b"T") + request_key
