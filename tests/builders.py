"""Builders with defaults, to keep the fact that matters in sight; the engine over a plain list."""

from collections.abc import Iterable, Sequence
from typing import cast

from meterbell.engine.batch import Columns
from meterbell.engine.counter import Counter
from meterbell.engine.decide import Group, Recorded
from meterbell.engine.growing import Numbers
from meterbell.engine.hours import SLOT, Hours, add_parts, parts_of
from meterbell.engine.model import (
    Alert,
    AlertStatus,
    BaselineKind,
    EventRun,
    EventTimeWindow,
    Formula,
    LogEntry,
    Meter,
    MeterEvent,
    MeterStatus,
    StreamUsage,
    Trigger,
    UsageRequest,
)
from meterbell.engine.replay import replay_runs
from meterbell.engine.rows import event_of
from meterbell.engine.state import Limits, State
from meterbell.engine.stream import StreamBatch
from meterbell.engine.table import BLOCK, WHOLE_MAX
from meterbell.engine.value import format_value
from meterbell.engine.values import Values
from meterbell.ids import AlertId, CustomerId, MeterId

NOW = 1_767_225_600
"""2026-01-01T00:00:00Z: both an hour and a day begin here."""

HOUR = 3600
DAY = 86400


def make_meter(
    name: str = "requests",
    *,
    formula: Formula = "sum",
    window: EventTimeWindow | None = None,
    status: MeterStatus = "active",
    livemode: bool = False,
) -> Meter:
    """Return a meter whose event name is `name`, with Stripe's default payload keys."""
    return Meter(
        id=MeterId(f"mtr_live_{name}" if livemode else f"mtr_{name}"),
        livemode=livemode,
        display_name=name,
        event_name=name,
        formula=formula,
        customer_key="stripe_customer_id",
        value_key="value",
        event_time_window=window,
        status=status,
        created=NOW,
        updated=NOW,
        deactivated_at=None,
    )


def make_alert(
    name: str = "alert",
    *,
    gte: int = 10,
    customer: str | None = None,
    baseline: BaselineKind = "creation",
    meter: str = "requests",
    livemode: bool = False,
) -> Alert:
    """Return an active alert on the meter made by `make_meter(meter)`."""
    return Alert(
        id=AlertId(f"alrt_{name}"),
        livemode=livemode,
        title=name,
        meter=MeterId(f"mtr_{meter}"),
        customer=None if customer is None else CustomerId(customer),
        gte=gte,
        baseline=baseline,
        status="active",
        created=NOW,
        created_sequence=0,
    )


def make_request(
    value: str | None = "1",
    *,
    customer: str | None = "cus_a",
    meter: str = "requests",
    identifier: str | None = None,
    timestamp: int | None = None,
    request_key: bytes = b"",
    request_digest: bytes = b"",
    livemode: bool = False,
) -> UsageRequest:
    """Return a usage request for a meter made by `make_meter(meter)`."""
    payload: dict[str, str] = {}
    if customer is not None:
        payload["stripe_customer_id"] = customer
    if value is not None:
        payload["value"] = value
    return UsageRequest(
        livemode=livemode,
        event_name=meter,
        payload=payload,
        identifier=identifier,
        timestamp=timestamp,
        request_key=request_key,
        request_digest=request_digest,
    )


def stream_batch(
    livemode: bool,  # noqa: FBT001
    events: Sequence[StreamUsage] | Sequence[UsageRequest],
    identifiers: list[str],
) -> StreamBatch:
    """Return what a stream request becomes."""
    if isinstance(events[0], StreamUsage):
        usual = cast("Sequence[StreamUsage]", events)
        return StreamBatch(livemode, Columns.of_usual(usual, identifiers))
    requests = cast("Sequence[UsageRequest]", events)
    return StreamBatch(livemode, Columns.of_requests(requests, identifiers))


