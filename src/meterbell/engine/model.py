"""The engine's nouns, frozen: meters, meter events, alerts, triggers, log entries."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal, NamedTuple

from msgspec import Meta, Struct

from meterbell.ids import AlertId, CustomerId, MeterId

Formula = Literal["sum", "count", "last"]
MeterStatus = Literal["active", "inactive"]
AlertStatus = Literal["active", "inactive", "archived"]
EventTimeWindow = Literal["hour", "day"]
BaselineKind = Literal["creation", "lifetime"]
RefusalReason = Literal[
    "archived_meter",
    "duplicate_meter_event",
    "meter_event_customer_not_found",
    "meter_event_invalid_value",
    "meter_event_no_customer_defined",
    "meter_event_value_not_found",
    "meter_event_value_too_many_digits",
    "no_meter",
    "timestamp_in_future",
    "timestamp_too_far_in_past",
]
"""Why a meter event is not counted, as Stripe's error reports name it (contract §2.12)."""

WINDOW_SECONDS: dict[EventTimeWindow, int] = {"hour": 3600, "day": 86400}


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """What is counted: which usage belongs to it, for whom, and how it adds up."""

    id: MeterId
    livemode: bool
    display_name: str
    event_name: str
    formula: Formula
    customer_key: str
    value_key: str
    event_time_window: EventTimeWindow | None
    status: MeterStatus
    created: int
    updated: int
    deactivated_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A threshold on one meter, for one customer or for every customer separately (A1).

    Attributes:
        customer: The one customer it watches; None for any customer.
        gte: Whole units of the meter.
        created_sequence: Its place in commit order; usage after it counts (A2).
    """

    id: AlertId
    livemode: bool
    title: str
    meter: MeterId
    customer: CustomerId | None
    gte: int
    baseline: BaselineKind
    status: AlertStatus
    created: int
    created_sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRequest:
    """One meter event as a client reports it, decoded but not yet judged.

    Attributes:
        timestamp: Unix seconds; None for now.
        request_key: Digest of the Idempotency-Key, empty without one.
        request_digest: Digest of the parameters, to tell a retry from another request.
    """

    livemode: bool
    event_name: str
    payload: dict[str, str]
    identifier: str | None
    timestamp: int | None
    request_key: bytes = b""
    request_digest: bytes = b""


_Name = Annotated[str, Meta(min_length=1, max_length=100)]
_Text = Annotated[str, Meta(max_length=500)]


class DefaultPayload(Struct, gc=False, forbid_unknown_fields=True):
    """A payload that holds nothing but a customer and a value, under the default keys."""

    stripe_customer_id: Annotated[CustomerId, Meta(max_length=500)]
    value: _Text | None = None


class StreamUsage(Struct, gc=False, forbid_unknown_fields=True):
    """A meter event of a stream, decoded straight from JSON: the shape that nearly all have."""

    event_name: _Name
    payload: DefaultPayload
    identifier: _Name | None = None
    timestamp: Annotated[datetime, Meta(tz=True)] | None = None


class EventRow(NamedTuple):
    """An accepted meter event as the log holds it.

    Attributes:
        timestamp: Unix seconds, the usage's own time.
        value: As reported; None if the meter reads none.
        previous: Sequence of the event before it in the same counter and UTC hour; 0 for none.
        rest: What else the payload held.
        request_key: Digest of the Idempotency-Key, empty without one.
        request_digest: Digest of the request's parameters.
    """

    meter: MeterId
    customer: CustomerId
    identifier: str
    timestamp: int
    value: str | None
    previous: int
    rest: dict[str, str] | None = None
    request_key: bytes = b""
    request_digest: bytes = b""


class More(NamedTuple):
    """What few rows hold; see `EventRow`."""

    rest: dict[str, str] | None
    request_key: bytes
    request_digest: bytes


class EventRun(Struct):
    """A log entry: meter events that were accepted one right after the other, column by column.

    Attributes:
        sequence: Place in commit order of the first; the others follow without a gap.
        received_at_ms: When they were accepted.
        more: By place in the run, what few events have.
    """

    sequence: int
    received_at_ms: int
    meters: list[MeterId] = []
    customers: list[CustomerId] = []
    identifiers: list[str] = []
    timestamps: list[int] = []
    values: list[str | None] = []
    previous: list[int] = []
    more: dict[int, More] = {}

    @classmethod
    def of(cls, sequence: int, received_at_ms: int, rows: Iterable[EventRow]) -> "EventRun":
        """Return a run of rows."""
        run = cls(sequence, received_at_ms)
        for row in rows:
            run.append(row)
        return run

    def __len__(self) -> int:
        return len(self.identifiers)

    def append(self, row: EventRow) -> None:
        """Add an event at the end."""
        if row.rest or row.request_key:
            self.more[len(self)] = More(row.rest, row.request_key, row.request_digest)
        self.meters.append(row.meter)
        self.customers.append(row.customer)
        self.identifiers.append(row.identifier)
        self.timestamps.append(row.timestamp)
        self.values.append(row.value)
        self.previous.append(row.previous)

    def row(self, place: int) -> EventRow:
        """Return the event at a place in the run."""
        return EventRow(
            self.meters[place],
            self.customers[place],
            self.identifiers[place],
            self.timestamps[place],
            self.values[place],
            self.previous[place],
            *self.more.get(place, ()),
        )

    def rows(self) -> list[EventRow]:
        """Return all events."""
        return [self.row(place) for place in range(len(self))]

    def part(self, start: int, end: int) -> "EventRun":
        """Return the run of the events from one place up to another."""
        if start == 0 and end >= len(self):
            return self
        return EventRun(
            self.sequence + start,
            self.received_at_ms,
            self.meters[start:end],
            self.customers[start:end],
            self.identifiers[start:end],
            self.timestamps[start:end],
            self.values[start:end],
            self.previous[start:end],
            {at - start: more for at, more in self.more.items() if start <= at < end},
        )


class MeterEvent(NamedTuple):
    """An accepted meter event.

    Attributes:
        sequence: Place in commit order.
        value: In units of 10^-12; one whole unit for a `count` meter.
        timestamp: Unix seconds, the usage's own time.
        previous: Sequence of the event before it in the same counter and UTC hour; 0 for none.
        received_at_ms: When it was accepted.
    """

    sequence: int
    livemode: bool
    meter: MeterId
    customer: CustomerId
    identifier: str
    timestamp: int
    value: int
    payload: dict[str, str]
    previous: int
    received_at_ms: int
    request_key: bytes
    request_digest: bytes


class Cancellation(NamedTuple):
    """A log entry: the meter event at `cancelled_sequence` no longer counts (C6)."""

    sequence: int
    cancelled_sequence: int
    received_at_ms: int


class AlertChange(NamedTuple):
    """A log entry: an alert was created or its status changed.

    Attributes:
        alert: The alert as it is after the change.
        evaluated: Whether it was evaluated at once (`evaluate_on_create`, A2).
    """

    sequence: int
    alert: Alert
    evaluated: bool
    received_at_ms: int


LogEntry = EventRun | Cancellation | AlertChange


class Refusal(NamedTuple):
    """A meter event of a stream that is not counted; its sender learns of it in a report.

    Attributes:
        meter: None if there is no meter for the event name.
        message: For people.
    """

    livemode: bool
    reason: RefusalReason
    meter: MeterId | None
    event_name: str
    identifier: str | None
    message: str


class Trigger(NamedTuple):
    """The recorded, once-only fact that an alert fired for a customer (A4).

    Attributes:
        value: Usage right after the event that caused it, in units of 10^-12 (A3).
        sequence: Place in commit order of the entry that caused it: a meter event, or the alert's
            own creation when it was evaluated at once.
    """

    alert: Alert
    customer: CustomerId
    value: int
    sequence: int
