"""One group of operations, decided in commit order: validate → dedup → fold → cross.

The group works on forks of the counters it touches, so readers see nothing of it until `merge`.
The same code replays the log at start-up, which is why a rebuilt state equals the live one.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from itertools import chain
from typing import NamedTuple, assert_never

from meterbell.engine.alerts import threshold_of
from meterbell.engine.counter import Counter
from meterbell.engine.crossing import (
    Scopes,
    catch_up,
    cross,
    fire_at_once,
    new_counter,
    refresh_next_fire,
)
from meterbell.engine.fold import add_event, remove_event
from meterbell.engine.model import (
    Alert,
    AlertChange,
    AlertStatus,
    Cancellation,
    LogEntry,
    Meter,
    MeterEvent,
    Trigger,
    UsageRequest,
)
from meterbell.engine.state import CounterKey, Lookup, State, identifier_key, request_index_key
from meterbell.engine.validate import judge, require_cancellable
from meterbell.errors import (
    DuplicateIdentifierError,
    IdempotencyMismatchError,
    InvalidParamError,
    LimitReachedError,
)
from meterbell.ids import AlertId, CustomerId

REQUEST_KEY_MS = 24 * 3600 * 1000
_DAY_MS = 24 * 3600 * 1000


Covered = Callable[[CustomerId, int], bool]
"""Whether a customer's counters hold the effect of the entry at a sequence already."""


def _nothing_covered(_customer: CustomerId, _sequence: int) -> bool:
    return False


class Recorded(NamedTuple):
    """The answer to a usage request: the accepted event, and whether it was accepted earlier."""

    event: MeterEvent
    replayed: bool


