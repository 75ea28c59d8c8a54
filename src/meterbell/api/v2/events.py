"""Thin events: retrieve and list (contract §2.12)."""

from typing import Any

from sqlalchemy import ColumnElement

from meterbell.api.call import Call
from meterbell.api.find import find_in_path
from meterbell.api.params import ID_LENGTH_MAX, Array, Object, Param, Text
from meterbell.api.v2.paging import PAGING, list_page
from meterbell.api.v2.route import Route
from meterbell.records import ThinEvent
from meterbell.store.tables import thin_event as table
from meterbell.wire.instants import parse_instant_ms
from meterbell.wire.objects_v2 import render_thin_event

_TYPES_MAX = 20
_INSTANT = Text(length_max=40, description="RFC 3339.")
_BOUNDS: dict[str, Param] = dict.fromkeys(("gt", "gte", "lt", "lte"), _INSTANT)


def _retrieve(call: Call) -> dict[str, Any]:
    objects = call.services.store.reader
    return render_thin_event(find_in_path(objects, call, ThinEvent, noun="event", placeholder="id"))


def _created_between(call: Call) -> list[ColumnElement[bool]]:
    """Return the conditions that `created` sets.

    Raises:
        InvalidParamError: One of its bounds is no instant.
    """
    column = table.c.created_ms
    compare = {
        "gt": column.__gt__,
        "gte": column.__ge__,
        "lt": column.__lt__,
        "lte": column.__le__,
    }
    return [
        compare[name](parse_instant_ms(text, param=f"created[{name}]"))
        for name, text in call.params.get("created", {}).items()
    ]


def _list(call: Call) -> dict[str, Any]:
    params = call.params
    where: list[ColumnElement[bool]] = [table.c.livemode == call.livemode]
    where += _created_between(call)
    if "object_id" in params:
        where.append(table.c.object_id == params["object_id"])
    if "types" in params:
        where.append(table.c.type.in_(params["types"]))
    return list_page(
        call, ThinEvent, where, render_thin_event, number_of=lambda event: event.number
    )


ROUTES = [
    Route(
        method="GET",
        path="/v2/core/events",
        summary="List thin events",
        tag="Events",
        returns="list:v2.core.event",
        query={
            "object_id": Text(length_max=ID_LENGTH_MAX, description="The related object's id."),
            "types": Array(item=Text(length_max=255), items_max=_TYPES_MAX),
            "created": Object(fields=_BOUNDS, description="A range of RFC 3339 times."),
            **PAGING,
        },
        read=_list,
    ),
    Route(
        method="GET",
        path="/v2/core/events/{id}",
        summary="Retrieve a thin event, with its data",
        tag="Events",
        returns="v2.core.event",
        read=_retrieve,
    ),
]
