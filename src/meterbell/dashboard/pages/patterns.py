"""Everything that pages are made of, on one page: for those who write pages, and for tests."""

from dataclasses import dataclass

from meterbell.dashboard.visit import Page, Route, Visit


@dataclass(frozen=True, slots=True)
class PatternsView:
    """Examples to show."""

    at_ms: int
    spark: list[int]


async def _view(visit: Visit) -> PatternsView:
    return PatternsView(visit.services.clock.now_ms() - 90_000, [3, 5, 2, 8, 13, 9, 11])


ROUTES: list[Route] = [Page(path="/patterns", template="patterns.html", view=_view)]
