"""The whole story in a browser: from signing in over a new alert to its webhook on the page."""

import re

from playwright.sync_api import Page, expect
from typer.testing import CliRunner

from meterbell.cli.main import app
from tests.browser.conftest import Site, new_customer

PASSWORD = "correct horse battery"


def new_meter(site: Site, name: str) -> str:
    """Make a meter and return its id."""
    meter = site.server.client.v1.billing.meters.create(
        {
            "display_name": name,
            "event_name": name.lower().replace(" ", "_"),
            "default_aggregation": {"formula": "sum"},
        }
    )
    return meter.id


def use(site: Site, name: str, customer: str, value: str) -> None:
    """Report usage."""
    site.server.client.v1.billing.meter_events.create(
        {"event_name": name, "payload": {"stripe_customer_id": customer, "value": value}}
    )


def add_user(site: Site, name: str) -> None:
    """Add a user who signs in with the password."""
    words = ["dashboard", "user", "add", name, "--role", "editor", "--password-stdin"]
    environment = {"METERBELL_DATA": str(site.server.data)}
    added = CliRunner().invoke(app, words, env=environment, input=f"{PASSWORD}\n")
    assert added.exit_code == 0, added.output


def fill(page: Page, title: str, threshold: str) -> None:
    """Fill the form for a new alert as far as a person has to."""
    page.get_by_label("Name").fill(title)
    page.get_by_label("Alert type").select_option(label="API calls")
    page.get_by_label("Unit threshold").fill(threshold)


def test_an_alert_at_100_calls_for_any_customer(site: Site) -> None:
    new_meter(site, "API calls")
    new_customer(site.server, "cus_story")
    use(site, "api_calls", "cus_story", "150")
    before = len(site.receiver.received)
    add_user(site, "ada")
    with site.visitor() as (page, _):
        page.goto("/dashboard/test")
        page.get_by_label("Name").fill("ada")
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("link", name="Billing alerts").click()
        page.get_by_role("link", name="New alert").first.click()
        labels = page.locator("#new-alert label, #new-alert legend, #new-alert button")
        assert [text.strip() for text in labels.filter(visible=True).all_inner_texts()] == [
            "Name",
            "Alert type",
            "Unit threshold",
            "Application",
            "Any customer",
            "Specific customer",
            "Create alert",
        ]
        expect(page.get_by_text("Isn't visible to customers")).to_be_visible()
        assert page.get_by_label("Any customer").is_checked()

        fill(page, "100 API calls", "100")
        preview = page.locator("#preview")
        expect(preview).to_contain_text("would have triggered for 1 customer of 1 customer")
        expect(preview.locator("svg.bars")).to_have_count(1)
        expect(preview).to_contain_text("Usage so far does not count")
        page.get_by_label("Unit threshold").fill("1000")
        expect(preview).to_contain_text("would not have triggered")
        page.get_by_label("Unit threshold").fill("100")
        page.get_by_role("button", name="Create alert").click()

        expect(page.get_by_role("status").first).to_contain_text("The alert is active")
        expect(page.get_by_role("heading", name="Triggered for 0 customers")).to_be_visible()
        page.evaluate("window.isTheSame = true")
        use(site, "api_calls", "cus_story", "99")
        expect(page.get_by_role("row", name="cus_story").first).to_contain_text("99 %")
        use(site, "api_calls", "cus_story", "1")

        expect(page.get_by_role("heading", name="Triggered for 1 customer")).to_be_visible()
        received = site.receiver.wait_for(before + 1)
        assert any(b"billing.alert.triggered" in event.body for event in received)
        triggered = page.get_by_role("region", name="Triggered: table").get_by_role("row").nth(1)
        expect(triggered).to_contain_text("Delivered")
        expect(page.locator("usage-chart")).to_have_attribute("aria-label", re.compile("triggered"))
        assert page.evaluate("window.isTheSame"), "all of that came without a reload"
        triggered.get_by_role("link", name="Why? cus_story").click()
        why = page.get_by_role("region", name="Why, or why not?")
        expect(why).to_contain_text("Triggered at 100 on")
        expect(why).to_contain_text(site.receiver.url)
        expect(why.get_by_role("definition").nth(1)).to_have_text("150")
        expect(page.locator("usage-chart canvas")).to_be_visible()


