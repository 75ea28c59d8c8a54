"""Looking requests up: one by its id, or pages of those that a filter lets through.

A filter may walk the whole log, so pages are read in a thread and over a connection of their own.
"""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, and_, func, or_

from meterbell.records import RequestEntry
from meterbell.requestlog.filters import RequestFilter
from meterbell.store import tables
from meterbell.store.objects import Objects, Page

_columns = tables.request.c


def find_request(objects: Objects, request_id: str, *, livemode: bool) -> RequestEntry | None:
    """Return the request with an id, if a key of this mode may see it."""
    found = objects.find(
        RequestEntry, _columns.id == request_id, _is_visible(livemode=livemode), limit=1
    )
    return found[0] if found else None


def page_of_requests(
    objects: Objects,
    wanted: RequestFilter,
    *,
    livemode: bool,
    limit: int,
    after: int | None = None,
    before: int | None = None,
    also: Sequence[ColumnElement[bool]] = (),
) -> Page:
    """Return a page of the log, newest first.

    Args:
        objects: Where it is read.
        wanted: What to show.
        livemode: The mode that is looked at.
        limit: Requests at most.
        after: Number of the request before the page in list order.
        before: Number of the request after the page in list order.
        also: Conditions that each must meet besides.
    """
    where = [_is_visible(livemode=livemode), *_conditions(wanted), *also]
    return objects.page(RequestEntry, where, limit=limit, after=after, before=before)


def _is_visible(*, livemode: bool) -> ColumnElement[bool]:
    """Return the condition for requests of a mode, and those whose key named none."""
    return _columns.livemode.is_distinct_from(not livemode)


def _conditions(wanted: RequestFilter) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = []
    if wanted.methods:
        where.append(_columns.method.in_(wanted.methods))
    if wanted.statuses:
        where.append(
            or_(*(and_(_columns.status >= a, _columns.status <= b) for a, b in wanted.statuses))
        )
    if wanted.paths:
        where.append(or_(*(_is_path(pattern) for pattern in wanted.paths)))
    if wanted.key_last4 is not None:
        where.append(_columns.key_last4 == wanted.key_last4)
    return where


def _is_path(pattern: str) -> ColumnElement[bool]:
    if pattern.endswith("*"):
        # LIKE would not tell upper from lower case.
        return func.substr(_columns.path, 1, len(pattern) - 1) == pattern[:-1]
    return _columns.path == pattern
