"""Usage of a meter in a real browser: drawn, followed, told for one customer, taken home."""

from pathlib import Path

from playwright.sync_api import expect

from tests.browser.conftest import Site, new_customer


def test_usage_is_drawn_followed_and_downloaded(site: Site) -> None:
    meter = site.world["meters"]
    new_customer(site.server, "cus_usage", name="Usual")
    with site.admin() as (page, _):
        page.goto(f"/dashboard/test/meters/{meter}")
        expect(page.locator("usage-chart canvas")).to_be_visible()
        top = page.get_by_role("table", name="Who used most")
        expect(top).to_contain_text("cus_harm")

        site.server.client.v1.billing.meter_events.create(
            {"event_name": "harm", "payload": {"stripe_customer_id": "cus_usage", "value": "3"}}
        )
        page.get_by_label("Customer", exact=True).fill("usual")
        expect(page.locator("#customers option")).to_have_attribute("value", "cus_usage")
        page.get_by_label("Customer", exact=True).fill("cus_usage")
        page.get_by_role("button", name="Show").first.click()

        expect(page.get_by_text("cus_usage used 3 in 7 days, in 1 hour; 3 in all.")).to_be_visible()
        expect(page.locator("usage-chart canvas")).to_be_visible()
        site.server.client.v1.billing.meter_events.create(
            {"event_name": "harm", "payload": {"stripe_customer_id": "cus_usage", "value": "4"}}
        )
        expect(page.get_by_text("cus_usage used 7 in 7 days, in")).to_be_visible()
        with page.expect_download() as download:
            page.get_by_role("link", name="CSV").last.click()
        rows = Path(download.value.path()).read_text().splitlines()
        assert rows[0] == "customer,usage"
        assert "cus_usage,7" in rows
