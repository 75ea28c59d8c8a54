"""Many meter events at once: the hot path.

Which events are accepted is decided first, in the order in which they came. Nearly all have a known
meter and customer, a plain value and a new identifier, which is seen column by column; the others
are judged one by one. Then everything is counted: what `add_plain` can't add goes the way of a
single event. So there is one set of rules; tests hold the two ways together.
"""

from collections.abc import Sequence
from itertools import chain, groupby
from typing import NamedTuple, TypeVar, cast

import numpy as np

from meterbell.engine.decide import Group, duplicate
from meterbell.engine.fold import HOUR_SECONDS
from meterbell.engine.growing import Numbers, look_up
from meterbell.engine.model import More, Refusal, RefusalReason, StreamUsage, UsageRequest
from meterbell.engine.plain import NOT_ADDED, Usage, add_plain
from meterbell.engine.rows import rest_of
from meterbell.engine.validate import FUTURE_SECONDS_MAX, PAST_SECONDS_MAX, Judged, judge
from meterbell.engine.value import SCALE
from meterbell.engine.values import Values
from meterbell.errors import DuplicateIdentifierError, UsageRefusedError

T = TypeVar("T")


class StreamBatch(NamedTuple):
    """The meter events of one stream request, in the order in which they are to be counted.

    Attributes:
        events: Decoded, not judged, at least one. `UsageRequest`s where the usual shape does not
            fit one of them.
        identifiers: One for each event: its own, or a generated one. What is generated from the
            request's Idempotency-Key may be known already: the request was then sent again, which
            is no error.
    """

    livemode: bool
    events: Sequence[StreamUsage] | Sequence[UsageRequest]
    identifiers: list[str]


def record_batches(group: Group, batches: Sequence[StreamBatch], values: Values) -> None:
    """Count the events of stream requests of one mode, in order.

    What is not counted is among the group's refusals afterwards.

    Args:
        group: The group that they become a part of.
        batches: The requests.
        values: Kept by the caller from one call to the next.
    """
    for is_usual, some in groupby(batches, key=_is_usual):
        if is_usual:
            usual = list(some)
            events = list(
                chain.from_iterable(cast("Sequence[StreamUsage]", batch.events) for batch in usual)
            )
            identifiers = list(chain.from_iterable(batch.identifiers for batch in usual))
            stream = _Stream(group, events, identifiers, livemode=usual[0].livemode, values=values)
            stream.accept()
            stream.count()
        else:
            for batch in some:
                for event, identifier in zip(batch.events, batch.identifiers, strict=True):
                    _record_one(group, cast("UsageRequest", event), identifier)


def _is_usual(batch: StreamBatch) -> bool:
    return isinstance(batch.events[0], StreamUsage)


