"""New alert: what its form does, and what its preview tells while it is typed."""

import html
import re

import pytest

from meterbell.errors import OverloadedError
from meterbell.records import AuditEntry, TriggerRecord
from meterbell.store.tables import trigger
from tests.unit.api.running import Api, Failing
from tests.unit.dashboard.visiting import Visitor

NEW = "/dashboard/test/alerts/new"


def form(meter: str, /, **changes: str) -> dict[str, str]:
    """Return what a browser sends for a new alert."""
    return {"title": "Much", "meter": meter, "gte": "100", "application": "any"} | changes


async def test_a_new_alert_is_made_by_the_apis_rules_with_a_line_in_the_audit_log(
    api: Api, editor: Visitor
) -> None:
    meter = await api.meter()

    shown = await editor.post(NEW, form(meter))

    (alert,) = api.services.state.alerts.values()
    assert (alert.title, alert.gte, alert.meter, alert.customer) == ("Much", 100, meter, None)
    assert not alert.livemode
    assert shown.headers["location"] == f"/dashboard/test/alerts/{alert.id}?notice=alert_created"
    (entry,) = api.services.store.reader.find(AuditEntry)
    assert (entry.actor, entry.action, entry.object) == ("eddy", "alert.create", alert.id)
    assert (entry.livemode, entry.address) == (False, "127.0.0.1")


async def test_a_new_alert_may_watch_one_customer(api: Api, editor: Visitor) -> None:
    meter = await api.meter()
    await api.customer("cus_a")

    await editor.post(NEW, form(meter, application="customer", customer=" cus_a "))

    (alert,) = api.services.state.alerts.values()
    assert alert.customer == "cus_a"


async def test_usage_from_before_the_alert_counts_if_one_wants_it_and_triggers_at_once_too(
    api: Api, editor: Visitor
) -> None:
    meter = await api.meter()
    await api.customer("cus_a")
    await api.use("150")

    await editor.post(NEW, form(meter, baseline="creation", evaluate="true"))
    await editor.post(NEW, form(meter, baseline="lifetime"))
    await editor.post(NEW, form(meter, baseline="lifetime", evaluate="true"))

    alerts = list(api.services.state.alerts.values())
    fired = [
        api.services.store.reader.count(TriggerRecord, trigger.c.alert == a.id) for a in alerts
    ]
    assert [alert.baseline for alert in alerts] == ["creation", "lifetime", "lifetime"]
    assert fired == [0, 0, 1]


async def test_the_form_is_shown_again_as_it_was_filled_in(api: Api, editor: Visitor) -> None:
    meter = await api.meter()

    shown = await editor.post(NEW, form(meter, gte="", baseline="lifetime", evaluate="true"))

    assert 'value="lifetime" checked' in shown.text
    assert 'name="evaluate" value="true" checked' in shown.text
    assert '<details class="advanced" open>' in shown.text


@pytest.mark.parametrize("baseline", ["", "lifetime"])
async def test_a_duplicate_begins_with_what_the_alert_has(
    api: Api, editor: Visitor, baseline: str
) -> None:
    meter, other = await api.meter(), await api.meter("other")
    await api.customer("cus_a")
    only = {"application": "customer", "customer": "cus_a"}
    await editor.post(NEW, form(other, title="<Much>", gte="77", baseline=baseline, **only))
    (alert,) = api.services.state.alerts

    page = await editor.get(f"/dashboard/test/alerts/{alert}")
    link = re.search(r'href="(/dashboard/test/alerts/new[^"]*)"', page.text)
    assert link is not None
    shown = await editor.get(html.unescape(link[1]))

    assert 'value="&lt;Much&gt;"' in shown.text
    assert 'value="77"' in shown.text
    assert f'value="{other}" selected' in shown.text
    assert f'value="{meter}" selected' not in shown.text
    assert 'value="customer" checked' in shown.text
    assert f'value="{baseline or "creation"}" checked' in shown.text


async def test_an_alert_on_an_inactive_meter_has_no_duplicate(api: Api, editor: Visitor) -> None:
    meter = await api.meter()
    alert = await api.alert(meter)
    await api.made(f"/v1/billing/meters/{meter}/deactivate")

    assert "Duplicate" not in (await editor.get(f"/dashboard/test/alerts/{alert}")).words


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        ("", "Usage so far does not count: everybody starts at zero."),
        ("&baseline=lifetime", "already triggers with the next usage."),
        ("&baseline=lifetime&evaluate=true", "already triggers when the alert is made."),
        (
            "&application=customer&customer=cus_a",
            "What cus_a used so far, 1\u202f500.5, does not count: it starts at zero.",
        ),
        ("&application=customer&customer=cus_b", ""),
    ],
)
async def test_the_preview_warns_of_usage_that_does_not_count(
    api: Api, editor: Visitor, changes: str, warning: str
) -> None:
    meter = await api.meter()
    for customer in ("cus_a", "cus_b"):
        await api.customer(customer)
    await api.use("1500.5")

    shown = await editor.get(f"/dashboard/test/alerts/preview?meter={meter}&gte=100{changes}")

    assert warning in html.unescape(shown.text)
    assert ('class="warning"' in shown.text) == bool(warning)


