"""Every page with a hundred thousand customers behind it."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from playwright.sync_api import Browser

from bench.fill import Filling, fill
from tests.browser.conftest import Site
from tests.browser.test_pages import WHOLE, check
from tests.support.dashboard import address
from tests.support.receiver import WebhookReceiver
from tests.support.server import ServerProcess

FILLING = Filling(customers=100_000, meters=10, events=150_000)


def test_every_page_with_a_hundred_thousand_customers_is_clean(
    browser: Browser, tmp_path: Path
) -> None:
    # In a thread, because the browser has an event loop in this one.
    with ThreadPoolExecutor(1) as pool:
        filled = pool.submit(fill, tmp_path / "data", FILLING).result()
    world = {
        "alerts": filled.alert,
        "customers": filled.customer,
        "meter-events": filled.meter_event,
        "meters": filled.meter,
    }
    cookie = {"name": "meterbell_session", "value": filled.session, "path": "/dashboard"}
    with ServerProcess(tmp_path / "data") as server, WebhookReceiver() as receiver:
        site = Site(server, browser, receiver, world, "")
        site.session = [{**cookie, "domain": "127.0.0.1"}]
        with site.admin() as (page, faults):
            for declared in WHOLE:
                section = declared.path.split("/")[1]
                if "{" not in declared.path or section in world:
                    check(page, address(declared, world))
                    faults.require_none()
