"""Usage as it waits in the commit queue: stream requests, and single events that came together."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, cast

from meterbell.engine.batch import Batch, Columns
from meterbell.engine.decide import Group, Recorded
from meterbell.engine.model import MeterEvent, More, Refusal, RefusalReason, UsageRequest
from meterbell.engine.values import Values
from meterbell.errors import DuplicateIdentifierError, RequestError, UsageRefusedError

# Column by column so many or more are counted sooner than one by one.
_TOGETHER_MIN = 16


class StreamBatch(NamedTuple):
    """The meter events of one stream request, in the order in which they are to be counted.

    An identifier that was generated from the request's Idempotency-Key may be known already: the
    request was then sent again, which is no error.

    Attributes:
        columns: The events, at least one.
    """

    livemode: bool
    columns: Columns


def record_batches(group: Group, batches: Sequence[StreamBatch], values: Values) -> None:
    """Count the events of stream requests of one mode, in order.

    What is not counted is among the group's refusals afterwards.

    Args:
        group: The group that they become a part of.
        batches: The requests.
        values: Kept by the caller from one call to the next.
    """
    livemode = batches[0].livemode
    columns = Columns.together([batch.columns for batch in batches])
    batch = Batch(group, columns, values, livemode=livemode)
    batch.accept()
    batch.count()
    for place, error in batch.refused.items():
        _refuse(group, columns.request(place, livemode=livemode), error)


def record_requests(
    group: Group, requests: Sequence[UsageRequest], new_identifiers: Sequence[str], values: Values
) -> list[Recorded | RequestError]:
    """Count single meter events of one mode, in order; return what became of each.

    Args:
        group: The group that they become a part of.
        requests: As reported.
        new_identifiers: What each is called if it brings no identifier.
        values: Kept by the caller from one call to the next.
    """
    outcomes: list[Recorded | RequestError] = []
    for start, end in _without_twins(requests):
        some, names = requests[start:end], new_identifiers[start:end]
        if len(some) < _TOGETHER_MIN:
            outcomes += [
                _record(group, request, name) for request, name in zip(some, names, strict=True)
            ]
        else:
            outcomes += _record_together(group, some, names, values)
    return outcomes


def _without_twins(requests: Sequence[UsageRequest]) -> Iterator[tuple[int, int]]:
    """Yield stretches in which no Idempotency-Key comes twice: the second must find the first."""
    start = 0
    keys: set[bytes] = set()
    for place, request in enumerate(requests):
        key = request.request_key
        if key in keys:
            yield start, place
            start = place
            keys.clear()
        if key:
            keys.add(key)
    yield start, len(requests)


def _record(group: Group, request: UsageRequest, new_identifier: str) -> Recorded | RequestError:
    try:
        return group.record(request, new_identifier=new_identifier)
    except RequestError as error:
        return error


def _record_together(
    group: Group, requests: Sequence[UsageRequest], new_identifiers: Sequence[str], values: Values
) -> list[Recorded | RequestError]:
    livemode, state = requests[0].livemode, group.state
    identifiers = [
        new if request.identifier is None else request.identifier
        for request, new in zip(requests, new_identifiers, strict=True)
    ]
    columns = Columns.of_requests(requests, identifiers)
    batch = Batch(group, columns, values, livemode=livemode)
    outcomes: list[Recorded | RequestError | None] = [None] * len(requests)
    keys = [request.request_key for request in requests if request.request_key]
    known = state.request_keys[livemode].suspects(keys) if keys else ()
    for place, request in enumerate(requests if known else ()):
        if request.request_key in known:
            earlier = _find_earlier(group, request)
            if earlier is not None:
                outcomes[place] = earlier
                batch.leave_out(place)
    batch.accept()
    places = batch.count().tolist()
    for place, error in batch.refused.items():
        outcomes[place] = error
    if places:
        _tell(group, batch, requests, places, outcomes)
    return cast("list[Recorded | RequestError]", outcomes)


def _tell(
    group: Group,
    batch: Batch,
    requests: Sequence[UsageRequest],
    places: list[int],
    outcomes: list[Recorded | RequestError | None],
) -> None:
    """Put what was counted just now among the outcomes, and its Idempotency-Keys into the state."""
    run, state = group.run_to_extend(), group.state
    begin, first = len(run) - len(places), state.sequence + 1 - len(places)
    for at, place in enumerate(places):
        request, here = requests[place], begin + at
        if request.request_key:
            more = run.more.get(here)
            run.more[here] = More(more and more.rest, request.request_key, request.request_digest)
            state.request_keys[request.livemode].add(request.request_key, first + at)
        # As `event_of` has it, but nothing is read a second time.
        event = MeterEvent(
            first + at,
            request.livemode,
            run.meters[here],
            run.customers[here],
            run.identifiers[here],
            run.timestamps[here],
            batch.value(place),
            request.payload,
            run.previous[here],
            group.now_ms,
            request.request_key,
            request.request_digest,
        )
        outcomes[place] = Recorded(event, replayed=False)


def _find_earlier(group: Group, request: UsageRequest) -> Recorded | RequestError | None:
    """Return what the same request was answered before."""
    try:
        earlier = group.find_request(request)
    except RequestError as error:
        return error
    return None if earlier is None else Recorded(earlier, replayed=True)


def _refuse(group: Group, request: UsageRequest, error: RequestError) -> None:
    message = error.message
    if isinstance(error, UsageRefusedError):
        reason = cast("RefusalReason", error.reason)
    else:
        assert isinstance(error, DuplicateIdentifierError), "nothing else is wrong with an event"
        if request.identifier is None:
            return  # the request was sent again
        reason = "duplicate_meter_event"
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
