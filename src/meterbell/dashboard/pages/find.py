"""Where to begin, and the search by id."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from meterbell.dashboard.visit import Done, Jump, Page, Route, Visit, url_of


@dataclass(frozen=True, slots=True)
class SearchView:
    """What was looked for and not found."""

    query: str


async def _home(visit: Visit) -> str:
    """Lead to live mode once it is in use, and to test mode before."""
    meters = visit.services.state.meters.values()
    return url_of("/", livemode=any(meter.livemode for meter in meters))


def search_page(routes: Callable[[], Sequence[Route]]) -> Page:
    """Return the page that leads to the object with an id, in whichever mode it is."""

    async def view(visit: Visit) -> SearchView | Done:
        query = visit.typed("q").strip()
        pages = [route for route in routes() if isinstance(route, Page) and route.finds is not None]
        for livemode in (visit.livemode, not visit.livemode):
            for page in pages:
                if query and _finds(visit, page, query, livemode=livemode):
                    return Done(url_of(page.path.replace("{id}", query), livemode=livemode))
        return SearchView(query)

    return Page(path="/search", template="search.html", view=view)


def _finds(visit: Visit, page: Page, query: str, *, livemode: bool) -> bool:
    kinds = page.finds if isinstance(page.finds, tuple) else (page.finds,)
    objects = visit.services.store.reader
    return any(kind and objects.get(kind, query, livemode=livemode) for kind in kinds)


HOME = Jump(path="/home", to=_home)
