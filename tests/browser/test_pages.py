"""Every page in a real browser: no error, no other host, accessible, readable on a phone.

The pages are taken from the dashboard's own list, so a page that is new is tested here, too.
"""

from importlib.resources import files
from typing import Any

import pytest
from playwright.sync_api import Page

from meterbell.dashboard.routes import PAGES
from tests.browser.conftest import Site
from tests.support.dashboard import address

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text()
WHOLE = [page for page in PAGES if not page.is_part]
OPTIONS = "{resultTypes: ['violations']}"
PHONE = {"width": 320, "height": 640}
DESKTOP = {"width": 1200, "height": 900}


def violations(page: Page) -> list[Any]:
    """Return what the accessibility checker finds, as rule and places."""
    found: Any = page.evaluate(
        "async () => (await axe.run({resultTypes: ['violations']})).violations"
    )
    return [(rule["id"], [node["target"] for node in rule["nodes"]]) for rule in found]


def check(page: Page, place: str) -> None:
    """Open a page, look at it in light and dark, wide and narrow."""
    page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]
    page.goto(place)
    page.evaluate(AXE)
    # Texts of the world would be images, and scripts that show dialogs.
    assert page.locator("img, [onerror], [data-harm]").count() == 0, place
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        assert violations(page) == [], (place, scheme)
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= PHONE["width"], f"{place} is {width} pixels wide on a phone"


def test_every_page_with_little_data_is_clean(site: Site) -> None:
    with site.admin() as (page, faults):
        for declared in WHOLE:
            check(page, address(declared, site.world))
            faults.require_none()


def test_every_page_without_data_is_clean(site: Site) -> None:
    with site.admin() as (page, faults):
        for declared in WHOLE:
            if "{" not in declared.path:
                check(page, address(declared, {}, livemode=True))
                faults.require_none()


def test_pages_can_be_read_without_scripts(site: Site) -> None:
    with site.admin(java_script_enabled=False) as (page, _):
        for declared in WHOLE:
            page.goto(address(declared, site.world))
            assert page.locator("main h1").count() == 1, declared.path


def test_a_page_weighs_less_than_300_kilobytes(site: Site) -> None:
    with site.admin() as (page, _):
        session = page.context.new_cdp_session(page)
        loaded: list[float] = []
        session.on(
            "Network.loadingFinished", lambda event: loaded.append(event["encodedDataLength"])
        )
        session.send("Network.enable")
        for declared in WHOLE:
            session.send("Network.clearBrowserCache")
            loaded.clear()
            page.goto(address(declared, site.world))

            assert 5_000 < sum(loaded) < 300_000, declared.path


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_theme_is_the_systems_until_one_chooses(site: Site, scheme: str) -> None:
    other = {"light": "dark", "dark": "light"}[scheme]
    with site.admin(color_scheme=scheme) as (page, _):
        page.goto("/dashboard/test/patterns")
        assert brightness(page) == scheme

        switch = page.get_by_role("button", name="Theme: system")
        switch.click()
        if other == "dark":
            page.get_by_role("button", name="Theme: light").click()

        assert brightness(page) == other
        page.reload()
        assert page.locator("html").get_attribute("data-theme") == other
        assert brightness(page) == other


def brightness(page: Page) -> str:
    """Return whether the page is light or dark."""
    color = page.evaluate("getComputedStyle(document.body).backgroundColor")
    red = int(color.removeprefix("rgb(").split(",")[0])
    return "light" if red > 127 else "dark"


def test_the_keyboard_finds_helps_and_goes(site: Site) -> None:
    with site.admin() as (page, _):
        page.goto("/dashboard/test")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
        page.keyboard.press("?")
        assert page.get_by_role("dialog", name="Keyboard shortcuts").is_visible()
        page.keyboard.press("Escape")
        page.keyboard.press("g")
        page.keyboard.press("2")
        page.wait_for_url("**/dashboard/test/alerts")
        page.keyboard.press("/")
        page.keyboard.type("nothing")
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Nothing has the id nothing").wait_for()


def test_an_id_is_copied(site: Site) -> None:
    with site.admin() as (page, _):
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.goto("/dashboard/test/patterns")
        page.get_by_role("button", name="Copy alrt_4hrWu2Eegyax4dVOssERHybp").click()

        page.get_by_role("button", name="Copied").wait_for()
        copied = page.evaluate("navigator.clipboard.readText()")
        assert copied == "alrt_4hrWu2Eegyax4dVOssERHybp"