async def test_a_preview_that_is_not_possible_now_says_so(api: Api, editor: Visitor) -> None:
    meter = await api.meter()
    runner = api.services.insight.dry_runner
    runner._committer = Failing(OverloadedError("Full."))  # type: ignore[assignment] # noqa: SLF001

    shown = await editor.get(f"/dashboard/test/alerts/preview?meter={meter}&gte=100")

    assert (shown.status, shown.words) == (
        200,
        "Too much is going on at this moment. Type on to try again.",
    )


async def test_the_preview_tells_when_there_can_be_no_other_alert(
    api: Api, editor: Visitor
) -> None:
    meter = await api.meter()
    for _ in range(25):
        await api.alert(meter)

    shown = await editor.get(f"/dashboard/test/alerts/preview?meter={meter}&gte=100")

    assert "This meter has 25 of 25 alerts for this application. Archive one" in shown.words
    assert "25" in (await editor.post(NEW, form(meter))).words
    one = "application=customer&customer=cus_a"
    await api.customer("cus_a")
    shown = await editor.get(f"/dashboard/test/alerts/preview?meter={meter}&gte=100&{one}")
    assert "This meter has 0 of 25 alerts for this application." in shown.words
    await editor.post(NEW, form(meter, application="customer", customer="cus_a"))
    shown = await editor.get(f"/dashboard/test/alerts/preview?meter={meter}&gte=100&{one}")
    assert "This meter has 1 of 25 alerts for this application." in shown.words


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"title": " "}, "Give the alert a name."),
        ({"title": "x" * 257}, "at most 256 characters"),
        ({"gte": ""}, "Say at which usage it triggers."),
        ({"gte": "1e6"}, "Write a whole number, 1 or more"),
        ({"gte": "0"}, "Write a whole number, 1 or more"),
        ({"gte": "80 000"}, "Write a whole number, 1 or more"),
        ({"meter": ""}, "Choose a meter."),
        ({"meter": "mtr_none"}, "No such billing meter: 'mtr_none'"),
        ({"application": "customer"}, "Say which customer it watches."),
        ({"application": "customer", "customer": "cus_none"}, "No such customer: 'cus_none'"),
    ],
)
async def test_what_is_wrong_is_told_and_nothing_is_lost(
    api: Api, editor: Visitor, changes: dict[str, str], problem: str
) -> None:
    meter = await api.meter()

    shown = await editor.post(NEW, form(meter, **changes))

    assert shown.status == 400
    assert problem in shown.words
    assert 'aria-invalid="true"' in shown.text
    assert api.services.state.alerts == {}
    assert api.services.store.reader.count(AuditEntry) == 0


async def test_the_preview_tells_for_whom_it_would_have_fired(api: Api, editor: Visitor) -> None:
    meter = await api.meter()
    for customer, value in (("cus_a", "120"), ("cus_b", "80"), ("cus_c", "100")):
        await api.customer(customer)
        await api.use(value, customer=customer)
    sequence = api.services.state.sequence

    shown = await editor.get(f"/dashboard/test/alerts/preview?meter={meter}&gte=100")

    assert "would have triggered for 2 customers of 3 customers with usage" in shown.words
    assert "cus_b used 80 of 100" in shown.words
    assert "This meter has 0 of 25 alerts" in shown.words
    assert "<html" not in shown.text
    assert api.services.state.sequence == sequence


@pytest.mark.parametrize(
    ("query", "hint"),
    [
        ("gte=", "Type a threshold"),
        ("gte=x", "Write a whole number"),
        ("gte=5&meter=mtr_none", "No such billing meter"),
        ("gte=5", "Choose a meter."),
    ],
)
async def test_the_preview_says_what_it_waits_for(
    api: Api, editor: Visitor, query: str, hint: str
) -> None:
    meter = "" if "meter" in query or query == "gte=5" else f"&meter={await api.meter()}"

    shown = await editor.get(f"/dashboard/test/alerts/preview?{query}{meter}")

    assert shown.status == 200
    assert hint in shown.words


async def test_customers_are_found_by_the_beginning_of_id_or_address(
    api: Api, editor: Visitor
) -> None:
    await api.made("/v1/customers", {"id": "cus_ada", "email": "ada@example.com"})
    await api.made("/v1/customers", {"id": "cus_bob", "email": "bob@example.com"})
    await api.made("/v1/customers", {"id": "cus_live"}, key="sk_live_unit_tests")

    by_id = await editor.get("/dashboard/test/customers/options?customer=cus_")
    by_address = await editor.get("/dashboard/test/customers/options?customer=bob%40")
    nothing = await editor.get("/dashboard/test/customers/options?customer=")

    assert [name in by_id.text for name in ("cus_ada", "cus_bob", "cus_live")] == [
        True,
        True,
        False,
    ]
    assert "cus_bob" in by_address.text
    assert "cus_ada" not in by_address.text
    assert nothing.words == ""
