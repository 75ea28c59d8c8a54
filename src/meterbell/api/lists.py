"""Lists: cursors, envelope. Newest first, by order of creation."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import ColumnElement

from meterbell.api.call import Call, no_such_in_body
from meterbell.api.params import ID_LENGTH_MAX, Integer, Param, Range, Text
from meterbell.errors import InvalidParamError
from meterbell.store.objects import Objects

R = TypeVar("R")

LIMIT_DEFAULT = 10
LIMIT = Integer(minimum=1, maximum=100, description="Items on the page, 10 by default.")
PAGING: dict[str, Param] = {
    "limit": LIMIT,
    "starting_after": Text(length_max=ID_LENGTH_MAX, description="Id of the item before the page."),
    "ending_before": Text(length_max=ID_LENGTH_MAX, description="Id of the item after the page."),
}
CREATED: dict[str, Param] = {"created": Range(description="Unix seconds, or a range of them.")}


def list_objects(
    call: Call,
    record: type[R],
    where: Sequence[ColumnElement[bool]],
    render: Callable[[R], dict[str, Any]],
    *,
    noun: str,
) -> dict[str, Any]:
    """Return one page of objects in its envelope.

    Raises:
        InvalidParamError: Both cursors are given, or one that names nothing.
    """
    require_one_cursor(call)
    objects = call.services.store.reader
    page = objects.page(
        record,
        where,
        limit=call.params.get("limit", LIMIT_DEFAULT),
        after=_cursor(objects, call, record, "starting_after", noun),
        before=_cursor(objects, call, record, "ending_before", noun),
    )
    return envelope(call, [render(item) for item in page.items], has_more=page.has_more)


def require_one_cursor(call: Call) -> None:
    """Refuse both cursors at once."""
    if "starting_after" in call.params and "ending_before" in call.params:
        raise InvalidParamError(
            "You may only specify one of these parameters: ending_before, starting_after.",
            param="ending_before",
        )


def envelope(call: Call, data: list[dict[str, Any]], *, has_more: bool) -> dict[str, Any]:
    """Return the list object around a page."""
    return {"object": "list", "data": data, "has_more": has_more, "url": call.url}


def created_between(call: Call, column: ColumnElement[int]) -> list[ColumnElement[bool]]:
    """Return the conditions that `created` sets."""
    match call.params.get("created"):
        case None:
            return []
        case int(instant):
            return [column == instant]
        case bounds:
            compare = {
                "gt": column.__gt__,
                "gte": column.__ge__,
                "lt": column.__lt__,
                "lte": column.__le__,
            }
            return [compare[name](value) for name, value in bounds.items()]


def _cursor(objects: Objects, call: Call, record: type[Any], param: str, noun: str) -> int | None:
    object_id = call.params.get(param)
    if object_id is None:
        return None
    number = objects.number_of(record, object_id, livemode=call.livemode)
    if number is None:
        raise no_such_in_body(noun, object_id, param=param)
    return number
