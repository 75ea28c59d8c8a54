"""Pages about alerts: what they say, what their forms do, and that nothing typed becomes HTML."""

import html
import re

import msgspec
import pytest

from meterbell.dashboard.app import Dashboard
from meterbell.dashboard.pages.alert import _state_of_all
from meterbell.dashboard.usage_line import usage_line
from meterbell.engine.value import SCALE
from meterbell.ids import AlertId, CustomerId
from meterbell.ledger.totals import write_totals
from meterbell.records import AuditEntry, Delivery, EndpointHealth, TriggerRecord
from meterbell.store.tables import trigger
from tests.support.dashboard import World
from tests.unit.api.running import Api
from tests.unit.dashboard.visiting import Visitor, let_in

HARM = "</title><script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
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


async def test_the_preview_tells_when_there_can_be_no_other_alert(
    api: Api, editor: Visitor
) -> None:
    meter = await api.meter()
    for _ in range(25):
        await api.alert(meter)

    shown = await editor.get(f"/dashboard/test/alerts/preview?meter={meter}&gte=100")

    assert "This meter has 25 of 25 alerts for this application. Archive one" in shown.words
    assert "25" in (await editor.post(NEW, form(meter))).words


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

    by_id = await editor.get("/dashboard/test/alerts/customers?customer=cus_")
    by_address = await editor.get("/dashboard/test/alerts/customers?customer=bob%40")
    nothing = await editor.get("/dashboard/test/alerts/customers?customer=")

    assert [name in by_id.text for name in ("cus_ada", "cus_bob", "cus_live")] == [
        True,
        True,
        False,
    ]
    assert "cus_bob" in by_address.text
    assert "cus_ada" not in by_address.text
    assert nothing.words == ""


async def test_an_alerts_page_tells_who_triggered_and_who_is_closest(
    api: Api, viewer: Visitor
) -> None:
    meter = await api.meter()
    alert = await api.alert(meter, 100)
    for customer, value in (("cus_a", "120.5"), ("cus_b", "80"), ("cus_c", "30")):
        await api.customer(customer)
        await api.use(value, customer=customer)

    shown = await viewer.get(f"/dashboard/test/alerts/{alert}")

    assert "Triggered for 1 customer" in shown.words
    assert "cus_a 120.5" in shown.words
    assert shown.words.index("cus_b 80 %") < shown.words.index("cus_c 30 %")
    assert "Archive" not in shown.words


@pytest.mark.parametrize(
    ("customer", "reason"),
    [
        ("cus_a", "Triggered at 120 on"),
        ("cus_b", "Usage is at 80 of 100, 20 to go. 7 from before"),
        ("cus_none", "There is no customer cus_none in test mode"),
        (HARM, "There is no customer"),
    ],
)
async def test_each_customer_is_told_why_or_why_not(
    api: Api, viewer: Visitor, customer: str, reason: str
) -> None:
    meter = await api.meter()
    for name in ("cus_a", "cus_b"):
        await api.customer(name)
    await api.use("7", customer="cus_b")
    alert = await api.alert(meter, 100)
    await api.use("120", customer="cus_a")
    await api.use("80", customer="cus_b")

    shown = await viewer.get(f"/dashboard/test/alerts/{alert}?customer={customer}")

    assert reason in shown.words
    assert "<script>alert" not in shown.text


async def test_an_alert_is_switched_and_archived(api: Api, editor: Visitor) -> None:
    alert = AlertId(await api.alert(await api.meter(), 100))
    found = []
    for verb in ("deactivate", "activate", "archive"):
        shown = await editor.post(f"/dashboard/test/alerts/{alert}/{verb}")
        found.append(
            (shown.headers["location"].rpartition("=")[2], api.services.state.alerts[alert].status)
        )

    assert found == [
        ("alert_deactivated", "inactive"),
        ("alert_activated", "active"),
        ("alert_archived", "archived"),
    ]
    again = await editor.post(f"/dashboard/test/alerts/{alert}/activate")
    assert again.status == 400
    shown = await editor.get(f"/dashboard/test/alerts/{alert}")
    lines = ("Archived eddy", "Activated eddy", "Deactivated eddy", "Created By the API")
    places = [shown.words.index(line) for line in lines]
    assert places == sorted(places)
    assert alert in (await editor.get("/dashboard/test/alerts?status=archived")).text
    assert alert not in (await editor.get("/dashboard/test/alerts")).text


async def test_pages_of_a_list_lead_to_each_other(api: Api, viewer: Visitor) -> None:
    for number in range(60):
        await api.alert(await api.meter(f"m{number}"), 1)

    pages = [await viewer.get("/dashboard/test/alerts")]
    links = []
    for _ in range(2):
        link = pages[-1].text.rpartition('rel="next" href="')[2].partition('"')[0]
        links.append(link.replace("&amp;", "&"))
        pages.append(await viewer.get(links[-1]))
    back = pages[-1].text.partition('rel="prev" href="')[2].partition('"')[0]
    pages.append(await viewer.get(back.replace("&amp;", "&")))

    assert [page.text.count("/dashboard/test/alerts/alrt_") for page in pages] == [25, 25, 10, 25]
    assert 'rel="next"' not in pages[2].text
    assert pages[3].words == pages[1].words


