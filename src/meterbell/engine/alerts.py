"""The alerts of a meter, arranged so that usage finds those it may fire without a search. Rule A8.

Active thresholds of a scope stand in one sorted list shared by all counters. What changed since a
counter was last touched is found in the list of changes, so an alert costs one entry however many
customers there are.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from dataclasses import dataclass, field

from meterbell.engine.counter import NEVER
from meterbell.engine.model import Alert
from meterbell.engine.value import SCALE
from meterbell.ids import AlertId, CustomerId


def threshold_of(alert: Alert) -> int:
    """Return the alert's threshold in units of 10^-12."""
    return alert.gte * SCALE


@dataclass(slots=True)
class ScopeAlerts:
    """The alerts of one meter and one scope.

    Attributes:
        alerts: Active and inactive ones by id; never archived ones.
        thresholds: (threshold, creation sequence, id) of the active ones, ascending.
        changes: (sequence, id) of each one's creation or latest status change, ascending.
        revision: Sequence of the latest change.
        lowest: The lowest active threshold.
    """

    alerts: dict[AlertId, Alert] = field(default_factory=dict)
    thresholds: list[tuple[int, int, AlertId]] = field(default_factory=list)
    changes: list[tuple[int, AlertId]] = field(default_factory=list)
    revision: int = 0
    lowest: int = NEVER

    def put(self, alert: Alert, *, sequence: int) -> None:
        """Take in a new alert or a changed status that stands at `sequence` in commit order."""
        entry = (threshold_of(alert), alert.created_sequence, alert.id)
        known = self.alerts.get(alert.id)
        if known is not None and known.status == "active":
            del self.thresholds[bisect_left(self.thresholds, entry)]
        self.changes = [change for change in self.changes if change[1] != alert.id]
        if alert.status == "archived":
            self.alerts.pop(alert.id, None)
        else:
            self.alerts[alert.id] = alert
            self.changes.append((sequence, alert.id))
            if alert.status == "active":
                insort(self.thresholds, entry)
        self.revision = sequence
        self.lowest = self.thresholds[0][0] if self.thresholds else NEVER

    def changed_since(self, sequence: int) -> Iterator[Alert]:
        """Yield the alerts that were made or changed after `sequence`, in order of change."""
        start = bisect_right(self.changes, sequence, key=lambda change: change[0])
        for _, alert_id in self.changes[start:]:
            yield self.alerts[alert_id]

    def next_threshold(self, above: int) -> int:
        """Return the lowest active threshold greater than `above`."""
        index = bisect_right(self.thresholds, above, key=lambda entry: entry[0])
        return self.thresholds[index][0] if index < len(self.thresholds) else NEVER

    def active_between(self, low: int, high: int) -> Iterator[Alert]:
        """Yield the active alerts with a threshold in (low, high], lowest first."""
        start = bisect_right(self.thresholds, low, key=lambda entry: entry[0])
        for threshold, _, alert_id in self.thresholds[start:]:
            if threshold > high:
                return
            yield self.alerts[alert_id]


@dataclass(slots=True)
class MeterAlerts:
    """All alerts of one meter: those for any customer, and those for one."""

    any_customer: ScopeAlerts = field(default_factory=ScopeAlerts)
    by_customer: dict[CustomerId, ScopeAlerts] = field(default_factory=dict)

    def scope(self, customer: CustomerId | None) -> ScopeAlerts:
        """Return the scope's alerts, to be read or changed."""
        if customer is None:
            return self.any_customer
        return self.by_customer.setdefault(customer, ScopeAlerts())

    def watching(self, customer: CustomerId) -> tuple[ScopeAlerts, ...]:
        """Return the scopes that a customer's usage is held against."""
        own = self.by_customer.get(customer)
        return (self.any_customer,) if own is None else (self.any_customer, own)
