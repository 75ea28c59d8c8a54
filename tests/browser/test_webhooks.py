"""Webhooks in a browser: from a new endpoint to a delivery that arrived."""

from playwright.sync_api import expect
from stripe import Webhook

from tests.browser.conftest import Site


def test_an_endpoint_is_added_tried_and_deleted(site: Site) -> None:
    before = len(site.receiver.received)
    with site.admin() as (page, faults):
        faults.expected += ["400 (Bad Request)", "dialog: Delete this endpoint?"]
        page.goto("/dashboard/test/webhooks")
        page.get_by_role("link", name="Add an endpoint").click()
        page.get_by_label("URL").fill("http://10.0.0.1/hook")
        page.get_by_role("button", name="Add endpoint").click()
        expect(page.get_by_role("alert")).to_contain_text("Invalid URL")
        expect(page.get_by_label("URL")).to_have_value("http://10.0.0.1/hook")
        page.get_by_label("URL").fill(site.receiver.url)
        page.get_by_label("All events").check()
        expect(page.get_by_label("customer.created")).to_be_hidden()
        page.get_by_label("Only these").check()
        add = page.get_by_role("button", name="Add endpoint")
        assert add.evaluate("(it) => { it.click(); return it.disabled; }"), "it is sent once"
        secret = page.get_by_role("region", name="Signing secret").locator("code").inner_text()
        assert secret.startswith("whsec_")

        page.get_by_role("link", name="Go on to the endpoint").click()
        page.get_by_role("button", name="Send test event").click()
        heading = page.get_by_role("heading", name="Delivery of meterbell.webhook_endpoint.ping")
        expect(heading).to_be_visible()
        attempts = page.get_by_role("region", name="Attempts: table")
        expect(attempts.get_by_role("row").nth(1)).to_contain_text("Delivered")
        received = site.receiver.wait_for(before + 1)[before]
        event = Webhook.construct_event(received.body, received.headers["stripe-signature"], secret)
        assert event.type == "meterbell.webhook_endpoint.ping"

        page.locator("main").get_by_role("link", name=site.receiver.url).click()
        page.once("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Delete").click()
        expect(page.get_by_role("status").first).to_contain_text("The endpoint is deleted")
