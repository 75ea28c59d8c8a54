"""Meter event summaries: a customer's usage over a range of time (contract §2.5)."""

import asyncio
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

from meterbell.api.call import Call, Operation, no_such_in_body
from meterbell.api.find import find_in_body, find_in_path
from meterbell.api.lists import LIMIT_DEFAULT, PAGING, envelope, require_one_cursor
from meterbell.api.params import ID_LENGTH_MAX, Choice, Integer, Text
from meterbell.engine.counter import Counted
from meterbell.engine.fold import HOUR_SECONDS
from meterbell.engine.hours import Hours, add_parts
from meterbell.engine.model import Meter
from meterbell.engine.state import State
from meterbell.engine.summary import Summary, counting_in_windows, summarize
from meterbell.errors import InvalidParamError
from meterbell.ids import CustomerId, MeterId
from meterbell.ledger.hours import read_hours
from meterbell.records import Customer
from meterbell.wire.objects import render_summary

_WINDOW_SECONDS = {"hour": 3600, "day": 86400}
_MINUTE = 60
# The year 9999: beyond it a range means a mistake.
_TIME_MAX = 253_402_300_800


async def _list(call: Call) -> dict[str, Any]:
    services, params = call.services, call.params
    objects = services.store.reader
    meter = find_in_path(objects, call, Meter, noun="billing meter", placeholder="id")
    customer = find_in_body(
        objects, call, Customer, params["customer"], noun="customer", param="customer"
    )
    window_seconds = _WINDOW_SECONDS.get(params.get("value_grouping_window", ""))
    _require_aligned(call, window_seconds or _MINUTE)
    require_one_cursor(call)
    start, end = params["start_time"], params["end_time"]
    key = (meter.id, CustomerId(customer.id))
    if start % HOUR_SECONDS or end % HOUR_SECONDS:
        # What a command sees is durable once it is answered: the events can be read then.
        usage = await services.committer.execute(lambda changes: _usage(changes.state, *key))
    else:
        usage = _usage(services.state, *key)
    if usage.stored_until:
        await asyncio.to_thread(_read_stored, call, usage)
    found = await asyncio.to_thread(
        summarize,
        meter,
        usage.hours,
        counting=usage.counting,
        start=start,
        end=end,
        window_seconds=window_seconds,
        hour_events=partial(_surviving, call, meter, usage.hours),
    )
    if not found and window_seconds is None:
        found = [Summary(start, end, 0)]
    page, has_more = _page(call, found)
    data = [render_summary(s, meter=meter, summary_id=_id(call, s)) for s in page]
    return envelope(call, data, has_more=has_more)


class _Usage(NamedTuple):
    """What a summary needs of a counter and that nobody changes any more.

    Attributes:
        hours: But for what the store keeps.
        counting: See `summarize`.
        slot: The counter's row.
        stored_until: What the store keeps is to be added up to this sequence.
    """

    hours: Hours
    counting: frozenset[int] | None
    slot: int
    stored_until: int


def _usage(state: State, meter: MeterId, customer: CustomerId) -> _Usage:
    slot, table = state.slot(meter, customer), state.table
    if slot < 0:
        return _Usage({}, None, slot, 0)
    counting = counting_in_windows(state.meters[meter], table.load(slot))
    return _Usage(table.hours_of(slot), counting, slot, table.stored_until(slot))


def _read_stored(call: Call, usage: _Usage) -> None:
    """Add the hours that the store keeps; in any thread."""
    first = call.params["start_time"] // HOUR_SECONDS
    last = call.params["end_time"] // HOUR_SECONDS
    store, until = call.services.store, usage.stored_until
    stored = read_hours(store, usage.slot, until=until, first=first, last=last)
    add_parts(usage.hours, ((hour, part) for hour, parts in stored.items() for part in parts))


def _surviving(call: Call, meter: Meter, hours: Hours, hour: int) -> Iterator[Counted]:
    """Yield an hour's surviving events, latest in commit order first; in any thread.

    Raises:
        InvalidParamError: Some of them are not kept any more.
    """
    state = call.services.state
    for part in hours[hour]:
        expected = part.head
        for event, previous in call.services.store.read_chain(meter, expected):
            if event.sequence < state.log_begins:
                break
            expected = previous
            if event.sequence not in state.cancelled:
                yield event
        if expected:
            raise _dropped(call, hour)


def _dropped(call: Call, hour: int) -> InvalidParamError:
    """Return the refusal of a range that cuts an hour whose raw events are not kept any more."""
    start = call.params["start_time"]
    param = "start_time" if start // 3600 == hour and start % 3600 else "end_time"
    return InvalidParamError(
        f"Invalid {param}: {call.params[param]} lies within an hour of which raw meter events were "
        "dropped by the server's retention_days, so a part of it can't be told. Use a multiple of "
        "3600.",
        param=param,
    )


def _require_aligned(call: Call, seconds: int) -> None:
    unit = {_MINUTE: "minute", 3600: "hour", 86400: "UTC day"}[seconds]
    for name in ("start_time", "end_time"):
        if call.params[name] % seconds:
            raise InvalidParamError(
                f"Invalid {name}: it must be aligned with {unit} boundaries, that is a multiple of "
                f"{seconds}.",
                param=name,
            )
    if call.params["end_time"] <= call.params["start_time"]:
        raise InvalidParamError("Invalid end_time: it must be after start_time.", param="end_time")


def _id(call: Call, summary: Summary) -> str:
    """Return an id that says which window it is, so that a page can begin after it."""
    infix = "" if call.livemode else "test_"
    return f"mtrusg_{infix}{summary.start:x}_{summary.end:x}"


def _page(call: Call, found: list[Summary]) -> tuple[list[Summary], bool]:
    """Return one page of the windows, and whether more follow in the direction of travel."""
    limit = call.params.get("limit", LIMIT_DEFAULT)
    ids = [_id(call, summary) for summary in found]
    for param in ("starting_after", "ending_before"):
        cursor = call.params.get(param)
        if cursor is None:
            continue
        if cursor not in ids:
            raise no_such_in_body("billing meter event summary", cursor, param=param)
        at = ids.index(cursor)
        if param == "starting_after":
            return found[at + 1 : at + 1 + limit], at + 1 + limit < len(found)
        return found[max(at - limit, 0) : at], at > limit
    return found[:limit], len(found) > limit


_TIME = Integer(minimum=0, maximum=_TIME_MAX, required=True)

OPERATIONS = [
    Operation(
        method="GET",
        path="/v1/billing/meters/{id}/event_summaries",
        summary="Summarize a customer's usage over a range of time",
        returns="list:billing.meter_event_summary",
        params={
            "customer": Text(length_max=ID_LENGTH_MAX, required=True),
            "start_time": _TIME,
            "end_time": _TIME,
            "value_grouping_window": Choice(values=("day", "hour")),
            **PAGING,
        },
        answer=_list,
    )
]
