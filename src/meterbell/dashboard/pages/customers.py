"""Customers: the list, and finding one by what people know of it."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement

from meterbell.dashboard.lists import list_page
from meterbell.dashboard.visit import Nav, Page, Route, Visit
from meterbell.records import Customer
from meterbell.store.dashboard_tables import customer_name
from meterbell.store.tables import customer as table

_FOUND_MAX = 25
_OPTIONS_MAX = 10
_QUERY_MAX = 255
_LAST = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class Line:
    """One customer."""

    id: str
    href: str
    name: str
    email: str
    created_ms: int


@dataclass(frozen=True, slots=True)
class CustomersView:
    """One page of the list, newest first, or what was found.

    Attributes:
        has_more: Whether more was found than is shown.
    """

    lines: list[Line]
    query: str
    has_more: bool
    newer: str
    older: str


@dataclass(frozen=True, slots=True)
class Options:
    """Customers to choose from: id, and what tells them apart."""

    items: list[tuple[str, str]]


def find_customers(visit: Visit, query: str, *, limit: int) -> list[Customer]:
    """Return customers whose id, address or name begins with a text, at most so many."""
    if not query:
        return []
    found: dict[str, Customer] = {}
    # One index each; together they would be read from end to end.
    columns: tuple[ColumnElement[str], ...] = (table.c.id, table.c.email, customer_name)
    for column in columns:
        matches = visit.services.store.reader.find(
            Customer,
            table.c.livemode == visit.livemode,
            column >= query,
            column < query + _LAST,
            table.c.deleted == 0,
            order_by=column,
            limit=limit,
        )
        found |= {match.id: match for match in matches}
    return list(found.values())[:limit]


def name_of(customer: Customer) -> str:
    """Return a customer's name; empty if it has none."""
    return str(customer.details.get("name") or "")


async def _view(visit: Visit) -> CustomersView:
    query = visit.typed("q").strip()[:_QUERY_MAX]
    if query:
        matches = find_customers(visit, query, limit=_FOUND_MAX + 1)
        lines = [_line(visit, customer) for customer in matches[:_FOUND_MAX]]
        return CustomersView(lines, query, len(matches) > _FOUND_MAX, "", "")
    found = list_page(visit, Customer, [table.c.livemode == visit.livemode, table.c.deleted == 0])
    lines = [_line(visit, customer) for customer in found.items]
    return CustomersView(lines, "", has_more=False, newer=found.newer, older=found.older)


def _line(visit: Visit, customer: Customer) -> Line:
    return Line(
        id=customer.id,
        href=visit.url(f"/customers/{customer.id}"),
        name=name_of(customer),
        email=customer.email or "",
        created_ms=customer.created * 1000,
    )


async def _options(visit: Visit) -> Options:
    query = visit.typed("customer").strip()[:_QUERY_MAX]
    matches = find_customers(visit, query, limit=_OPTIONS_MAX)
    return Options([(match.id, match.email or name_of(match)) for match in matches])


ROUTES: list[Route] = [
    Page(
        path="/customers",
        template="customers.html",
        view=_view,
        nav=Nav("Customers", "users"),
        is_live=True,
    ),
    Page(
        path="/customers/options",
        template="customer_options.html",
        view=_options,
        is_part=True,
    ),
]
