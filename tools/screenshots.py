"""Takes a picture of every page of the dashboard, and of a customer page, for `make screenshots`.

The pages are taken from the dashboard's own list, so a page that is new is in it. Each is shown
with a made-up company's data, light and dark, on a desktop and on a phone. The page of the docs
that shows them is written, too.
"""

import asyncio
import base64
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from playwright.sync_api import Browser, sync_playwright
from playwright.sync_api import Page as Tab

from meterbell.dashboard.routes import PAGES
from tests.support.chromium import launch
from tests.support.dashboard import address
from tests.support.receiver import WebhookReceiver
from tests.support.server import ServerProcess
from tools.demo_data import KEY, Endpoints, Shown, fill

FOLDER = Path("docs/img/dashboard")
CUSTOMER_PAGE = "customer_page"
DOCS = Path("docs/dashboard-pictures.md")
_INTRODUCTION = """# The dashboard in pictures

Every page of the [dashboard](dashboard.md) with four weeks of a made-up company. `make screenshots`
takes the pictures and writes this page; your browser's theme chooses between light and dark.
"""
BYTES_MAX = 60_000
_QUALITIES = (80, 65, 50, 35, 20)
_DEVICES = {
    "desktop": ({"width": 1280, "height": 800}, 1, 1200),
    "phone": ({"width": 390, "height": 844}, 1.5, 1100),
}
"""Size of the window, pixels of a picture for one of the page, and how high it is at most."""
_LINK = re.compile(r"http://\S+/dashboard/sign-in/link\?token=\w+")
_IS_DRAWN = """() => !document.querySelector(".htmx-request")
    && [...document.querySelectorAll("usage-chart")].every((it) => it.querySelector("canvas"))"""
_HTTP_TEAPOT = 418


class Picture(NamedTuple):
    """What to take a picture of, in every way."""

    name: str
    address: str
    is_signed_in: bool
    has_scripts: bool


def main(wanted: list[str]) -> None:
    """Take the pictures of all pages, or of those named."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as temporary,
        WebhookReceiver() as good,
        WebhookReceiver(status=_HTTP_TEAPOT) as bad,
    ):
        data = Path(temporary) / "meterbell-data"
        endpoints = Endpoints(
            good.url.replace("/webhook", "/billing/usage"), bad.url.replace("/webhook", "/crm")
        )
        shown = asyncio.run(fill(data, endpoints))
        with ServerProcess(data, key=KEY) as server, sync_playwright() as playwright:
            browser = launch(playwright)
            take_all(browser, server, shown, wanted)
            browser.close()


def take_all(browser: Browser, server: ServerProcess, shown: Shown, wanted: list[str]) -> None:
    """Take the pictures of pages in every way."""
    link = _LINK.search(server.output)
    assert link is not None, server.output
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(link[0])
        page.wait_for_url("**/dashboard/test")
        session = context.cookies()
    total = 0
    for device, (size, scale, height) in _DEVICES.items():
        for scheme in ("light", "dark"):
            for picture in pictures(server, shown, wanted):
                with browser.new_context(
                    base_url=server.url,
                    viewport=size,
                    device_scale_factor=scale,
                    color_scheme=scheme,
                    reduced_motion="reduce",
                    locale="en-GB",
                    timezone_id="UTC",
                    java_script_enabled=picture.has_scripts,
                ) as context:
                    if picture.is_signed_in:
                        context.add_cookies(session)
                    tab = context.new_page()
                    tab.goto(picture.address)
                    if picture.has_scripts:
                        tab.wait_for_function(_IS_DRAWN)
                    taken = picture_of(tab, height_max=height)
                (FOLDER / f"{picture.name}-{device}-{scheme}.webp").write_bytes(taken)
                total += len(taken)
    names = [picture.name for picture in pictures(server, shown, [])]
    DOCS.write_text("\n".join([_INTRODUCTION, *(section(name) for name in names)]))
    print(f"{total // 1000} kB in {FOLDER}")  # noqa: T201 - a command's answer


def section(name: str) -> str:
    """Return what the docs say of a page: its pictures."""
    title = name.replace("_", " ").capitalize()
    shown = [
        f"""<picture>
  <source media="(prefers-color-scheme: dark)" srcset="img/dashboard/{name}-{device}-dark.webp">
  <img src="img/dashboard/{name}-{device}-light.webp" alt="{title} on a {device}" loading="lazy">
</picture>
"""
        for device in _DEVICES
    ]
    return "\n".join([f"## {title}\n", *shown])


def pictures(server: ServerProcess, shown: Shown, wanted: list[str]) -> Iterator[Picture]:
    """Yield what to take pictures of: every page, or those named."""
    for page in PAGES:
        name = Path(page.template).stem
        if not page.is_part and (not wanted or name in wanted):
            query = shown.queries.get(page.path, "")
            place = address(page, shown.examples) + (f"?{query}" if query else "")
            is_open = page.role is None
            # Without scripts: a sign-in link would send itself.
            yield Picture(name, place, is_signed_in=not is_open, has_scripts=not is_open)
    if not wanted or CUSTOMER_PAGE in wanted:
        made: Any = server.client.raw_request(
            "post",
            "/v1/customer_pages",
            customer=shown.examples["customers"],
            allow_alerts="true",
        ).data
        yield Picture(CUSTOMER_PAGE, made["url"], is_signed_in=False, has_scripts=True)


def picture_of(tab: Tab, *, height_max: int) -> bytes:
    """Return a page as WebP, as good as it can be in the bytes that there are."""
    width, height = tab.evaluate(
        "[document.documentElement.clientWidth, document.documentElement.scrollHeight]"
    )
    clip = {"x": 0, "y": 0, "width": width, "height": min(height, height_max), "scale": 1}
    session = tab.context.new_cdp_session(tab)
    for quality in _QUALITIES:
        taken = session.send(
            "Page.captureScreenshot",
            {
                "format": "webp",
                "quality": quality,
                "captureBeyondViewport": True,
                "clip": clip,
            },
        )
        picture = base64.b64decode(taken["data"])
        if len(picture) < BYTES_MAX:
            return picture
    raise RuntimeError(f"{tab.url} takes {len(picture)} bytes, more than {BYTES_MAX}")


if __name__ == "__main__":
    main(sys.argv[1:])
