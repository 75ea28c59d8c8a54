"""A link to a customer's own page, made for somebody who asks how much was used."""

from dataclasses import dataclass, replace

from meterbell.dashboard.changes import change, post
from meterbell.dashboard.pages.customer import find_customer
from meterbell.dashboard.pages.customers import name_of
from meterbell.dashboard.problems import Problem, explain
from meterbell.dashboard.visit import Action, Page, Route, Visit
from meterbell.records import Customer
from meterbell.wire.form import Form

_DURATIONS = [("900", "15 minutes"), ("3600", "1 hour"), ("86400", "24 hours")]
_FIELDS = {"frame_origins[0]": "origin", "expires_in": "expires_in"}
"""Fields of the form by the API's name of what they hold."""


@dataclass(frozen=True, slots=True)
class LinkView:
    """The form, or the link.

    Attributes:
        link: That was just made; empty before.
        frame: The element that shows it on another site; empty if none may.
    """

    customer: Customer
    name: str
    durations: list[tuple[str, str]]
    link: str
    frame: str
    problem: Problem


async def _view(visit: Visit) -> LinkView:
    customer, link = find_customer(visit), visit.revealed
    can_be_framed = link and visit.typed("origin").strip()
    return LinkView(
        customer=customer,
        name=name_of(customer) or customer.id,
        durations=_DURATIONS,
        link=link,
        frame=f'<iframe src="{link}" title="Your usage"></iframe>' if can_be_framed else "",
        problem=explain(visit.problem, _FIELDS),
    )


async def _make(visit: Visit) -> Visit:
    customer = find_customer(visit)
    params: Form = {"customer": customer.id, "expires_in": visit.typed("expires_in")}
    if visit.typed("allow_alerts") == "yes":
        params["allow_alerts"] = "true"
    if origin := visit.typed("origin").strip():
        params["frame_origins"] = {"0": origin}
    operation = post("/v1/customer_pages")
    made = await change(visit, operation, params, action="customer_page.create", is_once=True)
    return replace(visit, revealed=made["url"])


PAGE = Page(
    path="/customers/{id}/page",
    template="customer_link.html",
    view=_view,
    role="editor",
    section="/customers",
)
ROUTES: list[Route] = [PAGE, Action(path=PAGE.path, act=_make, page=PAGE)]
