"""What meterbell must answer, worked out the slow way from the rules alone (design.md, C* and A*).

It keeps everything that was accepted as one plain list and works out each total, each usage that
counts and each trigger anew by its definition, with no running state to get wrong. It knows nothing
of the engine. Values are exact decimals in the meter's unit; times are Unix seconds.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from decimal import Context, Decimal, Inexact
from functools import reduce

from tests.reference.entries import Cancel, Fired, NewAlert, NewStatus, Usage

HOUR = 3600
DAY = 86400
WINDOWS = {"hour": HOUR, "day": DAY}
ZERO = Decimal(0)

_EXACT = Context(prec=200, traps=[Inexact])


@dataclass(slots=True)
class RefMeter:
    """A meter, found by mode and event name."""

    name: str
    livemode: bool
    formula: str
    window: str | None
    active: bool = True


class Reference:
    """All that was accepted, and the answers that follow from it.

    Each operation returns the position it has in commit order, or None if it is refused.
    """

    def __init__(
        self,
        meters: Iterable[RefMeter],
        *,
        customers: Iterable[str],
        auto_create_customers: bool = False,
        alerts_per_scope: int = 25,
    ) -> None:
        self.log: list[Usage | Cancel | NewAlert | NewStatus] = []
        self.meters = {(meter.livemode, meter.name): meter for meter in meters}
        self.customers = {(mode, customer) for customer in customers for mode in (False, True)}
        self.auto_create_customers = auto_create_customers
        self.alerts_per_scope = alerts_per_scope
        self.now = 0
        """Seconds, set by whoever drives this."""

    # Operations, in commit order.

    def report(
        self,
        *,
        livemode: bool,
        event_name: str,
        customer: str | None,
        value: str | None,
        identifier: str,
        timestamp: int | None,
        request_key: str = "",
        request_digest: str = "",
    ) -> int | None:
        """Accept a meter event, or return the position of the one this request made before."""
        earlier = self._same_request(livemode, request_key)
        if earlier is not None:
            return earlier.position if earlier.request_digest == request_digest else None
        meter = self.meters.get((livemode, event_name))
        if meter is None or not meter.active or not customer:
            return None
        if not self.auto_create_customers and (livemode, customer) not in self.customers:
            return None
        at = self.now if timestamp is None else timestamp
        if not self.now - 35 * DAY <= at <= self.now + 5 * 60:  # C4
            return None
        amount = Decimal(1) if meter.formula == "count" else exact(value)
        if amount is None or self._identified(livemode, identifier) is not None:
            return None
        self.customers.add((livemode, customer))
        position = len(self.log) + 1
        self.log.append(
            Usage(
                position=position,
                livemode=livemode,
                meter=event_name,
                customer=customer,
                identifier=identifier,
                timestamp=at,
                value=amount,
                received_at=self.now,
                request_key=request_key,
                request_digest=request_digest,
            )
        )
        return position

    def cancel(self, *, livemode: bool, event_name: str, identifier: str) -> int | None:
        """Take back a meter event; refused if there is none, or if it was taken back before."""
        event = self._identified(livemode, identifier)
        if event is None or event.meter != event_name or event.position in self._cancelled():
            return None
        self.log.append(Cancel(len(self.log) + 1, event.position))
        return len(self.log)

    def create_alert(
        self,
        alert: str,
        *,
        meter: str,
        customer: str | None,
        gte: int,
        lifetime: bool,
        evaluate: bool,
    ) -> int | None:
        """Create an alert; refused if its meter and scope have as many as they may have (A7)."""
        standing = [
            other
            for other in self.alerts()
            if (other.meter, other.customer) == (meter, customer)
            and self.status(other.alert) != "archived"
        ]
        if len(standing) >= self.alerts_per_scope:
            return None
        position = len(self.log) + 1
        self.log.append(NewAlert(position, alert, meter, customer, gte, lifetime, evaluate))
        return position

    def set_status(self, alert: str, status: str) -> int | None:
        """Change an alert's status; archived is final, and what it is already changes nothing."""
        known = any(other.alert == alert for other in self.alerts())
        if not known or self.status(alert) in ("archived", status):
            return None
        self.log.append(NewStatus(len(self.log) + 1, alert, status))
        return len(self.log)

    # Answers.

    def alerts(self) -> list[NewAlert]:
        """Return every alert ever made, oldest first."""
        return [entry for entry in self.log if isinstance(entry, NewAlert)]

    def status(self, alert: str, at: int | None = None) -> str:
        """Return an alert's status right after a position, or now."""
        status = "active"
        for entry in self.log[:at]:
            if isinstance(entry, NewStatus) and entry.alert == alert:
                status = entry.status
        return status

    def total(self, meter: RefMeter, customer: str) -> Decimal:
        """Return the aggregate of all that survives."""
        return aggregate(meter, self.surviving(meter, customer, len(self.log)))

    def surviving(self, meter: RefMeter, customer: str, at: int) -> list[Usage]:
        """Return a customer's meter events up to a position that are not cancelled up to there."""
        cancelled = self._cancelled(at)
        return [
            entry
            for entry in self.log[:at]
            if isinstance(entry, Usage)
            and (entry.livemode, entry.meter) == (meter.livemode, meter.name)
            and entry.customer == customer
            and entry.position not in cancelled
        ]

    def usage(self, alert: NewAlert, customer: str, at: int) -> Decimal:
        """Return the usage that counts for an alert right after a position (A2)."""
        meter = self.meters[False, alert.meter]
        events = self.surviving(meter, customer, at)
        if not alert.lifetime:
            events = [event for event in events if event.position > alert.position]
        return aggregate(meter, events)

    def triggers(self) -> list[Fired]:
        """Return every trigger, in commit order; at one event by threshold, then by age."""
        fired: list[Fired] = []
        done: set[tuple[str, str]] = set()
        for entry in self.log:
            for alert, customer in self._evaluated_at(entry):
                if (alert.alert, customer) in done:
                    continue
                value = self.usage(alert, customer, entry.position)
                if value >= alert.gte:
                    done.add((alert.alert, customer))
                    fired.append(Fired(alert.alert, customer, value, entry.position))
        return fired

    def explanation(
        self, alert: NewAlert, customer: str, fired: Collection[tuple[str, str]]
    ) -> tuple[str, Decimal | None, Decimal | None]:
        """Return how an alert stands for a customer: in a word, what counts, what does not.

        `fired` are alert and customer of each of the triggers, which take long to work out.
        """
        meter = self.meters[False, alert.meter]
        status = self.status(alert.alert)
        known = (False, customer) in self.customers
        mine = alert.customer in (None, customer)
        usage = self.usage(alert, customer, len(self.log))
        words = [
            ("triggered", (alert.alert, customer) in fired),
            ("customer_unknown", not known),
            ("other_customer", not mine),
            ("archived", status == "archived"),
            ("inactive", status == "inactive"),
            ("meter_inactive", not meter.active),
            ("no_usage", customer not in self.users(alert.meter)),
            ("due", usage >= alert.gte),
            ("below", True),
        ]
        word = next(word for word, holds in words if holds)
        if not known or not mine or status == "archived":
            return word, None, None
        events = counting(meter, self.surviving(meter, customer, len(self.log)))
        if meter.formula != "last":
            return word, usage, combine(meter, events) - usage
        newest = max(events, key=lambda event: (event.timestamp, event.position), default=None)
        is_old = newest is not None and newest.position < alert.position and not alert.lifetime
        return word, usage, newest.value if newest is not None and is_old else ZERO

    def dry_run(self, meter: str, customer: str | None, gte: int, *, first: int) -> list[Fired]:
        """Return what an alert would have fired that was made right before a position."""
        alert = NewAlert(first - 1, "dry", meter, customer, gte, lifetime=False, evaluate=False)
        fired: dict[str, Fired] = {}
        for position, reporter in self.reports(meter, first=first):
            if customer in (None, reporter) and reporter not in fired:
                value = self.usage(alert, reporter, position)
                if value >= gte:
                    fired[reporter] = Fired("dry", reporter, value, position)
        return list(fired.values())

    def reports(self, meter: str, *, first: int) -> list[tuple[int, str]]:
        """Return position and customer of each meter event in test mode from a position on."""
        return [
            (entry.position, entry.customer)
            for entry in self.log[first - 1 :]
            if isinstance(entry, Usage) and (entry.livemode, entry.meter) == (False, meter)
        ]

    def users(self, meter: str) -> set[str]:
        """Return the customers of whom usage of a meter ever came in test mode."""
        return {customer for _, customer in self.reports(meter, first=1)}

    def summary(
        self, meter: RefMeter, customer: str, *, start: int, end: int, window: int | None
    ) -> list[tuple[int, int, Decimal]]:
        """Return (start, end, usage) of each window of a range with usage in it, newest first."""
        events = [
            event
            for event in counting(meter, self.surviving(meter, customer, len(self.log)))
            if start <= event.timestamp < end
        ]
        if window is None:
            return [(start, end, combine(meter, events))] if events else []
        found = []
        for at in range(start, end, window):
            inside = [event for event in events if at <= event.timestamp < at + window]
            if inside:
                found.append((at, at + window, combine(meter, inside)))
        return found[::-1]

    # Definitions.

    def _evaluated_at(
        self, entry: Usage | Cancel | NewAlert | NewStatus
    ) -> list[tuple[NewAlert, str]]:
        """Return the alerts and customers that an entry may fire, leaving the past aside."""
        if isinstance(entry, Usage):
            watching = [
                (alert, entry.customer)
                for alert in self.alerts()
                if alert.position < entry.position
                and not entry.livemode
                and alert.meter == entry.meter
                and alert.customer in (None, entry.customer)
                and self.status(alert.alert, entry.position) == "active"
            ]
            return sorted(watching, key=lambda pair: (pair[0].gte, pair[0].position))
        if isinstance(entry, NewAlert) and entry.evaluate and entry.lifetime:
            customers = {e.customer for e in self.log[: entry.position] if isinstance(e, Usage)}
            return [(entry, c) for c in sorted(customers) if entry.customer in (None, c)]
        return []

    def _cancelled(self, at: int | None = None) -> set[int]:
        return {entry.target for entry in self.log[:at] if isinstance(entry, Cancel)}

    def _identified(self, livemode: bool, identifier: str) -> Usage | None:  # noqa: FBT001
        """Return the event that holds an identifier, cancelled or not (C2)."""
        for entry in reversed(self.log):
            if (
                isinstance(entry, Usage)
                and (entry.livemode, entry.identifier) == (livemode, identifier)
                and entry.received_at >= self.now - 35 * DAY
            ):
                return entry
        return None

    def _same_request(self, livemode: bool, request_key: str) -> Usage | None:  # noqa: FBT001
        """Return the event that a request with this key made within 24 hours."""
        for entry in reversed(self.log):
            if (
                request_key
                and isinstance(entry, Usage)
                and (entry.livemode, entry.request_key) == (livemode, request_key)
                and entry.received_at >= self.now - DAY
            ):
                return entry
        return None


