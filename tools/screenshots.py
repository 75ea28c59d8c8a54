"""Takes a picture of every page of the dashboard; `make screenshots` calls it.

The pages are taken from the dashboard's own list, so a page that is new is in it. Each is shown
with a made-up company's data, light and dark, on a desktop and on a phone. The page of the docs
that shows them is written, too.
"""

import asyncio
import io
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, ViewportSize, sync_playwright
from playwright.sync_api import Page as Tab

from meterbell.dashboard.routes import PAGES
from tests.support.chromium import launch
from tests.support.dashboard import World, address, examples, sign_in_link
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
_COLORS = (128, 64, 32)
_DEVICES: dict[str, tuple[ViewportSize, float, int]] = {
    "desktop": ({"width": 1280, "height": 800}, 1, 1200),
    "phone": ({"width": 390, "height": 844}, 1.5, 1000),
}
"""Size of the window, pixels of a picture for one of the page, and how high it is at most."""
_SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
_IS_DRAWN = """() => !document.querySelector(".htmx-request")
    && [...document.querySelectorAll("usage-chart")].every((it) => it.querySelector("canvas"))"""
_HTTP_TEAPOT = 418


@dataclass(frozen=True, slots=True)
class View:
    """A page to take pictures of.

    Attributes:
        name: Of its files.
        place: Its address.
    """

    name: str
    place: str
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
    """Take the pictures of pages in every way, and show them in the docs."""
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(sign_in_link(server.output))
        page.wait_for_url("**/dashboard/test")
        session = context.storage_state()
    world = examples(server.client) | shown.examples
    views = [*pages(world, shown.queries), customer_page(server, world)]
    total = 0
    for device, (size, scale, height) in _DEVICES.items():
        for scheme, view in product(_SCHEMES, views):
            if wanted and view.name not in wanted:
                continue
            with browser.new_context(
                base_url=server.url,
                viewport=size,
                device_scale_factor=scale,
                color_scheme=scheme,
                reduced_motion="reduce",
                locale="en-GB",
                timezone_id="UTC",
                java_script_enabled=view.has_scripts,
                storage_state=session if view.is_signed_in else None,
            ) as context:
                tab = context.new_page()
                tab.goto(view.place)
                if view.has_scripts:
                    tab.wait_for_function(_IS_DRAWN)
                picture = picture_of(tab, height_max=height)
            (FOLDER / f"{view.name}-{device}-{scheme}.webp").write_bytes(picture)
            total += len(picture)
    DOCS.write_text("\n".join([_INTRODUCTION, *(section(view.name) for view in views)]))
    print(f"{total // 1000} kB in {FOLDER}")  # noqa: T201 - a command's answer


def pages(world: World, queries: Mapping[str, str]) -> Iterator[View]:
    """Yield every page of the dashboard's own list, named like its template."""
    names: set[str] = set()
    for page in PAGES:
        if not page.is_part:
            name = Path(page.template).stem
            if name in names:  # another page looks like it
                name = f"{name}_{Path(page.path).name}"
            names.add(name)
            query = queries.get(page.path, "")
            is_open = page.role is None
            yield View(
                name=name,
                place=address(page, world) + (f"?{query}" if query else ""),
                is_signed_in=not is_open,
                has_scripts=not is_open,  # a sign-in link would send itself
            )


def customer_page(server: ServerProcess, world: World) -> View:
    """Return the page that a customer sees."""
    made: Any = server.client.raw_request(
        "post", "/v1/customer_pages", customer=world["customers"], allow_alerts="true"
    ).data
    return View("customer_page", made["url"], is_signed_in=False, has_scripts=True)


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


def picture_of(tab: Tab, *, height_max: int) -> bytes:
    """Return a page as WebP, with as many colours as the bytes that there are can hold."""
    width, height = tab.evaluate(
        "[document.documentElement.clientWidth, document.documentElement.scrollHeight]"
    )
    screenshot = tab.screenshot(
        full_page=True, clip={"x": 0, "y": 0, "width": width, "height": min(height, height_max)}
    )
    image = Image.open(io.BytesIO(screenshot)).convert("RGB")
    pixels = np.asarray(image, dtype=np.int32)
    used, place, count = np.unique(
        pixels.reshape(-1, 3), axis=0, return_inverse=True, return_counts=True
    )
    for colors in _COLORS:
        # Text on plain ground: few colours and no loss are smaller than many with some. Frequent
        # colours stay exact, others become the nearest of them.
        kept = used[np.argsort(-count)[:colors]]
        nearest = ((used[:, None] - kept) ** 2).sum(axis=2).argmin(axis=1)
        few = kept[nearest][place].reshape(pixels.shape).astype(np.uint8)
        picture = io.BytesIO()
        Image.fromarray(few).save(picture, "WEBP", lossless=True, quality=60, method=4)
        if len(picture.getvalue()) < BYTES_MAX:
            return picture.getvalue()
    raise RuntimeError(f"{tab.url} takes more than {BYTES_MAX} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
