"""Open pages follow what happens, and let the server go."""

from pathlib import Path

from playwright.sync_api import Browser, Route, expect

from tests.browser.conftest import Site, little_data, new_customer
from tests.support.dashboard import sign_in_link
from tests.support.receiver import WebhookReceiver
from tests.support.server import ServerProcess


def test_an_open_page_shows_a_trigger_by_itself(site: Site) -> None:
    client = site.server.client
    with site.admin() as (page, _):
        page.goto("/dashboard/test/alerts")
        row = page.get_by_role("row").nth(1)
        expect(row).to_contain_text("1 customer")
        new_customer(site.server, "cus_live")
        client.v1.billing.meter_events.create(
            {"event_name": "harm", "payload": {"stripe_customer_id": "cus_live", "value": "10"}}
        )
        expect(row).to_contain_text("2 customers")


def test_a_page_follows_however_slowly_its_scripts_come(site: Site) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    with site.admin() as (page, _):
        page.route("**/vendor/hx-sse.min.js", hold)
        with page.expect_response("**/vendor/htmx.min.js"), page.expect_request("**/hx-sse.min.js"):
            page.goto("/dashboard/test", wait_until="commit")
        page.evaluate("new Promise((done) => setTimeout(done, 50))")  # what begins by itself did

        with page.expect_response("**/live?view=*"):
            held[0].continue_()


def test_what_one_reads_and_types_stays_while_the_page_changes(site: Site) -> None:
    with site.admin() as (page, _):
        page.goto("/dashboard/test/audit")
        page.locator("summary", has_text="Show").first.click()
        search = page.get_by_label("Find by id")
        search.fill("half an i")
        rows = page.get_by_role("row").count()

        with site.visitor() as (other, _):
            other.context.add_cookies(site.session)  # type: ignore[arg-type]
            other.goto("/dashboard/test")
            new_customer(site.server, "cus_other")

        assert page.get_by_role("row").count() >= rows
        expect(page.locator("td details[open]")).to_have_count(1)
        expect(search).to_have_value("half an i")
        expect(search).to_be_focused()


def test_a_paused_page_stays_as_it_is(site: Site) -> None:
    with site.admin() as (page, _):
        page.goto("/dashboard/test")
        page.get_by_role("link", name="Pause").click()
        expect(page.get_by_text("Paused")).to_be_visible()
        assert page.locator("[hx-sse\\:connect]").count() == 0
        page.get_by_role("link", name="Go live").click()
        expect(page.locator("[hx-sse\\:connect]")).to_have_count(1)


def test_a_server_stops_although_pages_are_open(browser: Browser, tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data", seconds_max=8)  # less than its time to drain
    with server, WebhookReceiver() as receiver:
        little_data(server, receiver)
        context = browser.new_context(base_url=server.url)
        with context.new_page() as page:
            page.goto(sign_in_link(server.output))
            page.wait_for_url("**/dashboard/test")
        for path in ("", "/alerts", "/events", "/events/told", "/webhooks"):
            page = context.new_page()
            with page.expect_response("**/live?view=*"):
                page.goto(f"/dashboard/test{path}")

        assert server.stop() == 0

        context.close()
