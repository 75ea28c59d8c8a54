"""No text that anybody can write becomes more than text, on any page.

The pages are taken from the dashboard's own list, so a page that is new is tested here, too.
"""

import re
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

import pytest

from meterbell.dashboard.app import Dashboard
from meterbell.dashboard.routes import ROUTES
from meterbell.dashboard.visit import Action, Data, Page, Route, Stream
from tests.support.dashboard import DOOR, World, address
from tests.unit.api.running import running_api
from tests.unit.dashboard.hostile import HARM, SCRIPT, Outline, Writer, filled
from tests.unit.dashboard.visiting import Shown, Visitor, let_in

SHOWN = [route for route in ROUTES if not isinstance(route, Action | Stream)]
PAGES = [route for route in ROUTES if isinstance(route, Page)]
OWN_PLACE = re.compile(r"/(?![/\\])|#")
FORMS = [route for route in ROUTES if isinstance(route, Action)]


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two worlds, and an admin in it; a customer's page is open to its browser, too."""

    admin: Visitor
    customer_page: str
    world: World
    text: str

    async def show(self, route: Route, **query: str) -> Shown:
        """Open a page with a query."""
        place = address(route, self.world)
        return await self.admin.get(f"{place}?{urlencode(query)}" if query else place)


@pytest.fixture
async def sides(tmp_path: Path, migrated: Path) -> AsyncIterator[tuple[Side, Side]]:
    """The plain world and the hostile one."""
    made = []
    async with AsyncExitStack() as stack:
        for name, harm, script in (("plain", "", "https:"), ("hostile", HARM, SCRIPT)):
            folder = tmp_path / name
            folder.mkdir()
            api = await stack.enter_async_context(running_api(folder, migrated))
            world = await Writer(api, harm, script).write()
            link = {"customer": world["customers"], "allow_alerts": "true"}
            page = urlsplit((await api.made("/v1/customer_pages", link))["url"]).path
            admin = await let_in(api.services, Visitor(Dashboard(api.services)), "ada", "admin")
            # As long, so that it is refused for the same reason where texts have a limit.
            made.append(Side(admin, page, world, harm or "n" * len(HARM)))
        yield made[0], made[1]


def require_same(plain: Shown, hostile: Shown, what: str) -> None:
    """Fail if a page has other elements or attributes, or leads elsewhere, because of a text."""
    assert hostile.status == plain.status, (what, hostile.words)
    assert hostile.status < 500, (what, hostile.words)
    kind = hostile.headers.get("content-type", "")
    assert kind == plain.headers.get("content-type", ""), what
    if kind.startswith("text/html"):
        outline = Outline(hostile.text)
        assert outline.parts == Outline(plain.text).parts, what
        for place in outline.places:
            assert OWN_PLACE.match(place), (what, place)


def section(route: Route) -> str:
    """Return the first part of a route's path: its pages have fields in common."""
    return route.path.split("/")[1]


async def test_no_stored_text_becomes_more_than_text(sides: tuple[Side, Side]) -> None:
    plain, hostile = sides
    told = 0
    for route in SHOWN:
        shown = await hostile.show(route)
        require_same(await plain.show(route), shown, route.path)
        told += shown.text.count("onerror=harm()")

    assert told > 20  # they do show what was written


async def test_no_part_of_an_address_becomes_more_than_text(sides: tuple[Side, Side]) -> None:
    plain, _ = sides
    names: defaultdict[str, set[str]] = defaultdict(set)
    for page in PAGES:
        names[section(page)] |= Outline((await plain.show(page)).text).fields
    everything = set().union({"next", "token", "notice", "live", "view"}, *names.values())
    for route in SHOWN:
        # Each by itself, too: what is wrong with one may hide what another does.
        for query in (everything, *({name} for name in sorted(names[section(route)]))):
            pair = [await side.show(route, **filled(query, side.text)) for side in sides]
            require_same(pair[0], pair[1], f"{route.path} {sorted(query)}")
    for path in ("", "/alerts/", "/nothing/", "/static/"):
        for side in sides:
            shown = await side.admin.get(f"/dashboard/test{path}{side.text}")
            assert "<script>harm" not in shown.text
            assert "<b data-harm" not in shown.text


async def test_nothing_sent_in_a_form_becomes_more_than_text(sides: tuple[Side, Side]) -> None:
    plain, _ = sides
    names: set[str] = set()
    for route in PAGES:
        names |= Outline((await plain.show(route)).text).fields
    for form in FORMS:
        if form.path in DOOR:
            continue  # after that one is somebody else
        pair = [
            await side.admin.post(address(form, side.world), filled(names, side.text))
            for side in sides
        ]
        require_same(pair[0], pair[1], form.path)


async def test_no_text_becomes_more_than_text_on_a_customers_page(
    sides: tuple[Side, Side],
) -> None:
    for query in ("", "?notice=", "?title="):
        plain, hostile = [
            await side.admin.get(f"{side.customer_page}{query}{quote(side.text) if query else ''}")
            for side in sides
        ]
        require_same(plain, hostile, query)
        assert (plain.status, hostile.text.count("onerror=harm()") > 3) == (200, True)
    for path in ("", "/alerts", "/alerts/archive", "x"):
        sent = [
            await side.admin.post(
                f"{side.customer_page}{path}",
                filled({"title", "meter", "gte", "alert"}, side.text),
            )
            for side in sides
        ]
        require_same(sent[0], sent[1], path)


async def test_what_scripts_read_is_never_shown_as_a_page(sides: tuple[Side, Side]) -> None:
    for route in ROUTES:
        if isinstance(route, Data):
            shown = await sides[1].show(route)

            assert shown.headers["content-type"] == "application/json", route.path
            assert shown.headers["x-content-type-options"] == "nosniff", route.path
