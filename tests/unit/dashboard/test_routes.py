"""Every route of the dashboard, whatever was added: who may use it, and what it answers with.

The routes are taken from the dashboard's own list, so a page that is new is tested here, too.
"""

import re

import pytest

from meterbell.dashboard.app import Dashboard
from meterbell.dashboard.routes import ROUTES
from meterbell.dashboard.visit import Action, Page, Route, Stream
from meterbell.records import AuditEntry, DashboardSession, Role
from tests.support.dashboard import DOOR, World, address
from tests.unit.api.running import Api
from tests.unit.dashboard.visiting import Shown, Visitor, let_in

ACTIONS = [route for route in ROUTES if isinstance(route, Action)]
# A stream does not end by itself; the tests in tests/browser follow one.
SHOWN = [route for route in ROUTES if not isinstance(route, Action | Stream)]
PAGES = [route for route in SHOWN if isinstance(route, Page)]
LOWER: dict[Role | None, list[Role]] = {
    None: [],
    "viewer": [],
    "editor": ["viewer"],
    "admin": ["viewer", "editor"],
}
OWN_CODE = re.compile(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=|hx-on|javascript:")


async def use(visitor: Visitor, route: Route, world: World, *, livemode: bool = False) -> Shown:
    """Open a route, or send it a form."""
    place = address(route, world, livemode=livemode)
    return await (visitor.post(place) if isinstance(route, Action) else visitor.get(place))


def fingerprint(api: Api) -> tuple[int, int, int]:
    """Return what any change would change."""
    objects = api.services.store.reader
    return (
        api.services.state.sequence,
        objects.count(AuditEntry),
        objects.count(DashboardSession),
    )


async def test_nobody_sees_or_changes_anything_without_signing_in(
    api: Api, world: World, visitor: Visitor
) -> None:
    before = fingerprint(api)
    for route in ROUTES:
        if route.role is not None:
            shown = await use(visitor, route, world)

            assert shown.status in (303, 401), route.path
            to = shown.headers.get("location", "/dashboard/test/sign-in?next=")
            assert to.startswith("/dashboard/test/sign-in?next="), route.path
            assert "cus_a" not in shown.text, route.path
    assert fingerprint(api) == before


async def test_nobody_sees_or_changes_more_than_the_role_allows(
    api: Api, world: World, viewer: Visitor, editor: Visitor
) -> None:
    before = fingerprint(api)
    for route in ROUTES:
        for role in LOWER[route.role]:
            shown = await use({"viewer": viewer, "editor": editor}[role], route, world)

            assert shown.status == 403, route.path
            assert f"is {role}" in shown.words, route.path
    assert fingerprint(api) == before


def test_only_the_door_is_open_to_everybody() -> None:
    assert {route.path for route in ROUTES if route.role is None} == DOOR - {"/sign-out"}


def test_whoever_changes_something_is_an_editor_at_least() -> None:
    changing = [route for route in ACTIONS if route.path not in DOOR]

    assert {route.role for route in changing} <= {"editor", "admin"}
    assert len(changing) > 3


async def test_a_stream_tells_no_more_than_the_page_would(
    world: World, viewer: Visitor, editor: Visitor
) -> None:
    for page in PAGES:
        for role in LOWER[page.role] if page.is_live else ():
            place = address(page, world).removeprefix("/dashboard/test")
            visitor = {"viewer": viewer, "editor": editor}[role]
            shown = await visitor.get(f"/dashboard/test/live?view={place}")

            assert shown.status == 403, page.path


@pytest.mark.parametrize(
    "path",
    [
        "/dashboard/nothing",
        "/dashboard/static/nothing.js",
        "/dashboard/test/live?view=/no",
        "/dashboard/test/live?view=/webhooks/we_no",
    ],
)
async def test_an_error_can_be_framed_as_little_as_a_page(admin: Visitor, path: str) -> None:
    shown = await admin.get(path)

    assert shown.status == 404
    assert shown.headers["x-frame-options"] == "DENY"
    assert "frame-ancestors 'none'" in shown.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("csrf", "headers"),
    [
        ("", {}),
        ("x" * 48, {}),
        ("of another session", {}),
        (None, {"origin": "https://evil.example"}),
        (None, {"origin": "http://127.0.0.1:9"}),
        (None, {"sec_fetch_site": "cross-site"}),
        (None, {"sec_fetch_site": "same-site"}),
        (None, {"sec_fetch_site": "none"}),
    ],
)
async def test_no_other_site_changes_anything(
    api: Api,
    world: World,
    admin: Visitor,
    *,
    csrf: str | None,
    headers: dict[str, str],
) -> None:
    if csrf == "of another session":
        other = await let_in(api.services, Visitor(admin.dashboard), "mallory", "admin")
        csrf = await other.form_token()
    before = fingerprint(api)
    for route in ACTIONS:
        shown = await admin.post(address(route, world), form=None, csrf=csrf, **headers)

        assert shown.status == 403, route.path
    assert fingerprint(api) == before