class EngineRun:
    """The engine with a plain list in place of a store.

    Attributes:
        state: What was merged.
        log: The merged entries, in commit order.
        group: The open group; `merge` begins the next one.
        stored_hours: Closed hours that were put away, with the place at which that was.
    """

    def __init__(
        self,
        *meters: Meter,
        customers: Iterable[str] = ("cus_a", "cus_b"),
        limits: Limits | None = None,
        now: int = NOW,
    ) -> None:
        self.state = State(limits=limits or Limits())
        self.log: list[LogEntry] = []  # each meter event by itself
        self._merged_triggers: list[Trigger] = []
        self._identifiers = 0
        self.stored_hours: list[tuple[int, Numbers]] = []
        self.values = Values()
        for meter in meters or (make_meter(),):
            self.state.put_meter(meter)
        for customer in customers:
            self.state.add_customer(CustomerId(customer), livemode=False)
            self.state.add_customer(CustomerId(customer), livemode=True)
        self.now_ms = now * 1000
        self.group = self._new_group()

    @property
    def triggers(self) -> list[Trigger]:
        """All triggers so far, those of the open group included."""
        return self._merged_triggers + self.group.triggers

    @property
    def fired(self) -> list[tuple[str, str, str, int]]:
        """All triggers so far as (alert name, customer, value, sequence)."""
        return [
            (t.alert.title, t.customer, format_value(t.value), t.sequence) for t in self.triggers
        ]

    def lookup(self, sequence: int) -> MeterEvent:
        """Return a merged meter event."""
        entry = self.log[sequence - 1]
        assert isinstance(entry, EventRun)
        assert entry.sequence == sequence
        (row,) = entry.rows()
        return event_of(self.state.meters[row.meter], row, sequence, entry.received_at_ms)

    def merge(self) -> None:
        """Commit the open group and begin another."""
        self.log += [single for entry in self.group.entries for single in _singles(entry)]
        self._merged_triggers += self.group.triggers
        self.group = self._new_group()

    def advance(self, seconds: float) -> None:
        """Commit the open group and begin another, later."""
        self.now_ms += round(seconds * 1000)
        self.merge()

    def record(self, request: UsageRequest) -> Recorded:
        """Count one usage request in the open group."""
        self._identifiers += 1
        return self.group.record(request, new_identifier=f"generated_{self._identifiers}")

    def use(
        self,
        *values: str,
        customer: str = "cus_a",
        meter: str = "requests",
        timestamp: int | None = None,
        identifier: str | None = None,
    ) -> int:
        """Count some values in the open group; return the sequence of the latest."""
        sequence = 0
        for value in values:
            request = make_request(
                value,
                customer=customer,
                meter=meter,
                timestamp=timestamp,
                identifier=identifier,
            )
            sequence = self.record(request).event.sequence
        return sequence

    def cancel(self, identifier: str, *, meter: str = "requests") -> MeterEvent:
        """Cancel a meter event in the open group."""
        return self.group.cancel(livemode=False, event_name=meter, identifier=identifier)

    def create(self, alert: Alert, *, evaluate: bool = False) -> Alert:
        """Create an alert in the open group."""
        return self.group.create_alert(alert, evaluate=evaluate)

    def set_status(self, name: str, status: AlertStatus) -> Alert:
        """Change the status of the alert made by `make_alert(name)`."""
        return self.group.set_alert_status(AlertId(f"alrt_{name}"), status)

    def counter(self, customer: str = "cus_a", meter: str = "requests") -> Counter:
        """Return a counter as it is after the open group, which this commits."""
        self.merge()
        counter = self.state.counter(MeterId(f"mtr_{meter}"), CustomerId(customer))
        assert counter is not None, "no usage came"
        return counter

    def hours(self, customer: str = "cus_a", meter: str = "mtr_requests") -> Hours:
        """Return a counter's hours as they are after the open group, which this commits."""
        self.merge()
        slot = self.state.slot(MeterId(meter), CustomerId(customer))
        if slot < 0:
            return {}
        hours = self.state.table.hours_of(slot)
        for _, entries in self.stored_hours:
            add_parts(hours, parts_of(entries[entries[:, SLOT] == slot]))
        return hours

    def store_hours(self) -> None:
        """Put closed hours away, as a checkpoint does it."""
        table = self.state.table
        for block in range(-(-table.count // BLOCK)):
            entries = table.leave_hours(block)
            if len(entries):
                self.stored_hours.append((self.state.sequence, entries))
            table.hours.arrive(block, self.state.sequence)
        table.hours.compact()

    def total(self, customer: str = "cus_a", meter: str = "requests") -> str:
        """Return a counter's total, written as people write it."""
        return format_value(self.counter(customer, meter).total)

    def replayed(self, *, group_size: int = 1000) -> "EngineRun":
        """Return a run whose state was rebuilt from this one's log."""
        self.merge()
        again = EngineRun(*self.state.meters.values(), customers=(), limits=self.state.limits)
        again.state.customers = self.state.customers
        again.state.customer_ids = self.state.customer_ids
        again.state.deleted_customers = self.state.deleted_customers
        again.now_ms = self.now_ms
        again._identifiers = self._identifiers
        again.group = again._new_group()
        for index, entry in enumerate(self.log, start=1):
            again.replay(entry)
            if index % group_size == 0:
                again.merge()
        again.merge()
        return again

    def replay(self, entry: LogEntry) -> None:
        """Take in an entry of another run's log."""
        if isinstance(entry, EventRun):
            replay_runs(self.group, [entry], self.values)
        else:
            self.group.replay(entry)

    def _new_group(self) -> Group:
        return Group(self.state, self.lookup, now_ms=self.now_ms)


def _singles(entry: LogEntry) -> list[LogEntry]:
    """Return an entry with each meter event by itself, however they were grouped."""
    if not isinstance(entry, EventRun):
        return [entry]
    return [
        EventRun.of(sequence, entry.received_at_ms, [row])
        for sequence, row in enumerate(entry.rows(), entry.sequence)
    ]


def all_counters(state: State) -> dict[tuple[str, str], Counter]:
    """Return every counter by meter and customer."""
    found: dict[tuple[str, str], Counter] = {}
    for meter, number in state.meter_numbers.items():
        for customer in state.table.customers_from(number, -WHOLE_MAX):
            name = state.customer_ids[customer]
            counter = state.counter(meter, name)
            assert counter is not None
            found[meter, name] = counter
    return found
