"""One group of operations, decided in commit order: validate → dedup → fold → cross.

What is decided is part of the state at once. A group that can't be committed therefore ends the
process, and the next start rebuilds the state from the log through this same code.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple, assert_never

from meterbell.engine.alerts import threshold_of
from meterbell.engine.counter import Counted, Counter
from meterbell.engine.crossing import (
    Scopes,
    catch_up,
    cross,
    fire_at_once,
    new_counter,
    refresh_next_fire,
    watch_between,
)
from meterbell.engine.fold import add_event, add_plain_event, remove_event
from meterbell.engine.model import (
    Alert,
    AlertChange,
    AlertStatus,
    Cancellation,
    EventRow,
    EventRun,
    LogEntry,
    Meter,
    MeterEvent,
    Refusal,
    Trigger,
    UsageRequest,
)
from meterbell.engine.rows import event_of, rest_of
from meterbell.engine.state import Lookup, State, is_plain
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


class Recorded(NamedTuple):
    """The answer to a usage request: the accepted event, and whether it was accepted earlier."""

    event: MeterEvent
    replayed: bool


class Group:
    """Operations decided together, to be committed together.

    Attributes:
        entries: What to append to the log, in commit order.
        triggers: What fired, in commit order.
        refusals: Meter events of streams that are not counted.
        new_customers: Customers that usage created and that are not stored yet, with their mode.
        is_changing: Whether an operation has begun to change the state and has not ended: if it
            failed now, only the log would know what is true.
    """

    def __init__(self, state: State, lookup: Lookup, *, now_ms: int) -> None:
        """Begin an empty group after everything that `state` has taken in.

        Args:
            state: Changed by every operation.
            lookup: Finds meter events of earlier groups by sequence.
            now_ms: The present, for every operation of the group.
        """
        self.entries: list[LogEntry] = []
        self.triggers: list[Trigger] = []
        self.refusals: list[Refusal] = []
        self.new_customers: dict[tuple[bool, CustomerId], None] = {}
        self.now_ms = now_ms
        self.is_changing = False
        self.state = state
        self._lookup = lookup
        self._first_sequence = state.sequence + 1
        self._oldest_identifier_ms = now_ms - state.limits.identifier_days * _DAY_MS
        self._run: EventRun | None = None

    def record(self, request: UsageRequest, *, new_identifier: str) -> Recorded:
        """Count one meter event, or return the one that the same request made before.

        Args:
            request: As reported.
            new_identifier: The identifier it gets if it brings none.

        Raises:
            RequestError: It was refused and changed nothing.
        """
        state, livemode = self.state, request.livemode
        if request.request_key:
            earlier = self.find_request(request)
            if earlier is not None:
                return Recorded(earlier, replayed=True)
        accepted = judge(state, request, now_ms=self.now_ms)
        meter, customer = accepted.meter, accepted.customer
        identifier = request.identifier if request.identifier is not None else new_identifier
        if self.find_identifier(identifier, livemode=livemode) is not None:
            raise duplicate(identifier)
        self.is_changing = True
        if accepted.creates_customer:
            self.create_customer(customer, livemode=livemode)
        sequence = state.sequence + 1
        previous = self.count(meter, customer, sequence, accepted.timestamp, accepted.value)
        row = EventRow(
            meter.id,
            customer,
            identifier,
            accepted.timestamp,
            request.payload.get(meter.value_key),
            previous,
            rest_of(meter, request.payload),
            request.request_key,
            request.request_digest,
        )
        self.run_to_extend().append(row)
        state.sequence = sequence
        state.identifiers[livemode].add(identifier, sequence)
        if request.request_key:
            state.request_keys[livemode].add(request.request_key, sequence)
        self.is_changing = False
        return Recorded(event_of(meter, row, sequence, self.now_ms), replayed=False)

    def create_customer(self, customer: CustomerId, *, livemode: bool) -> None:
        """Make a customer known whom usage names for the first time."""
        self.is_changing = True
        self.new_customers[livemode, customer] = None
        self.state.add_customer(customer, livemode=livemode)

    def cancel(self, *, livemode: bool, event_name: str, identifier: str) -> MeterEvent:
        """Take a meter event out of every aggregate (C6) and return it.

        Raises:
            RequestError: There is no such event, or it was cancelled before.
        """
        sequence = self.find_identifier(identifier, livemode=livemode)
        event = require_cancellable(
            self.state,
            None if sequence is None else self._event(sequence),
            livemode=livemode,
            event_name=event_name,
            identifier=identifier,
            cancelled=sequence in self.state.cancelled,
        )
        self.is_changing = True
        self._append(Cancellation(self.state.sequence + 1, event.sequence, self.now_ms))
        self.state.cancelled.add(event.sequence)
        self.uncount(event)
        self.is_changing = False
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
        limit = self.state.limits.alerts_per_scope
        alerts = self.state.meter_alerts.get(alert.meter)
        if alerts is not None and len(alerts.scope(alert.customer).alerts) >= limit:
            scope = "for any customer" if alert.customer is None else f"for {alert.customer}"
            raise LimitReachedError(
                f"You have reached the maximum of {limit} alerts {scope} on meter {alert.meter}. "
                "Inactive alerts count too; archive one of them to create another.",
                param="usage_threshold[meter]",
            )
        sequence = self.state.sequence + 1
        alert = replace(alert, created_sequence=sequence)
        self._put_alert(AlertChange(sequence, alert, evaluate, self.now_ms))
        return alert

    def set_alert_status(self, alert_id: AlertId, status: AlertStatus) -> Alert:
        """Activate, deactivate or archive an alert and return it (A6); setting it again is fine.

        Raises:
            InvalidParamError: It is archived, which is final.
        """
        alert = self.state.alerts[alert_id]
        if alert.status == status:
            return alert
        if alert.status == "archived":
            raise InvalidParamError(
                f"Alert {alert_id} is archived, which is final. Create a new alert instead."
            )
        alert = replace(alert, status=status)
        sequence = self.state.sequence + 1
        self._put_alert(AlertChange(sequence, alert, False, self.now_ms))  # noqa: FBT003
        return alert

    def replay(self, entry: Cancellation | AlertChange) -> None:
        """Take in an entry that the log already holds, with the same effect it had at first.

        For meter events see `replay_run`.

        A counter that a checkpoint restored holds the effect of everything up to its latest change.
        """
        match entry:
            case Cancellation():
                event = self._event(entry.cancelled_sequence)
                self._append(entry)
                if event is None:
                    return  # dropped: the checkpoint holds the effect
                self.state.cancelled.add(event.sequence)
                if entry.sequence > self.state.restored_at(event.meter, event.customer):
                    self.uncount(event)
            case AlertChange():
                self._put_alert(entry)
            case _:
                assert_never(entry)

    def run_to_extend(self) -> EventRun:
        """Return the run that the next meter event is appended to."""
        if self._run is None:
            self._run = EventRun(self.state.sequence + 1, self.now_ms)
            self.entries.append(self._run)
        return self._run

    def find_identifier(self, identifier: str, *, livemode: bool) -> int | None:
        """Return where an identifier stands that still counts once (C2)."""
        oldest = self._oldest_identifier_ms

        def matches(sequence: int) -> bool:
            event = self._event(sequence)
            return (
                event is not None
                and event.identifier == identifier
                and event.livemode == livemode
                and event.received_at_ms >= oldest
            )

        index = self.state.identifiers[livemode]
        return index.find(identifier, matches)

    def count(
        self, meter: Meter, customer: CustomerId, sequence: int, timestamp: int, value: int
    ) -> int:
        """Fold one event in, note what it triggers, return the event before it in its hour."""
        if is_plain(meter):
            known = self.state.counter(meter.id, customer)
            if known is not None:
                revision = self.state.alerts_of(meter.id).any_customer.revision
                head = add_plain_event(
                    known, sequence=sequence, timestamp=timestamp, value=value, revision=revision
                )
                if head is not None:
                    self.state.put_counter(meter.id, customer, known)
                    return head
        counter, scopes = self._touch(meter, customer)
        before, highest = counter.total, counter.highest
        previous = add_event(meter, counter, sequence=sequence, timestamp=timestamp, value=value)
        if counter.total < before:
            counter.open_detail().peak = highest
        if counter.total >= counter.next_fire:
            for alert, usage in cross(meter, counter, scopes, highest=highest):
                self.triggers.append(Trigger(alert, customer, usage, sequence))
        self.state.put_counter(meter.id, customer, counter)
        return previous

    def _append(self, entry: Cancellation | AlertChange) -> None:
        assert entry.sequence == self.state.sequence + 1, "the log has a gap"
        self.entries.append(entry)
        self._run = None
        self.state.sequence = entry.sequence

    def _event(self, sequence: int) -> MeterEvent | None:
        """Return a meter event of this group or of an earlier one; None for a dropped one."""
        if sequence < self.state.log_begins:
            return None
        if sequence < self._first_sequence:
            return self._lookup(sequence)
        for entry in reversed(self.entries):
            if entry.sequence <= sequence:
                assert isinstance(entry, EventRun), "only meter events are looked up"
                row = entry.row(sequence - entry.sequence)
                return event_of(self.state.meters[row.meter], row, sequence, entry.received_at_ms)
        raise AssertionError(f"the group has no entry {sequence}")

    def find_request(self, request: UsageRequest) -> MeterEvent | None:
        """Return the event that a request with the same Idempotency-Key made within 24 hours."""
        oldest = self.now_ms - REQUEST_KEY_MS

        def matches(sequence: int) -> bool:
            event = self._event(sequence)
            return (
                event is not None
                and event.request_key == request.request_key
                and event.livemode == request.livemode
                and event.received_at_ms >= oldest
            )

        index = self.state.request_keys[request.livemode]
        sequence = index.find(request.request_key, matches)
        if sequence is None:
            return None
        event = self._event(sequence)
        assert event is not None, "it was found just now"
        if event.request_digest != request.request_digest:
            raise IdempotencyMismatchError(
                "Keys for idempotent requests can only be used with the same parameters they were "
                "first used with. Try using another key if you meant to execute a different "
                "request."
            )
        return event

    def _touch(self, meter: Meter, customer: CustomerId) -> tuple[Counter, Scopes]:
        """Return a counter that knows every alert made until now, and those alerts.

        It must be put back: what it took in would be lost.
        """
        scopes = self.state.watching(meter.id, customer)
        counter = self.state.counter(meter.id, customer)
        if counter is None:
            counter = new_counter(meter, scopes)
        catch_up(meter, counter, scopes)
        return counter, scopes

    def uncount(self, event: MeterEvent) -> None:
        """Leave a counter as if an event had never come (C6)."""
        meter = self.state.meters[event.meter]
        counter, scopes = self._touch(meter, event.customer)
        before, highest = counter.total, counter.highest

        def hour_events(hour: int) -> Iterator[Counted]:
            """Yield an hour's surviving events, latest in commit order first."""
            sequence = counter.bucket(hour).head
            while sequence:
                found = self._event(sequence)
                if found is None:
                    return  # dropped, and so are all before it
                if sequence not in self.state.cancelled:
                    yield Counted(found.timestamp, found.sequence, found.value)
                sequence = found.previous

        remove_event(meter, counter, event, hour_events)
        if counter.total < before:
            counter.open_detail().peak = highest
        elif counter.total > highest:
            watch_between(counter, scopes, highest, counter.total)
        refresh_next_fire(meter, counter, scopes)
        self.state.put_counter(meter.id, event.customer, counter)

    def _put_alert(self, change: AlertChange) -> None:
        """Add an alert or a status change to the log and to what usage is held against."""
        self.is_changing = True
        self._append(change)
        self.state.put_alert(change.alert, sequence=change.sequence)
        if change.evaluated and change.alert.baseline == "lifetime":
            self._evaluate_now(change.alert, change.sequence)
        self.is_changing = False

    def _evaluate_now(self, alert: Alert, sequence: int) -> None:
        """Trigger a fresh lifetime alert for every customer whose usage is there already (A2)."""
        meter = self.state.meters[alert.meter]
        threshold = threshold_of(alert)
        customers: Sequence[CustomerId] = (
            sorted(self.state.customers_from(alert.meter, alert.gte))
            if alert.customer is None
            else [alert.customer]
        )
        for customer in customers:
            found = self.state.counter(alert.meter, customer)
            if found is None or found.total < threshold:
                continue
            if sequence <= self.state.restored_at(meter.id, customer):
                continue
            counter, scopes = self._touch(meter, customer)
            fire_at_once(meter, counter, scopes, alert)
            self.state.put_counter(meter.id, customer, counter)
            self.triggers.append(Trigger(alert, customer, counter.total, sequence))


def duplicate(identifier: str) -> DuplicateIdentifierError:
    """Return the refusal of an identifier that was counted before (C2)."""
    return DuplicateIdentifierError(
        f"An event already exists with identifier {identifier}.", param="identifier"
    )
