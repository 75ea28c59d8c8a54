"""Lists of the v2 API: pages by URL, newest first (contract §1.4)."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import ColumnElement

from meterbell.api.call import Call
from meterbell.api.lists import LIMIT, LIMIT_DEFAULT
from meterbell.api.params import Param, Text
from meterbell.errors import InvalidParamError
from meterbell.wire.form import encode_form

R = TypeVar("R")

_PAGE = re.compile(r"(after|before)_([0-9]{1,18})")
PAGING: dict[str, Param] = {
    "limit": LIMIT,
    "page": Text(length_max=40, description="From `next_page_url` or `previous_page_url`."),
}


def list_page(
    call: Call,
    record: type[R],
    where: Sequence[ColumnElement[bool]],
    render: Callable[[R], dict[str, Any]],
    *,
    number_of: Callable[[R], int],
) -> dict[str, Any]:
    """Return one page of objects with the URLs of its neighbours.

    Raises:
        InvalidParamError: `page` is not from such a URL.
    """
    after, before = _cursors(call.params)
    page = call.services.store.reader.page(
        record,
        where,
        limit=call.params.get("limit", LIMIT_DEFAULT),
        after=after,
        before=before,
    )
    # A page that was reached from one side has that side's neighbour.
    has_next = bool(page.items) and (before is not None or page.has_more)
    has_previous = bool(page.items) and (
        after is not None or (before is not None and page.has_more)
    )
    return {
        "data": [render(item) for item in page.items],
        "next_page_url": _url(call, f"after_{number_of(page.items[-1])}") if has_next else None,
        "previous_page_url": (
            _url(call, f"before_{number_of(page.items[0])}") if has_previous else None
        ),
    }


def _cursors(params: Mapping[str, Any]) -> tuple[int | None, int | None]:
    text = params.get("page")
    if text is None:
        return None, None
    match = _PAGE.fullmatch(text)
    if match is None:
        raise InvalidParamError(
            f"Invalid page: {text}. Take the whole URL from next_page_url or previous_page_url.",
            param="page",
        )
    number = int(match[2])
    return (number, None) if match[1] == "after" else (None, number)


def _url(call: Call, page: str) -> str:
    """Return the origin-relative URL of another page, with all filters and the limit."""
    params = {"limit": LIMIT_DEFAULT, **call.params, "page": page}
    return f"{call.url}?{encode_form(params).decode()}"