class Group:
    """Operations decided together, to be committed together or not at all.

    Attributes:
        entries: What to append to the log, in commit order.
        triggers: What fired, in commit order.
        new_customers: Customers that usage created, with their mode.
    """

    def __init__(self, state: State, lookup: Lookup, *, now_ms: int) -> None:
        """Begin an empty group after everything that `state` has taken in.

        Args:
            state: Read, and changed only by `merge` (alerts: at once, see `put_alert`).
            lookup: Finds committed meter events by sequence.
            now_ms: The present, for every operation of the group.
        """
        self.entries: list[LogEntry] = []
        self.triggers: list[Trigger] = []
        self.new_customers: dict[tuple[bool, CustomerId], None] = {}
        self.now_ms = now_ms
        self._state = state
        self._lookup = lookup
        self._first_sequence = state.sequence + 1
        self._oldest_identifier_ms = now_ms - state.limits.identifier_days * _DAY_MS
        self._counters: dict[CounterKey, Counter] = {}
        self._identifiers: dict[bytes, int] = {}
        self._request_keys: dict[bytes, int] = {}
        self._cancelled: set[int] = set()

    @property
    def counter_keys(self) -> Collection[CounterKey]:
        """The counters that the group changed."""
        return self._counters.keys()

    @property
    def next_sequence(self) -> int:
        """The place in commit order that the next entry takes."""
        return self._first_sequence + len(self.entries)

    def record(self, request: UsageRequest, *, new_identifier: str) -> Recorded:
        """Count one meter event, or return the one that the same request made before.

        Args:
            request: As reported.
            new_identifier: The identifier it gets if it brings none.

        Raises:
            RequestError: It was refused and changed nothing.
        """
        key = b""
        if request.request_key:
            key = request_index_key(request.request_key, livemode=request.livemode)
            earlier = self._find_request(key, request)
            if earlier is not None:
                return Recorded(earlier, replayed=True)
        accepted = judge(self._state, request, now_ms=self.now_ms, created=self.new_customers)
        identifier = request.identifier if request.identifier is not None else new_identifier
        id_key = identifier_key(identifier, livemode=request.livemode)
        if self._find_identifier(id_key, identifier) is not None:
            raise DuplicateIdentifierError(
                f"An event already exists with identifier {identifier}.", param="identifier"
            )
        if accepted.creates_customer:
            self.new_customers[request.livemode, accepted.customer] = None
        sequence = self._first_sequence + len(self.entries)
        previous = self._count(
            accepted.meter, accepted.customer, sequence, accepted.timestamp, accepted.value
        )
        # By position, in the class's order: by name it takes twice as long.
        event = MeterEvent(
            sequence,
            request.livemode,
            accepted.meter.id,
            accepted.customer,
            identifier,
            accepted.timestamp,
            accepted.value,
            request.payload,
            previous,
            self.now_ms,
            request.request_key,
            request.request_digest,
        )
        self.entries.append(event)
        self._identifiers[id_key] = sequence
        if key:
            self._request_keys[key] = sequence
        return Recorded(event, replayed=False)

    def cancel(self, *, livemode: bool, event_name: str, identifier: str) -> MeterEvent:
        """Take a meter event out of every aggregate (C6) and return it.

        Raises:
            RequestError: There is no such event, or it was cancelled before.
        """
        id_key = identifier_key(identifier, livemode=livemode)
        sequence = self._find_identifier(id_key, identifier)
        event = None if sequence is None else self._event(sequence)
        cancelled = sequence in self._cancelled or sequence in self._state.cancelled
        event = require_cancellable(
            self._state,
            event,
            livemode=livemode,
            event_name=event_name,
            identifier=identifier,
            cancelled=cancelled,
        )
        entry = Cancellation(self.next_sequence, event.sequence, self.now_ms)
        self._uncount(event)
        self.entries.append(entry)
        return event

    def create_alert(self, alert: Alert, *, evaluate: bool) -> Alert:
        """Add an alert at the present place in commit order and return it as stored (A2, A7).

        Args:
            alert: `created_sequence` is filled in here.
            evaluate: Whether earlier usage may trigger it at once; for `baseline=lifetime` only.

        Raises:
            LimitReachedError: The scope has as many alerts as it may have.
        """
        assert alert.status == "active", "an alert begins active"
        limit = self._state.limits.alerts_per_scope
        alerts = self._state.meter_alerts.get(alert.meter)
        if alerts is not None and len(alerts.scope(alert.customer).alerts) >= limit:
            scope = "for any customer" if alert.customer is None else f"for {alert.customer}"
            raise LimitReachedError(
                f"You have reached the maximum of {limit} alerts {scope} on meter {alert.meter}. "
                "Inactive alerts count too; archive one of them to create another.",
                param="usage_threshold[meter]",
            )
        sequence = self.next_sequence
        alert = replace(alert, created_sequence=sequence)
        self._put_alert(AlertChange(sequence, alert, evaluate, self.now_ms))
        return alert

    def set_alert_status(self, alert_id: AlertId, status: AlertStatus) -> Alert:
        """Activate, deactivate or archive an alert and return it (A6); setting it again is fine.

        Raises:
            InvalidParamError: It is archived, which is final.
        """
        alert = self._state.alerts[alert_id]
        if alert.status == status:
            return alert
        if alert.status == "archived":
            raise InvalidParamError(
                f"Alert {alert_id} is archived, which is final. Create a new alert instead."
            )
        alert = replace(alert, status=status)
        self._put_alert(AlertChange(self.next_sequence, alert, False, self.now_ms))  # noqa: FBT003
        return alert

    def replay(self, entry: LogEntry, covered: Covered = _nothing_covered) -> None:
        """Take in an entry that the log already holds, with the same effect it had at first.

        Args:
            entry: The log's next entry.
            covered: Says which counters hold the entry's effect already, by customer and sequence.
        """
        assert entry.sequence == self.next_sequence, "the log has a gap"
        match entry:
            case MeterEvent():
                id_key = identifier_key(entry.identifier, livemode=entry.livemode)
                self._identifiers[id_key] = entry.sequence
                if entry.request_key:
                    key = request_index_key(entry.request_key, livemode=entry.livemode)
                    self._request_keys[key] = entry.sequence
                if not covered(entry.customer, entry.sequence):
                    meter = self._state.meters[entry.meter]
                    self._count(meter, entry.customer, entry.sequence, entry.timestamp, entry.value)
                self.entries.append(entry)
            case Cancellation():
                event = self._event(entry.cancelled_sequence)
                self._cancelled.add(event.sequence)
                if not covered(event.customer, entry.sequence):
                    self._uncount(event)
                self.entries.append(entry)
            case AlertChange():
                self._put_alert(entry, covered)
            case _:
                assert_never(entry)

    def merge(self) -> None:
        """Make the committed group part of the state."""
        state = self._state
        for counter_key, counter in self._counters.items():
            counter.merge()
            state.counters[counter_key] = counter
        for key, sequence in self._identifiers.items():
            state.identifiers.add(key, sequence)
        for key, sequence in self._request_keys.items():
            state.request_keys.add(key, sequence)
        state.cancelled |= self._cancelled
        for livemode, customer in self.new_customers:
            state.add_customer(customer, livemode=livemode)
        state.sequence = self.next_sequence - 1

    def _event(self, sequence: int) -> MeterEvent:
        """Return a meter event of this group or of the log."""
        if sequence < self._first_sequence:
            return self._lookup(sequence)
        entry = self.entries[sequence - self._first_sequence]
        assert isinstance(entry, MeterEvent), "only meter events are looked up"
        return entry

    def _find_identifier(self, key: bytes, identifier: str) -> int | None:
        here = self._identifiers.get(key)
        if here is not None:
            return here
        oldest = self._oldest_identifier_ms
        livemode = key[:1] == b"L"

        def matches(sequence: int) -> bool:
            event = self._lookup(sequence)
            return (
                event.identifier == identifier
                and event.livemode == livemode
                and event.received_at_ms >= oldest
            )

        return self._state.identifiers.find(key, matches)

    def _find_request(self, key: bytes, request: UsageRequest) -> MeterEvent | None:
        """Return the event that a request with the same Idempotency-Key made within 24 hours."""
        oldest = self.now_ms - REQUEST_KEY_MS

        def matches(sequence: int) -> bool:
            event = self._lookup(sequence)
            return (
                event.request_key == request.request_key
                and event.livemode == request.livemode
                and event.received_at_ms >= oldest
            )

        sequence = self._request_keys.get(key)
        if sequence is None:
            sequence = self._state.request_keys.find(key, matches)
        if sequence is None:
            return None
        event = self._event(sequence)
        if event.request_digest != request.request_digest:
            raise IdempotencyMismatchError(
                "Keys for idempotent requests can only be used with the same parameters they were "
                "first used with. Try using another key if you meant to execute a different "
                "request."
            )
        return event

    def _touch(self, meter: Meter, customer: CustomerId) -> tuple[Counter, Scopes]:
        """Return the group's fork of a counter, knowing every alert made until now, and those."""
        scopes = self._state.watching(meter.id, customer)
        key = (meter.id, customer)
        counter = self._counters.get(key)
        if counter is None:
            origin = self._state.counters.get(key)
            counter = new_counter(meter, scopes) if origin is None else origin.fork()
            self._counters[key] = counter
        catch_up(meter, counter, scopes)
        return counter, scopes

    def _count(
        self, meter: Meter, customer: CustomerId, sequence: int, timestamp: int, value: int
    ) -> int:
        """Fold one event in, note what it triggers, return the event before it in its hour."""
        counter, scopes = self._touch(meter, customer)
        previous = add_event(meter, counter, sequence=sequence, timestamp=timestamp, value=value)
        if counter.total >= counter.next_fire:
            for alert, usage in cross(meter, counter, scopes):
                self.triggers.append(Trigger(alert, customer, usage, sequence))
        elif counter.total > counter.peak:
            counter.peak = counter.total
        return previous

    def _uncount(self, event: MeterEvent) -> None:
        meter = self._state.meters[event.meter]
        counter, scopes = self._touch(meter, event.customer)
        self._cancelled.add(event.sequence)

        def hour_events(hour: int) -> Iterator[MeterEvent]:
            """Yield an hour's surviving events, latest in commit order first."""
            sequence = counter.bucket(hour).head
            while sequence:
                found = self._event(sequence)
                if sequence not in self._cancelled and sequence not in self._state.cancelled:
                    yield found
                sequence = found.previous

        remove_event(meter, counter, event, hour_events)
        refresh_next_fire(meter, counter, scopes)

    def _put_alert(self, change: AlertChange, covered: Covered = _nothing_covered) -> None:
        """Add an alert or a status change to the log and to what usage is held against.

        Alerts change in the state at once, not in `merge`: events later in the group must see them,
        and a group that can't be committed ends the process.
        """
        self._state.put_alert(change.alert, sequence=change.sequence)
        self.entries.append(change)
        if change.evaluated and change.alert.baseline == "lifetime":
            self._evaluate_now(change.alert, change.sequence, covered)

    def _evaluate_now(self, alert: Alert, sequence: int, covered: Covered) -> None:
        """Trigger a fresh lifetime alert for every customer whose usage is there already (A2)."""
        meter = self._state.meters[alert.meter]
        threshold = threshold_of(alert)
        if alert.customer is None:
            every = chain(self._state.counters, self._counters)
            customers = sorted({key[1] for key in every if key[0] == alert.meter})
        else:
            customers = [alert.customer]
        for customer in customers:
            key = (alert.meter, customer)
            found = self._counters.get(key) or self._state.counters.get(key)
            if found is None or found.total < threshold or covered(customer, sequence):
                continue
            counter, scopes = self._touch(meter, customer)
            fire_at_once(meter, counter, scopes, alert)
            self.triggers.append(Trigger(alert, customer, counter.total, sequence))