def exact(text: str | None) -> Decimal | None:
    """Return the number that a text stands for; None if it is not one (C3)."""
    if text is None:
        return None
    whole, point, fraction = text.removeprefix("-").partition(".")
    if not 1 <= len(whole) <= 15 or not len(point) <= len(fraction) <= 12:
        return None
    return Decimal(text) if set(whole + fraction) <= set("0123456789") else None


def counting(meter: RefMeter, events: Iterable[Usage]) -> list[Usage]:
    """Return the events that count: with a window, only the last received of each (C5)."""
    if meter.window is None:
        return list(events)
    latest: dict[int, Usage] = {}
    for event in events:
        window = event.timestamp // WINDOWS[meter.window]
        if window not in latest or event.position > latest[window].position:
            latest[window] = event
    return list(latest.values())


def combine(meter: RefMeter, events: list[Usage]) -> Decimal:
    """Return the aggregate of events that all count (C5)."""
    if not events:
        return ZERO
    if meter.formula == "last":
        return max(events, key=lambda event: (event.timestamp, event.position)).value
    return reduce(_EXACT.add, (event.value for event in events), ZERO)


def aggregate(meter: RefMeter, events: Iterable[Usage]) -> Decimal:
    """Return the aggregate of surviving events (C5)."""
    return combine(meter, counting(meter, events))
