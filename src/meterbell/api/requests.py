"""Ours: the request log, for `meterbell logs` and whoever has a request's id in hand."""

import asyncio
from functools import partial
from typing import Any

from meterbell.api.call import Call, Operation, no_such_in_body
from meterbell.api.lists import (
    CREATED,
    LIMIT_DEFAULT,
    PAGING,
    created_between,
    envelope,
    require_one_cursor,
)
from meterbell.api.params import INT64_MAX, Integer, Param, Text
from meterbell.errors import InvalidParamError, NotFoundError
from meterbell.records import RequestEntry
from meterbell.requestlog.filters import RequestFilter, parse_status
from meterbell.requestlog.reads import find_request, page_of_requests
from meterbell.store import tables
from meterbell.store.objects import Page

_NOUN = "request"
_PATH_LENGTH_MAX = 300
_LINGER_SECONDS = 10.0
_CREATED = tables.request.c.created_ms // 1000

_FILTERS: dict[str, Param] = {
    "method": Text(length_max=10, description="Of HTTP: GET, POST, DELETE."),
    "status": Text(length_max=3, description="A status, or a class of them: 404, 4xx."),
    "path": Text(
        length_max=_PATH_LENGTH_MAX,
        description="A path, or the beginning of some and `*`: /v1/billing/*.",
    ),
    "key_last4": Text(length_max=4, description="The last four characters of the API key."),
}


def render_request(entry: RequestEntry) -> dict[str, Any]:
    """Return a `request`, ours."""
    error = None
    if entry.error_message is not None:
        error = {
            "type": entry.error_type,
            "code": entry.error_code,
            "param": entry.error_param,
            "message": entry.error_message,
        }
    return {
        "id": entry.id,
        "object": "request",
        "created": entry.created_ms // 1000,
        "duration_us": entry.duration_us,
        "error": error,
        "key_last4": entry.key_last4,
        "livemode": entry.livemode,
        "method": entry.method,
        "path": entry.path,
        "skipped": entry.skipped,
        "status": entry.status,
    }


async def _retrieve(call: Call) -> dict[str, Any]:
    request_id = call.ids["id"]
    await call.services.requests.flush()
    entry = find_request(call.services.store.reader, request_id, livemode=call.livemode)
    if entry is None:
        raise NotFoundError(
            f"No such request: '{request_id[:200]}'. The log keeps requests of this mode for "
            f"{call.services.settings.request_log_days} days, and no usage that was accepted.",
            param="id",
            code="resource_missing",
        )
    return render_request(entry)


async def _list(call: Call) -> dict[str, Any]:
    require_one_cursor(call)
    wanted = _filter(call)
    await call.services.requests.flush()
    after, before = (_cursor(call, name) for name in ("starting_after", "ending_before"))
    page = await asyncio.to_thread(_read, call, wanted, after, before)
    return envelope(call, [render_request(entry) for entry in page.items], has_more=page.has_more)


def _read(call: Call, wanted: RequestFilter, after: int | None, before: int | None) -> Page:
    with call.services.store.reading() as objects:
        return page_of_requests(
            objects,
            wanted,
            livemode=call.livemode,
            limit=call.params.get("limit", LIMIT_DEFAULT),
            after=after,
            before=before,
            also=created_between(call, _CREATED),
        )


async def _live(call: Call) -> dict[str, Any]:
    """Return requests after a cursor, and the cursor to go on from.

    Without a cursor there are none, and the cursor is the newest one. The cursor moves over
    requests that the filter holds back.
    """
    feed = call.services.requests.feed
    wanted = _filter(call)
    cursor = call.params.get("after", feed.newest)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + call.params.get("wait", 0)
    shown: list[RequestEntry] = []
    has_gap = False
    with feed.listening():
        while True:
            left = max(deadline - loop.time(), 0)
            heard = await feed.wait_after(cursor, timeout_seconds=left)
            is_wanted = partial(wanted.matches, livemode=call.livemode)
            shown = [entry for entry in heard.entries if is_wanted(entry)]
            cursor, has_gap = heard.cursor, heard.has_gap
            if shown or has_gap or loop.time() >= deadline:
                break
        feed.linger(_LINGER_SECONDS)  # until it is asked again
    rendered = envelope(call, [render_request(entry) for entry in shown], has_more=False)
    return {**rendered, "cursor": cursor, "has_gap": has_gap}


def _filter(call: Call) -> RequestFilter:
    """Return what is asked for.

    Raises:
        InvalidParamError: There is no such status.
    """
    params = call.params
    statuses: tuple[tuple[int, int], ...] = ()
    if "status" in params:
        status = parse_status(params["status"])
        if status is None:
            raise InvalidParamError(
                f"Invalid status: {params['status']} is neither a status such as 404 nor a class "
                "of them such as 4xx.",
                param="status",
            )
        statuses = (status,)
    return RequestFilter(
        methods=(params["method"].upper(),) if "method" in params else (),
        statuses=statuses,
        paths=(params["path"],) if "path" in params else (),
        key_last4=params.get("key_last4"),
    )


def _cursor(call: Call, param: str) -> int | None:
    request_id = call.params.get(param)
    if request_id is None:
        return None
    entry = find_request(call.services.store.reader, request_id, livemode=call.livemode)
    if entry is None:
        raise no_such_in_body(_NOUN, request_id, param=param)
    return entry.number


LIVE = Operation(
    method="GET",
    path="/meterbell/requests/live",
    summary="Wait for requests after a cursor, reported usage included, for `meterbell logs tail`",
    returns="list:request",
    params={
        **_FILTERS,
        "after": Integer(
            minimum=0,
            maximum=INT64_MAX,
            description="The cursor: what the last answer said; without it the newest is told.",
        ),
        "wait": Integer(minimum=0, maximum=60, description="Seconds to wait for a request."),
    },
    answer=_live,
    successes="untold",
)
OPERATIONS = [
    Operation(
        method="GET",
        path="/meterbell/requests",
        summary="List the requests that the log keeps",
        returns="list:request",
        params={**_FILTERS, **CREATED, **PAGING},
        answer=_list,
        successes="untold",
    ),
    LIVE,
    Operation(
        method="GET",
        path="/meterbell/requests/{id}",
        summary="Retrieve a request by the id in its `Request-Id`",
        returns="request",
        answer=_retrieve,
        successes="untold",
    ),
]
