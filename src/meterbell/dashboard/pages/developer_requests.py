"""Developers: the requests that the log keeps, and one of them."""

import asyncio
from dataclasses import dataclass
from http import HTTPMethod

from meterbell.dashboard.lists import PAGE_ITEMS, Listed, cursors, listed
from meterbell.dashboard.pages.developers import SECTION, tabs
from meterbell.dashboard.tabs import Tab, filter_tabs
from meterbell.dashboard.visit import Page, Route, Visit
from meterbell.errors import NotFoundError
from meterbell.records import RequestEntry
from meterbell.requestlog.filters import RequestFilter
from meterbell.requestlog.reads import find_request, page_of_requests
from meterbell.store.objects import Page as StorePage

METHODS = (HTTPMethod.GET, HTTPMethod.POST, HTTPMethod.DELETE)
_PATH = f"{SECTION}/requests"
_FAILED = (400, 599)
_PATH_LENGTH_MAX = 300
_US_A_MS = 1000


@dataclass(frozen=True, slots=True)
class Line:
    """One request."""

    entry: RequestEntry
    href: str
    tone: str
    milliseconds: str


@dataclass(frozen=True, slots=True)
class RequestsView:
    """A page of the log, newest first.

    Attributes:
        days: For how long they are kept; 0 for not at all.
    """

    tabs: list[Tab]
    filters: list[Tab]
    methods: tuple[str, ...]
    method: str
    path: str
    lines: list[Line]
    newer: str
    older: str
    is_filtered: bool
    days: int


@dataclass(frozen=True, slots=True)
class RequestView:
    """One request."""

    entry: RequestEntry
    tone: str
    milliseconds: str
    key: str
    list_href: str


async def _view(visit: Visit) -> RequestsView:
    failed, method = visit.typed("failed") == "yes", visit.typed("method")
    path = visit.typed("path").strip()[:_PATH_LENGTH_MAX]
    wanted = RequestFilter(
        methods=(method,) if method in METHODS else (),
        statuses=(_FAILED,) if failed else (),
        # What is typed is the beginning of a path, as somebody begins to type it.
        paths=(f"{path.removesuffix('*')}*",) if path else (),
    )
    found: Listed[RequestEntry] = listed(visit, await asyncio.to_thread(_read, visit, wanted))
    return RequestsView(
        tabs=tabs(visit, _PATH),
        filters=filter_tabs(visit, "failed", (("", "All"), ("yes", "Failed"))),
        methods=METHODS,
        method=method,
        path=path,
        lines=[_line(visit, entry) for entry in found.items],
        newer=found.newer,
        older=found.older,
        is_filtered=wanted != RequestFilter(),
        days=visit.services.settings.request_log_days,
    )


def _read(visit: Visit, wanted: RequestFilter) -> StorePage:
    """Return a page of the log; a filter may walk all of it, so this runs in a thread."""
    after, before = cursors(visit)
    with visit.services.store.reading() as objects:
        return page_of_requests(
            objects, wanted, livemode=visit.livemode, limit=PAGE_ITEMS, after=after, before=before
        )


def _line(visit: Visit, entry: RequestEntry) -> Line:
    href = visit.url(f"{_PATH}/{entry.id}")
    return Line(entry, href, _tone(entry), _milliseconds(entry))


def _tone(entry: RequestEntry) -> str:
    if entry.status >= 500:  # noqa: PLR2004 - the server's own fault
        return "bad"
    return "warn" if entry.status >= _FAILED[0] else "good"


def _milliseconds(entry: RequestEntry) -> str:
    whole, rest = divmod(entry.duration_us, _US_A_MS)
    return f"{whole}.{rest // 100}"


async def _view_one(visit: Visit) -> RequestView:
    request_id, services = visit.ids["id"], visit.services
    entry = find_request(services.store.reader, request_id, livemode=visit.livemode)
    if entry is None:
        raise NotFoundError(
            f"The log has no request {request_id[:100]} in this mode. It keeps them for "
            f"{services.settings.request_log_days} days, and no usage that was counted."
        )
    mode = {True: "live", False: "test", None: ""}[entry.livemode]
    return RequestView(
        entry=entry,
        tone=_tone(entry),
        milliseconds=_milliseconds(entry),
        key=f"{mode} key ending in {entry.key_last4}" if entry.key_last4 else "",
        list_href=visit.url(_PATH),
    )


ROUTES: list[Route] = [
    Page(
        path=_PATH,
        template="developer_requests.html",
        view=_view,
        section=SECTION,
        is_live=True,
    ),
    Page(
        path=f"{_PATH}/{{id}}",
        template="developer_request.html",
        view=_view_one,
        section=SECTION,
    ),
]
