"""Meter event summaries: a customer's usage over a range of time (contract §2.5)."""

import asyncio
from collections.abc import Iterator
from copy import deepcopy
from functools import partial
from typing import Any

from meterbell.api.call import Call, Operation, no_such_in_body
from meterbell.api.find import find_in_body, find_in_path
from meterbell.api.lists import LIMIT_DEFAULT, PAGING, envelope, require_one_cursor
from meterbell.api.params import ID_LENGTH_MAX, Choice, Integer, Text
from meterbell.engine.counter import Counted, Counter
from meterbell.engine.fold import HOUR_SECONDS
from meterbell.engine.model import Meter
from meterbell.engine.summary import Summary, summarize
from meterbell.errors import InvalidParamError
from meterbell.ids import CustomerId, MeterId
from meterbell.ledger.transaction import Transaction
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
    wanted = partial(summarize, meter, start=start, end=end, window_seconds=window_seconds)
    key = (meter.id, CustomerId(customer.id))
    if start % HOUR_SECONDS or end % HOUR_SECONDS:
        # What a command sees is durable once it is answered: the events can be read then.
        counter = await services.committer.execute(partial(_snapshot, key))
        find = partial(_surviving, call, meter, counter)
        found = await asyncio.to_thread(wanted, counter, hour_events=find)
    else:
        counter = services.state.counter(*key) or Counter()
        found = wanted(counter, hour_events=lambda _hour: ())
    if not found and window_seconds is None:
        found = [Summary(start, end, 0)]
    page, has_more = _page(call, found)
    data = [render_summary(s, meter=meter, summary_id=_id(call, s)) for s in page]
    return envelope(call, data, has_more=has_more)


def _snapshot(key: tuple[MeterId, CustomerId], transaction: Transaction) -> Counter:
    """Return a counter that nobody changes any more."""
    return deepcopy(transaction.state.counter(*key) or Counter())


def _surviving(call: Call, meter: Meter, counter: Counter, hour: int) -> Iterator[Counted]:
    """Yield an hour's surviving events, latest in commit order first; in any thread.

    Raises:
        InvalidParamError: Some of them are not kept any more.
    """
    state = call.services.state
    expected = counter.bucket(hour).head
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
