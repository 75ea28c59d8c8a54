"""Pages of a list, newest first, with cursors in the address."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy import ColumnElement

from meterbell.dashboard.visit import Visit
from meterbell.store.objects import Page as StorePage

R = TypeVar("R")
PAGE_ITEMS = 25


@dataclass(frozen=True, slots=True)
class Listed(Generic[R]):
    """Items, and the addresses of the pages before and after; empty where there is none."""

    items: list[R]
    newer: str
    older: str


def list_page(
    visit: Visit, record: type[R], where: Sequence[ColumnElement[bool]], *, items: int = PAGE_ITEMS
) -> Listed[R]:
    """Return the page of a list that the parameters `after` and `before` name, by number."""
    after, before = cursors(visit)
    found = visit.services.store.reader.page(record, where, limit=items, after=after, before=before)
    return listed(visit, found)


def listed(visit: Visit, found: StorePage) -> Listed[R]:
    """Return a page of a list, read by the visit's cursors, with its neighbours."""
    after, before = cursors(visit)
    if not found.items:
        return Listed([], "", visit.here(after=None, before=None) if after or before else "")
    has_newer = found.has_more if before is not None else after is not None
    has_older = True if before is not None else found.has_more
    first, last = found.numbers[0], found.numbers[-1]
    return Listed(
        found.items,
        visit.here(before=first, after=None) if has_newer else "",
        visit.here(after=last, before=None) if has_older else "",
    )


def cursors(visit: Visit) -> tuple[int | None, int | None]:
    """Return the numbers in the parameters `after` and `before`; the former goes first."""
    after = number_in(visit, "after")
    return after, number_in(visit, "before") if after is None else None


def number_in(visit: Visit, name: str) -> int | None:
    """Return the number that a parameter holds; None if it holds none."""
    text = visit.query.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None  # noqa: PLR2004
