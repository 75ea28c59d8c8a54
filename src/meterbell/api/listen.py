"""Ours, for `meterbell listen`: events after a cursor, oldest first, waiting for new ones."""

import asyncio
from typing import Any

from meterbell.api.call import Call
from meterbell.api.params import ID_LENGTH_MAX, UNSET, Array, Integer, Param, Text
from meterbell.api.v1.events import render
from meterbell.errors import InvalidParamError
from meterbell.records import Event
from meterbell.store.tables import event as table

PARAMS: dict[str, Param] = {
    "after": Text(
        length_max=ID_LENGTH_MAX,
        can_unset=True,
        description="The cursor: id of the last event that was seen; empty for the very beginning.",
    ),
    "limit": Integer(minimum=1, maximum=100),
    "wait": Integer(minimum=0, maximum=60, description="Seconds to wait for an event."),
    "types": Array(item=Text(length_max=100), items_max=100),
}
_LIMIT = 100


async def events_after(call: Call) -> dict[str, Any]:
    """Return events after the cursor, and the cursor to go on from.

    Without a cursor there are no events, and the cursor is the newest one. The cursor moves over
    events of other types too, so that they are not read again.

    Raises:
        InvalidParamError: The cursor names no event.
    """
    objects = call.services.store.reader
    number = 0
    after = call.params.get("after")
    if after:
        found = objects.number_of(Event, after, livemode=call.livemode)
        if found is None:
            raise InvalidParamError(
                f"No such event: '{after[:100]}'. Begin again without a cursor, or with the id of "
                "an event that GET /v1/events lists.",
                param="after",
                code="resource_missing",
            )
        number = found
    elif after is None:
        newest = objects.page(Event, [table.c.livemode == call.livemode], limit=1).items
        cursor = newest[0].id if newest else UNSET
        return {"object": "list", "data": [], "has_more": False, "url": call.url, "cursor": cursor}
    events = await _read_or_wait(call, number)
    wanted = [event for event in events if _is_wanted(call, event)]
    return {
        "object": "list",
        "data": [render(objects, event) for event in wanted],
        "has_more": len(events) == call.params.get("limit", _LIMIT),
        "url": call.url,
        "cursor": events[-1].id if events else after,
    }


async def _read_or_wait(call: Call, number: int) -> list[Event]:
    """Return the events after a number; if there are none, wait as long as asked for the next."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + call.params.get("wait", 0)
    events = _read(call, number)
    # What wakes it may have happened in the other mode.
    while not events and (left := deadline - loop.time()) > 0:
        await call.services.feed.wait(timeout_seconds=left)
        events = _read(call, number)
    return events


def _read(call: Call, number: int) -> list[Event]:
    return call.services.store.reader.find(
        Event,
        table.c.livemode == call.livemode,
        table.c.number > number,
        limit=call.params.get("limit", _LIMIT),
    )


def _is_wanted(call: Call, event: Event) -> bool:
    types = call.params.get("types")
    return types is None or any(_matches(pattern, event.type) for pattern in types)


def _matches(pattern: str, event_type: str) -> bool:
    """Return whether a type fits a pattern such as `billing.*`."""
    if pattern.endswith("*"):
        return event_type.startswith(pattern[:-1])
    return event_type == pattern
