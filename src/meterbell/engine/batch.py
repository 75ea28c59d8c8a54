"""Many meter events at once, column by column: the hot path.

Which events are accepted is decided first, in the order in which they came. Nearly all have a known
meter and customer, a plain value and a new identifier, which is seen column by column; the others
are judged one by one. Then everything is counted: what `add_plain` can't add goes the way of a
single event. So there is one set of rules; tests hold the two ways together.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np

from meterbell.engine.decide import Group, duplicate
from meterbell.engine.fold import HOUR_SECONDS
from meterbell.engine.growing import Numbers, look_up
from meterbell.engine.model import More, StreamUsage, UsageRequest
from meterbell.engine.plain import NOT_ADDED, Usage, add_plain
from meterbell.engine.rows import rest_of
from meterbell.engine.validate import FUTURE_SECONDS_MAX, PAST_SECONDS_MAX, Judged, judge
from meterbell.engine.value import SCALE
from meterbell.engine.values import Values
from meterbell.errors import RequestError
from meterbell.ids import CustomerId

T = TypeVar("T")


class Columns(NamedTuple):
    """Meter events side by side, decoded and not judged.

    Attributes:
        customers: As the usual payload names them; anything where it is not the usual payload.
        texts: Values, likewise; None for none.
        timestamps: Unix seconds; None for now.
        identifiers: Their own or generated ones.
        events: They themselves.
    """

    names: list[str]
    customers: list[CustomerId]
    texts: list[str | None]
    timestamps: list[int | None]
    identifiers: list[str]
    events: Sequence[StreamUsage | UsageRequest]

    @classmethod
    def of_usual(cls, events: Sequence[StreamUsage], identifiers: list[str]) -> "Columns":
        """Return events of the usual shape side by side."""
        payloads = [event.payload for event in events]
        stamps = [event.timestamp for event in events]
        return cls(
            names=[event.event_name for event in events],
            customers=[payload.stripe_customer_id for payload in payloads],
            texts=[payload.value for payload in payloads],
            timestamps=[None if stamp is None else int(stamp.timestamp()) for stamp in stamps],
            identifiers=identifiers,
            events=events,
        )

    @classmethod
    def of_requests(cls, requests: Sequence[UsageRequest], identifiers: list[str]) -> "Columns":
        """Return events of any shape side by side."""
        payloads = [request.payload for request in requests]
        return cls(
            names=[request.event_name for request in requests],
            customers=[_usual_customer(payload) for payload in payloads],
            texts=[payload.get("value") for payload in payloads],
            timestamps=[request.timestamp for request in requests],
            identifiers=identifiers,
            events=requests,
        )

    @classmethod
    def together(cls, parts: "Sequence[Columns]") -> "Columns":
        """Return several one after the other."""
        if len(parts) == 1:
            return parts[0]
        columns: tuple[list[Any], ...] = tuple([] for _ in cls._fields)
        for part in cast("Sequence[tuple[Sequence[Any], ...]]", parts):
            for column, items in zip(columns, part, strict=True):
                column.extend(items)
        return cls(*columns)

    def request(self, place: int, *, livemode: bool) -> UsageRequest:
        """Return the event at a place as if it had come alone."""
        event = self.events[place]
        if isinstance(event, UsageRequest):
            return event
        payload: dict[str, str] = {"stripe_customer_id": event.payload.stripe_customer_id}
        if event.payload.value is not None:
            payload["value"] = event.payload.value
        return UsageRequest(
            livemode=livemode,
            event_name=event.event_name,
            payload=payload,
            identifier=event.identifier,
            timestamp=self.timestamps[place],
        )


def _usual_customer(payload: dict[str, str]) -> CustomerId:
    """Return the customer of the usual payload, nobody for any other."""
    if len(payload) == 2 and "value" in payload:  # noqa: PLR2004
        return CustomerId(payload.get("stripe_customer_id", ""))
    return CustomerId("")


class Batch:
    """Meter events of one mode while they are decided.

    Attributes:
        refused: What was wrong, by place.
    """

    def __init__(self, group: Group, columns: Columns, values: Values, *, livemode: bool) -> None:
        """Look everything up that is known.

        Args:
            group: What the events become a part of.
            columns: The events, at least one.
            values: Kept by the caller from one batch to the next.
            livemode: Their mode.
        """
        self._group, self._state, self._livemode = group, group.state, livemode
        self._columns = columns
        self._now = group.now_ms // 1000
        self._meters = look_up(group.state.plain_meters[livemode], columns.names)
        self._numbers = group.state.find_customers(columns.customers, livemode=livemode)
        self._wholes, self._parts = values.read(columns.texts)
        counting = np.array(group.state.counting_meters or [False])[self._meters]
        self._wholes[counting], self._parts[counting] = 1, 0
        self._timestamps = self._read_timestamps()
        # What was judged one by one and accepted, by place.
        self._judged: dict[int, tuple[UsageRequest, Judged]] = {}
        self.refused: dict[int, RequestError] = {}
        self._is_left_out = np.zeros(len(columns.names), dtype=np.bool_)

    def leave_out(self, place: int) -> None:
        """Count an event no more: it was counted before, by the same request."""
        self._is_left_out[place] = True

    def _read_timestamps(self) -> Numbers:
        given = self._columns.timestamps
        if given.count(None) == len(given):
            return np.full(len(given), self._now)
        seconds = (self._now if timestamp is None else timestamp for timestamp in given)
        return np.fromiter(seconds, np.int64, len(given))

    def accept(self) -> None:
        """Decide which events are counted."""
        identifiers = self._columns.identifiers
        suspects = self._state.identifiers[self._livemode].suspects(identifiers)
        is_usual = (self._meters >= 0) & (self._numbers >= 0) & (self._wholes >= 0)
        is_usual &= self._timestamps >= self._now - PAST_SECONDS_MAX
        is_usual &= self._timestamps <= self._now + FUTURE_SECONDS_MAX
        is_clear = is_usual | self._is_left_out
        if suspects:
            fresh = (identifier not in suspects for identifier in identifiers)
            is_clear = is_usual & np.fromiter(fresh, np.bool_, len(identifiers))
            is_clear |= self._is_left_out
        elif is_clear.all():
            return
        taken: set[str] = set()
        for place in np.flatnonzero(~is_clear).tolist():
            request = self._columns.request(place, livemode=self._livemode)
            judged = None
            try:
                if not is_usual[place]:
                    judged = judge(self._state, request, now_ms=self._group.now_ms)
                if identifiers[place] in suspects:
                    self._require_new(identifiers[place], taken)
            except RequestError as error:
                # Its frames hold this batch, which holds it: a ring that only a collection finds,
                # and collections of thousands of them would hold up everybody.
                self.refused[place] = error.with_traceback(None)
            else:
                if judged is not None:
                    self._take_in(place, request, judged)

    def _require_new(self, identifier: str, taken: set[str]) -> None:
        """Refuse an identifier that was counted before, or before it in this batch (C2)."""
        if (
            identifier in taken
            or self._group.find_identifier(identifier, livemode=self._livemode) is not None
        ):
            raise duplicate(identifier)
        taken.add(identifier)

    def _take_in(self, place: int, request: UsageRequest, judged: Judged) -> None:
        """Accept an event that was judged by itself."""
        state = self._state
        if judged.creates_customer:
            self._group.create_customer(judged.customer, livemode=self._livemode)
        self._judged[place] = request, judged
        self._meters[place] = state.meter_numbers[judged.meter.id]
        self._numbers[place] = state.customers[self._livemode][judged.customer]
        self._timestamps[place] = judged.timestamp

    def count(self) -> Numbers:
        """Count the accepted events, put them into the group's run, return their places here."""
        group, state = self._group, self._state
        is_accepted = ~self._is_left_out
        is_accepted[list(self.refused)] = False
        places = np.flatnonzero(is_accepted)
        if not len(places):
            return places
        group.is_changing = True
        first = state.sequence + 1
        is_apart = np.zeros(len(is_accepted), dtype=np.bool_)
        is_apart[list(self._judged)] = True
        usage = Usage(
            meters=self._meters[places],
            customers=self._numbers[places],
            wholes=self._wholes[places],
            parts=self._parts[places],
            hours=self._timestamps[places] // HOUR_SECONDS,
            sequences=np.arange(first, first + len(places)),
            apart=is_apart[places],
        )
        previous = add_plain(state, usage)
        for at in np.flatnonzero(previous == NOT_ADDED).tolist():
            previous[at] = self._count_one(int(places[at]), first + at)
        identifiers = _pick(self._columns.identifiers, places)
        self._write(places, identifiers, previous)
        state.sequence += len(places)
        state.identifiers[self._livemode].add_run(identifiers, first)
        group.is_changing = False
        return places

    def value(self, place: int) -> int:
        """Return what the accepted event at a place adds, in units of 10^-12."""
        if place in self._judged:
            return self._judged[place][1].value
        return int(self._wholes[place]) * SCALE + int(self._parts[place])

    def _count_one(self, place: int, sequence: int) -> int:
        """Count an event as if it had come alone; return the one before it in its hour."""
        meter = self._state.meters[self._state.meter_ids[self._meters[place]]]
        customer = self._columns.customers[place]
        if place in self._judged:
            customer = self._judged[place][1].customer
        timestamp = int(self._timestamps[place])
        return self._group.count(meter, customer, sequence, timestamp, self.value(place))

    def _write(self, places: Numbers, identifiers: list[str], previous: Numbers) -> None:
        """Put the accepted events into the group's run."""
        run, ids = self._group.run_to_extend(), self._state.meter_ids
        customers = _pick(self._columns.customers, places)
        texts = _pick(self._columns.texts, places)
        for place, (request, judged) in self._judged.items():
            at = int(np.searchsorted(places, place))
            customers[at] = judged.customer
            texts[at] = request.payload.get(judged.meter.value_key)
            rest = rest_of(judged.meter, request.payload)
            if rest:
                run.more[len(run) + at] = More(rest, b"", b"")
        run.meters.extend([ids[meter] for meter in self._meters[places].tolist()])
        run.customers.extend(customers)
        run.identifiers.extend(identifiers)
        run.timestamps.extend(self._timestamps[places].tolist())
        run.values.extend(texts)
        run.previous.extend(previous.tolist())


def _pick(items: list[T], places: Numbers) -> list[T]:
    """Return the items at some places, in order."""
    if len(places) == len(items):
        return items.copy()
    return [items[place] for place in places.tolist()]