async def test_what_changes_something_is_never_a_get(
    api: Api, world: World, admin: Visitor
) -> None:
    before = fingerprint(api)
    for route in ACTIONS:
        await admin.get(address(route, world))
    refused = await admin.get("/dashboard/test/events/evt_1/resend")
    assert (refused.status, refused.headers["allow"]) == (405, "POST")
    assert fingerprint(api) == before


async def test_looking_changes_nothing(api: Api, world: World, admin: Visitor) -> None:
    before = fingerprint(api)
    for route in SHOWN:
        shown = await admin.get(address(route, world))

        assert shown.status in (200, 303), (route.path, shown.words)
    assert fingerprint(api) == before


@pytest.mark.parametrize("livemode", [False, True], ids=["test", "live"])
async def test_every_answer_forbids_framing_foreign_scripts_and_keeping(
    api: Api, world: World, dashboard: Dashboard, *, livemode: bool
) -> None:
    for number, route in enumerate((*SHOWN, *ACTIONS)):
        visitor = await let_in(api.services, Visitor(dashboard), f"user-{number}", "admin")
        shown = await use(visitor, route, world, livemode=livemode)

        assert shown.headers["content-security-policy"] == (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
            "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        ), route.path
        assert shown.headers["x-frame-options"] == "DENY", route.path
        assert shown.headers["x-content-type-options"] == "nosniff", route.path
        assert shown.headers["referrer-policy"] == "no-referrer", route.path
        assert shown.headers["cross-origin-opener-policy"] == "same-origin", route.path
        assert shown.headers["cache-control"] == "no-store", route.path


async def test_no_page_holds_script_or_style_of_its_own(world: World, admin: Visitor) -> None:
    for route in PAGES:
        shown = await admin.get(address(route, world))

        assert OWN_CODE.findall(shown.text) == [], route.path


async def test_an_object_of_the_other_mode_is_not_shown(world: World, admin: Visitor) -> None:
    for route in SHOWN:
        if "{" in route.path:
            shown = await admin.get(address(route, world, livemode=True))

            assert shown.status == 404, route.path


async def test_the_mode_is_unmistakable_on_every_page(world: World, admin: Visitor) -> None:
    for route in PAGES:
        if route.role is not None and not route.is_part:
            test = await admin.get(address(route, world))

            assert "Test mode Nothing here is real." in test.words, route.path
            assert 'class="mode-test"' in test.text, route.path
    live = await admin.get("/dashboard")
    assert "Live mode What happens here is real." in live.words


async def test_every_page_is_small(world: World, admin: Visitor) -> None:
    for route in PAGES:
        shown = await admin.get(address(route, world))

        assert len(shown.raw) <= 100_000, route.path


async def test_what_there_is_not_is_told_on_a_page(admin: Visitor) -> None:
    for path, status in (("/dashboard/nothing", 404), ("/dashboard/test/alerts/alrt_x", 404)):
        shown = await admin.get(path)

        assert shown.status == status
        assert "Not found" in shown.words


async def test_no_name_of_a_parameter_breaks_a_page(admin: Visitor) -> None:
    for name in ("path", "livemode", "self", "query", "view", "live[a]", "%00", ""):
        for path in ("alerts", "developers/requests", "audit"):
            shown = await admin.get(f"/dashboard/test/{path}?{name}=x")

            assert shown.status in (200, 400), (path, name)


async def test_a_form_that_is_too_large_is_refused(admin: Visitor) -> None:
    shown = await admin.post("/dashboard/test/sign-out", {"x": "y" * 70_000})

    assert shown.status == 413


async def test_pages_are_compressed_for_those_who_take_it(admin: Visitor) -> None:
    shown = await admin.get("/dashboard/test/patterns", accept_encoding="gzip, br")

    assert shown.headers["content-encoding"] == "gzip"
    assert int(shown.headers["content-length"]) == len(shown.raw)
