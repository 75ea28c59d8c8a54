"""Customer pages in a real browser: on their own, and in a frame on another site."""

import re
from collections.abc import Iterator
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from playwright.sync_api import Frame, Page, expect
from typing_extensions import override

from tests.browser.conftest import Faults, Site
from tests.browser.test_pages import check


class _Shop(BaseHTTPRequestHandler):
    """A page of another site, with a frame that shows what the address says."""

    def do_GET(self) -> None:
        (link,) = parse_qs(urlsplit(self.path).query)["frame"]
        body = f'<link rel="icon" href="data:,"><iframe src="{escape(link)}"></iframe>'.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @override
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def shop() -> Iterator[str]:
    """Return the port of another site, known as `localhost` and as `127.0.0.1`."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Shop) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield str(server.server_port)
        server.shutdown()
        thread.join()


def link_of(site: Site, *origins: str, **params: object) -> str:
    """Return a link to the page of the customer whose name does harm."""
    given = {"customer": site.world["customers"], "frame_origins": list(origins), **params}
    made = site.server.client.raw_request("post", "/v1/customer_pages", **given)
    return str(made.data["url"])


def embed(page: Page, faults: Faults, home: str, link: str) -> Frame:
    """Show a link in a frame on a page of another site."""
    faults.expected.append(f"asked another host: {home}")
    page.goto(f"{home}/?frame={quote(link)}")
    (frame,) = page.main_frame.child_frames
    return frame


def test_a_customer_page_is_clean_in_light_and_dark_and_on_a_phone(site: Site) -> None:
    link = link_of(site, allow_alerts="true", accent="#ffcc00")
    with site.visitor() as (page, faults):
        check(page, link)
        expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("<script>alert"))
        faults.require_none()
        faults.expected.append("404")
        check(page, f"{link}x")


def test_a_customer_sets_and_archives_an_alert_within_a_frame_of_another_site(
    site: Site, shop: str
) -> None:
    home = f"http://localhost:{shop}"
    link = link_of(site, "https://a.example", home, allow_alerts="true")
    with site.visitor() as (page, faults):
        frame = embed(page, faults, home, link)
        frame.get_by_label("Name").fill("<b>Mine</b>")
        frame.get_by_label("Alert at").fill("5000")
        frame.get_by_role("button", name="Set alert").click()
        expect(frame.get_by_role("status")).to_contain_text("The alert is set")
        expect(frame.get_by_text("<b>Mine</b>")).to_be_visible()

        frame.get_by_text("Archive the alert at").click()
        frame.get_by_role("button", name="Archive for good").click()

        expect(frame.get_by_role("status")).to_contain_text("The alert is gone")
        assert page.context.cookies() == []


def test_no_other_site_frames_a_customer_page(site: Site, shop: str) -> None:
    for origins in ((f"http://localhost:{shop}",), ()):
        with site.visitor() as (page, faults):
            faults.expected.append("frame-ancestors")
            with page.expect_console_message(lambda told: "frame-ancestors" in told.text):
                frame = embed(page, faults, f"http://127.0.0.1:{shop}", link_of(site, *origins))

            expect(frame.get_by_role("heading", name="Usage of")).to_have_count(0)
