"""The feed of meter events in a browser."""

from playwright.sync_api import expect

from tests.browser.conftest import Site, new_customer


def test_a_meter_event_shows_by_itself_and_can_be_cancelled(site: Site) -> None:
    customer = new_customer(site.server, "cus_fed")
    with site.admin() as (page, faults):
        faults.expected.append("dialog: Cancel this meter event?")
        page.goto(f"/dashboard/test/events?customer={customer}")
        expect(page.get_by_text("No meter event is like that")).to_be_visible()
        with page.expect_response("**/live?view=*"):
            page.reload()
        site.server.client.v1.billing.meter_events.create(
            {
                "event_name": "harm",
                "identifier": "fed-1",
                "payload": {"stripe_customer_id": customer, "value": "3", "kind": "</code>"},
            }
        )
        row = page.get_by_role("row", name=customer)
        expect(row).to_contain_text("Counted")
        expect(page.get_by_label("Customer")).to_have_value(customer)

        row.get_by_role("link", name="fed-1").click()
        expect(page.locator(".json-string", has_text="</code>")).to_have_count(1)
        page.once("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Cancel this meter event").click()
        expect(page.get_by_role("status").first).to_contain_text("as if it had never come")
        expect(page.get_by_role("button", name="Cancel this meter event")).to_have_count(0)