def test_what_is_wrong_with_a_new_alert_stands_at_its_field(site: Site) -> None:
    with site.admin() as (page, faults):
        faults.expected.append("400 (Bad Request)")
        page.goto("/dashboard/test/alerts/new")
        page.get_by_role("button", name="Create alert").click()
        expect(page.get_by_role("alert")).to_have_text("Give the alert a name.")
        expect(page.get_by_label("Name")).to_have_attribute("aria-invalid", "true")
        page.get_by_label("Name").fill("<b>Mine</b>")
        page.get_by_label("Unit threshold").fill("1e6")
        page.get_by_role("button", name="Create alert").click()
        expect(page.get_by_role("alert")).to_contain_text("Write a whole number")
        expect(page.get_by_label("Name")).to_have_value("<b>Mine</b>")
        expect(page.get_by_label("Unit threshold")).to_have_value("1e6")


def test_a_specific_customer_is_found_by_its_beginning(site: Site) -> None:
    new_meter(site, "Specific")
    new_customer(site.server, "cus_specific_1")
    with site.admin() as (page, _):
        page.goto("/dashboard/test/alerts/new")
        page.get_by_label("Alert type").select_option(label="Specific")
        field = page.get_by_label("Customer", exact=True)
        expect(field).to_be_hidden()
        page.get_by_label("Specific customer").check()
        field.press_sequentially("cus_spe")
        expect(page.locator("#customers option[value='cus_specific_1']")).to_have_count(1)
        field.fill("cus_specific_1")
        preview = page.locator("#preview")
        page.get_by_label("Unit threshold").fill("5")
        expect(preview).to_contain_text("would not have triggered")
        expect(preview).to_contain_text("has 0 of 25 alerts for this application")
        use(site, "specific", "cus_specific_1", "7.5")
        page.get_by_text("Advanced").click()
        expect(page.get_by_label("Trigger at once")).to_be_hidden()
        page.get_by_label("All there ever was").check()
        page.get_by_label("Trigger at once").check()
        expect(preview).to_contain_text("What cus_specific_1 used so far, 7.5, counts, too")
        expect(preview).to_contain_text("triggers when the alert is made")
        page.get_by_label("Name").fill("Only one")
        page.get_by_role("button", name="Create alert").click()
        expect(page.locator("#facts + dl")).to_contain_text("cus_specific_1")
        expect(page.locator("#facts + dl")).to_contain_text("All there ever was")
        expect(page.get_by_role("heading", name="Triggered for 1 customer")).to_be_visible()


def test_an_alert_is_switched_off_and_on_and_archived_for_good(site: Site) -> None:
    meter = new_meter(site, "Switched")
    alert = site.server.client.v1.billing.alerts.create(
        {
            "alert_type": "usage_threshold",
            "title": "On and off",
            "usage_threshold": {"gte": 5, "meter": meter, "recurrence": "one_time"},
        }
    )
    with site.admin() as (page, faults):
        faults.expected += ["dialog: Archive this alert?", "dialog: Deactivate this alert?"]
        page.goto(f"/dashboard/test/search?q={alert.id}")
        expect(page.get_by_role("heading", name="On and off")).to_be_visible()
        page.once("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Deactivate").click()
        expect(page.get_by_role("status").first).to_contain_text("The alert is inactive")
        page.get_by_role("button", name="Activate").click()
        expect(page.get_by_role("status").first).to_contain_text("The alert is active")
        page.once("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Archive").click()
        expect(page.get_by_role("status").first).to_contain_text("It can't be brought back")
        expect(page.get_by_role("button", name="Activate")).to_have_count(0)
        page.goto("/dashboard/test/audit")
        actions = page.locator("td:nth-child(3)").all_inner_texts()
        assert actions[:3] == ["alert.archive", "alert.activate", "alert.deactivate"]