class _Stream:
    """Events of the usual shape, column by column, while they are decided."""

    def __init__(
        self,
        group: Group,
        events: list[StreamUsage],
        identifiers: list[str],
        *,
        livemode: bool,
        values: Values,
    ) -> None:
        self._group, self._state, self._livemode = group, group.state, livemode
        self._events, self._identifiers = events, identifiers
        self._now = group.now_ms // 1000
        payloads = [event.payload for event in events]
        self._customers = [payload.stripe_customer_id for payload in payloads]
        self._texts = [payload.value for payload in payloads]
        names = [event.event_name for event in events]
        self._meters = look_up(group.state.plain_meters[livemode], names)
        self._numbers = look_up(group.state.customers[livemode], self._customers)
        self._wholes, self._parts = values.read(self._texts)
        counting = np.array(group.state.counting_meters or [False])[self._meters]
        self._wholes[counting], self._parts[counting] = 1, 0
        self._timestamps = self._read_timestamps()
        self._is_accepted = np.ones(len(events), dtype=np.bool_)
        # What was judged one by one and accepted, by place.
        self._judged: dict[int, tuple[UsageRequest, Judged]] = {}

    def _read_timestamps(self) -> Numbers:
        stamps = [event.timestamp for event in self._events]
        if stamps.count(None) == len(stamps):
            return np.full(len(stamps), self._now)
        seconds = (self._now if stamp is None else int(stamp.timestamp()) for stamp in stamps)
        return np.fromiter(seconds, np.int64, len(stamps))

    def accept(self) -> None:
        """Decide which events are counted; the others become refusals."""
        suspects = self._state.identifiers[self._livemode].suspects(self._identifiers)
        is_usual = (self._meters >= 0) & (self._numbers >= 0) & (self._wholes >= 0)
        is_usual &= self._timestamps >= self._now - PAST_SECONDS_MAX
        is_usual &= self._timestamps <= self._now + FUTURE_SECONDS_MAX
        is_clear = is_usual
        if suspects:
            fresh = (identifier not in suspects for identifier in self._identifiers)
            is_clear = is_usual & np.fromiter(fresh, np.bool_, len(self._identifiers))
        elif is_usual.all():
            return
        taken: set[str] = set()
        for place in np.flatnonzero(~is_clear).tolist():
            identifier = self._identifiers[place]
            request = _usage_request(self._events[place], livemode=self._livemode)
            try:
                judged = None
                if not is_usual[place]:
                    judged = judge(self._state, request, now_ms=self._group.now_ms)
                if identifier in suspects:
                    self._require_new(identifier, taken)
            except (UsageRefusedError, DuplicateIdentifierError) as error:
                self._is_accepted[place] = False
                _refuse(self._group, request, error)
            else:
                if judged is not None:
                    self._take_in(place, request, judged)

    def _require_new(self, identifier: str, taken: set[str]) -> None:
        """Refuse an identifier that was counted before, or before it in this stream (C2)."""
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

    def count(self) -> None:
        """Count the accepted events and put them into the group's run."""
        group, state = self._group, self._state
        places = np.flatnonzero(self._is_accepted)
        if not len(places):
            return
        group.is_changing = True
        first = state.sequence + 1
        is_apart = np.zeros(len(self._events), dtype=np.bool_)
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
        identifiers = _pick(self._identifiers, places)
        self._write(places, identifiers, previous)
        state.sequence += len(places)
        state.identifiers[self._livemode].add_run(identifiers, first)
        group.is_changing = False

    def _count_one(self, place: int, sequence: int) -> int:
        """Count an event as if it had come alone; return the one before it in its hour."""
        meter = self._state.meters[self._state.meter_ids[self._meters[place]]]
        if place in self._judged:
            value = self._judged[place][1].value
        else:
            value = int(self._wholes[place]) * SCALE + int(self._parts[place])
        timestamp = int(self._timestamps[place])
        return self._group.count(meter, self._customers[place], sequence, timestamp, value)

    def _write(self, places: Numbers, identifiers: list[str], previous: Numbers) -> None:
        """Put the accepted events into the group's run."""
        run, ids = self._group.run_to_extend(), self._state.meter_ids
        texts = _pick(self._texts, places)
        for place, (request, judged) in self._judged.items():
            at = int(np.searchsorted(places, place))
            texts[at] = request.payload.get(judged.meter.value_key)
            rest = rest_of(judged.meter, request.payload)
            if rest:
                run.more[len(run) + at] = More(rest, b"", b"")
        run.meters.extend([ids[meter] for meter in self._meters[places].tolist()])
        run.customers.extend(_pick(self._customers, places))
        run.identifiers.extend(identifiers)
        run.timestamps.extend(self._timestamps[places].tolist())
        run.values.extend(texts)
        run.previous.extend(previous.tolist())


def _pick(items: list[T], places: Numbers) -> list[T]:
    """Return the items at some places, in order."""
    if len(places) == len(items):
        return items.copy()
    return [items[place] for place in places.tolist()]


def _usage_request(event: StreamUsage, *, livemode: bool) -> UsageRequest:
    """Return an event as if it had come alone."""
    payload: dict[str, str] = {"stripe_customer_id": event.payload.stripe_customer_id}
    if event.payload.value is not None:
        payload["value"] = event.payload.value
    stamp = event.timestamp
    return UsageRequest(
        livemode=livemode,
        event_name=event.event_name,
        payload=payload,
        identifier=event.identifier,
        timestamp=None if stamp is None else int(stamp.timestamp()),
    )


def _record_one(group: Group, request: UsageRequest, identifier: str) -> None:
    """Count an event by itself."""
    try:
        group.record(request, new_identifier=identifier)
    except (UsageRefusedError, DuplicateIdentifierError) as error:
        _refuse(group, request, error)


def _refuse(
    group: Group, request: UsageRequest, error: UsageRefusedError | DuplicateIdentifierError
) -> None:
    if isinstance(error, UsageRefusedError):
        reason, message = cast("RefusalReason", error.reason), error.message
    elif request.identifier is None:
        return  # the request was sent again
    else:
        reason, message = "duplicate_meter_event", error.message
    meter = group.state.meters_by_event_name.get((request.livemode, request.event_name))
    if reason == "no_meter":
        message = f"No meter was found matching event_name {request.event_name}."
    group.refusals.append(
        Refusal(
            livemode=request.livemode,
            reason=reason,
            meter=None if meter is None else meter.id,
            event_name=request.event_name,
            identifier=request.identifier,
            message=message,
        )
    )