async def test_the_chart_reckons_back_from_what_counts(api: Api) -> None:
    meter = await api.meter()
    await api.customer("cus_a")
    await api.use("5")
    api.clock.advance(seconds=2 * 3600)
    alert = api.services.state.alerts[AlertId(await api.alert(meter, 100))]
    await api.use("10")
    api.clock.advance(seconds=3600)
    await api.use("20")

    line = await usage_line(api.services, alert, CustomerId("cus_a"))

    assert line is not None
    assert [point.value // SCALE for point in line.points][-4:] == [0, 0, 10, 30]
    assert line.points[-1].at == api.clock.now_ms() // 1000
    assert line.label == "cus_a used 30 of 100 (30 %)."
    assert line.triggered is None


async def test_the_charts_points_are_those_of_the_customer_asked_for(
    api: Api, world: World, viewer: Visitor
) -> None:
    place = f"/dashboard/test/alerts/{world['alerts']}/series"

    found = msgspec.json.decode((await viewer.get(f"{place}?customer=cus_a")).raw)
    nobody = msgspec.json.decode((await viewer.get(f"{place}?customer=cus_x")).raw)

    assert (found["values"][-1], found["threshold"]) == (12.0, 10)
    assert found["triggered"] == api.clock.now_ms() // 1000
    assert nobody["values"] == []


async def test_nothing_that_somebody_typed_becomes_html(api: Api, admin: Visitor) -> None:
    meter = (
        await api.made(
            "/v1/billing/meters",
            {
                "display_name": HARM,
                "event_name": HARM[:100],
                "default_aggregation": {"formula": "sum"},
            },
        )
    )["id"]
    await api.made("/v1/customers", {"id": "cus_a", "email": HARM, "name": HARM})
    await admin.post(NEW, form(meter, title=HARM))
    (alert,) = api.services.state.alerts
    for path in (
        "",
        "/alerts",
        f"/alerts/{alert}",
        "/alerts/new",
        "/alerts/customers?customer=cus_",
        f"/alerts/preview?meter={meter}&gte=1",
        "/audit",
        "/search?q=%3Cscript%3Ealert(1)%3C%2Fscript%3E",
        "/sign-in?next=%22%3E%3Cscript%3Ealert(1)",
        "/sign-in/link?token=%22%3E%3Cscript%3Ealert(1)",
        "/%3Cscript%3Ealert(1)",
    ):
        shown = await admin.get(f"/dashboard/test{path}")

        assert "<script>alert" not in shown.text, path
        assert "<img" not in shown.text, path
    refused = await admin.post(NEW, form(HARM, title=HARM, gte=HARM, customer=HARM))
    assert "<script>alert" not in refused.text
    assert "<img" not in refused.text


def delivery(status: str, *, attempts: int = 0) -> Delivery:
    return Delivery(
        event="evt_1",
        endpoint="we_1",
        livemode=False,
        created_ms=0,
        status=status,  # type: ignore[arg-type]
        attempts=attempts,
        next_attempt_at_ms=None,
    )


@pytest.mark.parametrize(
    ("deliveries", "word"),
    [
        ([], "No endpoint"),
        ([delivery("succeeded"), delivery("succeeded")], "Delivered"),
        ([delivery("succeeded"), delivery("pending")], "Pending"),
        ([delivery("pending"), delivery("pending", attempts=2)], "Retrying"),
        ([delivery("pending", attempts=2), delivery("failed")], "Failed"),
        ([delivery("canceled")], "Canceled"),
    ],
    ids=["none", "all", "some", "retrying", "failed", "canceled"],
)
def test_of_several_deliveries_the_worst_is_told(deliveries: list[Delivery], word: str) -> None:
    assert _state_of_all(deliveries).word == word


async def test_the_overview_tells_what_there_is_where_the_last_value_counts(
    api: Api, dashboard: Dashboard
) -> None:
    await api.meter("requests", formula="last")
    for customer in ("cus_a", "cus_b"):
        await api.customer(customer)
    await api.services.committer.execute(write_totals)
    await api.use("400", customer="cus_a")
    await api.use("50", customer="cus_b")
    api.clock.advance(seconds=24 * 3600)
    await api.services.committer.execute(write_totals)
    await api.use("420", customer="cus_a")
    api.clock.advance(seconds=3600)
    await api.services.committer.execute(write_totals)

    viewer = await let_in(api.services, Visitor(dashboard), "vera", "viewer")
    assert "requests 470 450" in (await viewer.get("/dashboard/test")).words


async def test_the_overview_tells_what_needs_a_look(api: Api, viewer: Visitor) -> None:
    meter = await api.meter()
    await api.alert(meter, 100)
    await api.customer("cus_a")
    await api.use("95")
    url = "http://127.0.0.1:9999/hook"
    endpoint = await api.made("/v1/webhook_endpoints", {"url": url, "enabled_events": ["*"]})
    sick = EndpointHealth(endpoint=endpoint["id"], failures=7, failing_since_ms=api.clock.now_ms())
    await api.services.committer.execute(lambda changes: changes.objects.put(sick))

    shown = await viewer.get("/dashboard/test")
    live = await viewer.get("/dashboard")

    assert "Failing webhooks 1" in shown.words
    assert url in shown.words
    assert "cus_a 95 % 95 100" in shown.words
    assert "Failing webhooks 0" in live.words
    assert "cus_a" not in live.words
