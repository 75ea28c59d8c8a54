"""One browser and one server for all tests here; whatever a page does wrong fails its test."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import stripe
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    expect,
    sync_playwright,
)

from tests.support.chromium import launch
from tests.support.dashboard import World, examples, sign_in_link
from tests.support.receiver import WebhookReceiver
from tests.support.server import ServerProcess

SECONDS_MAX = 15

expect.set_options(timeout=SECONDS_MAX * 1000)


# A session-wide one would leave an event loop running, and async tests after it would fail.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        running = launch(playwright)
        yield running
        running.close()


@dataclass
class Faults:
    """What went wrong in a browser.

    Attributes:
        expected: Parts of messages that a test provokes on purpose.
    """

    host: str
    found: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def watch(self, context: BrowserContext) -> None:
        """Note errors of scripts, of the console, and requests to any other host."""
        context.on("console", self._hear)
        context.on("weberror", lambda error: self.found.append(str(error.error)))
        context.on("request", lambda request: self._look(request.url))
        context.on("dialog", lambda dialog: self.found.append(f"dialog: {dialog.message}"))

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.found.append(f"{message.text} ({message.page.url if message.page else ''})")

    def _look(self, url: str) -> None:
        if not url.startswith((self.host, "data:")):
            self.found.append(f"asked another host: {url}")

    def require_none(self) -> None:
        """Fail if anything went wrong."""
        left = [fault for fault in self.found if not any(part in fault for part in self.expected)]
        assert left == []


@dataclass
class Site:
    """A server with a dashboard, and one of everything in test mode; live mode is empty.

    Attributes:
        session: The cookies of an admin.
    """

    server: ServerProcess
    browser: Browser
    receiver: WebhookReceiver
    world: World
    link: str
    session: list[dict[str, object]] = field(default_factory=list)

    @contextmanager
    def visitor(self, **options: object) -> Iterator[tuple[Page, Faults]]:
        """Open a page in a browser of its own, without anybody signed in."""
        context = self.browser.new_context(base_url=self.server.url, **options)  # type: ignore[arg-type]
        context.set_default_timeout(SECONDS_MAX * 1000)
        faults = Faults(self.server.url)
        faults.watch(context)
        try:
            yield context.new_page(), faults
            faults.require_none()
        finally:
            context.close()

    @contextmanager
    def admin(self, **options: object) -> Iterator[tuple[Page, Faults]]:
        """Open a page with an admin signed in."""
        with self.visitor(**options) as (page, faults):
            page.context.add_cookies(self.session)  # type: ignore[arg-type]
            yield page, faults


@pytest.fixture(scope="package")
def site(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("browser")
    with ServerProcess(Path(folder) / "data") as server, WebhookReceiver() as receiver:
        link = sign_in_link(server.output)
        made = Site(server, browser, receiver, little_data(server, receiver), link)
        with made.visitor() as (page, _):
            page.goto(made.link)
            page.wait_for_url("**/dashboard/test")
            made.session = page.context.cookies()  # type: ignore[assignment]
        yield made


def little_data(server: ServerProcess, receiver: WebhookReceiver) -> World:
    """Make one of everything in test mode, named as somebody would who wants to do harm."""
    client = server.client
    client.v1.webhook_endpoints.create(
        {"url": receiver.url, "enabled_events": ["*"], "description": "<b>\"'</b>"}
    )
    meter = client.v1.billing.meters.create(
        {
            "display_name": "<img src=x onerror=alert(1)> requests",
            "event_name": "harm",
            "default_aggregation": {"formula": "sum"},
        }
    )
    customer = new_customer(server, "cus_harm", name="'\"><script>alert(2)</script>")
    alert = client.v1.billing.alerts.create(
        {
            "alert_type": "usage_threshold",
            "title": "</title><script>alert(3)</script>",
            "usage_threshold": {"gte": 10, "meter": meter.id, "recurrence": "one_time"},
        }
    )
    client.raw_request(
        "post",
        "/v1/notification_channels",
        name="<script>alert(4)</script> on call",
        url="json://127.0.0.1:65535/",
        alerts=[alert.id],
    )
    for value in ("4", "7.5"):
        client.v1.billing.meter_events.create(
            {
                "event_name": "harm",
                "payload": {"stripe_customer_id": customer, "value": value},
            }
        )
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.customers.retrieve("cus_none")
    return examples(client)


def new_customer(server: ServerProcess, customer: str, *, name: str = "") -> str:
    """Make a customer with an id of our choice, which the SDK's types don't know."""
    params = {"id": customer, "name": name} if name else {"id": customer}
    server.client.v1.customers.create(params)  # type: ignore[arg-type]
    return customer
