"""Takes a picture of every page of the dashboard; `make screenshots` calls it.

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

from playwright.sync_api import Browser, sync_playwright
from playwright.sync_api import Page as Tab

from meterbell.dashboard.routes import PAGES
from meterbell.dashboard.visit import Page
from tests.support.chromium import launch
from tests.support.dashboard import address
from tests.support.receiver import WebhookReceiver
from tests.support.server import ServerProcess
from tools.demo_data import KEY, Endpoints, Shown, fill

FOLDER = Path("docs/img/dashboard")
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
            for name, page, is_open in pages(wanted):
                with browser.new_context(
                    base_url=server.url,
                    viewport=size,
                    device_scale_factor=scale,
                    color_scheme=scheme,
                    reduced_motion="reduce",
                    locale="en-GB",
                    timezone_id="UTC",
                    java_script_enabled=not is_open,
                ) as context:
                    if not is_open:
                        context.add_cookies(session)
                    tab = context.new_page()
                    query = shown.queries.get(page.path, "")
                    tab.goto(address(page, shown.examples) + (f"?{query}" if query else ""))
                    if not is_open:
                        tab.wait_for_function(_IS_DRAWN)
                    picture = picture_of(tab, height_max=height)
                (FOLDER / f"{name}-{device}-{scheme}.webp").write_bytes(picture)
                total += len(picture)
    names = [name for name, _page, _is_open in pages([])]
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


def pages(wanted: list[str]) -> Iterator[tuple[str, Page, bool]]:
    """Yield the name and the declaration of each page, and whether it is open to everybody."""
    for page in PAGES:
        name = Path(page.template).stem
        if not page.is_part and (not wanted or name in wanted):
            # Without scripts: a sign-in link would send itself.
            yield name, page, page.role is None


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
