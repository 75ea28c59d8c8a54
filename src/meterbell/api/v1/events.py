"""Events: retrieve and list (contract §2.11)."""

from typing import Any

from sqlalchemy import ColumnElement, exists

from meterbell.api.call import Call, Operation
from meterbell.api.find import find_in_path
from meterbell.api.lists import CREATED, PAGING, created_between, list_objects
from meterbell.api.params import Array, Boolean, Text
from meterbell.channel import CHANNEL_PREFIX
from meterbell.errors import InvalidParamError
from meterbell.records import Delivery, Event
from meterbell.store.objects import Objects
from meterbell.store.tables import delivery
from meterbell.store.tables import event as table
from meterbell.wire.objects import render_event

_TYPES_MAX = 20
_TYPE_LENGTH_MAX = 255
_OPEN = (
    delivery.c.status.in_(("pending", "failed")),
    ~delivery.c.endpoint.startswith(CHANNEL_PREFIX, autoescape=True),
)
"""Not taken yet, by a webhook endpoint: notification channels are no webhooks."""


def pending_webhooks(objects: Objects, event: Event) -> int:
    """Return how many webhook endpoints an event was meant for have not taken it yet."""
    return objects.count(Delivery, delivery.c.event == event.id, *_OPEN)


def render(objects: Objects, event: Event) -> dict[str, Any]:
    """Return an event with its pending webhooks as of now."""
    return render_event(event, pending_webhooks=pending_webhooks(objects, event))


def _retrieve(call: Call) -> dict[str, Any]:
    objects = call.services.store.reader
    return render(objects, find_in_path(objects, call, Event, noun="event", placeholder="id"))


def is_type(pattern: str) -> ColumnElement[bool]:
    """Return the condition for a type, which may end in a wildcard: `billing.*`.

    Raises:
        InvalidParamError: The wildcard stands elsewhere.
    """
    if "*" not in pattern:
        return table.c.type == pattern
    if pattern.find("*") != len(pattern) - 1:
        raise InvalidParamError(
            f"Invalid type: {pattern[:60]}. The wildcard * stands only once, at the end: billing.*",
            param="type",
        )
    return table.c.type.startswith(pattern[:-1], autoescape=True)


def _list(call: Call) -> dict[str, Any]:
    params = call.params
    if "type" in params and "types" in params:
        raise InvalidParamError(
            "You may only specify one of these parameters: type, types.", param="types"
        )
    where: list[ColumnElement[bool]] = [table.c.livemode == call.livemode]
    where += created_between(call, table.c.created)
    if "type" in params:
        where.append(is_type(params["type"]))
    if "types" in params:
        where.append(table.c.type.in_(params["types"]))
    if "delivery_success" in params:
        open_delivery = exists().where(delivery.c.event == table.c.id, *_OPEN)
        where.append(~open_delivery if params["delivery_success"] else open_delivery)
    objects = call.services.store.reader
    return list_objects(call, Event, where, lambda event: render(objects, event), noun="event")


OPERATIONS = [
    Operation(
        method="GET",
        path="/v1/events",
        summary="List events",
        returns="list:event",
        params={
            "type": Text(
                length_max=_TYPE_LENGTH_MAX,
                description="One type, or the beginning of some and `*`: `billing.*`.",
            ),
            "types": Array(item=Text(length_max=_TYPE_LENGTH_MAX), items_max=_TYPES_MAX),
            "delivery_success": Boolean(description="Whether every endpoint has taken it."),
            **CREATED,
            **PAGING,
        },
        read=_list,
    ),
    Operation(
        method="GET",
        path="/v1/events/{id}",
        summary="Retrieve an event",
        returns="event",
        read=_retrieve,
    ),
]
