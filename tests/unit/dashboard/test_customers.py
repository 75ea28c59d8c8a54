"""Pages about customers: the list, finding one, and what is told of each."""

from meterbell.dashboard.app import Dashboard
from tests.unit.api.running import Api
from tests.unit.dashboard.visiting import Visitor, let_in

HOUR = 3600
DAY = 24 * HOUR


async def person(api: Api, customer: str, name: str, email: str) -> None:
    await api.made("/v1/customers", {"id": customer, "name": name, "email": email})


async def test_customers_are_listed_newest_first_and_found_by_what_they_begin_with(
    api: Api, viewer: Visitor
) -> None:
    await person(api, "cus_1", "Ada Lovelace", "countess@example.com")
    await person(api, "cus_2", "Grace Hopper", "admiral@example.com")
    await api.made("/v1/customers", {"id": "cus_live", "name": "Ada"}, key="sk_live_unit_tests")
    await person(api, "cus_3", "Ada Gone", "gone@example.com")
    await api.send("DELETE", "/v1/customers/cus_3")

    everybody = await viewer.get("/dashboard/test/customers")
    found = {
        query: (await viewer.get(f"/dashboard/test/customers?q={query}")).words
        for query in ("ada", "admiral%40", "cus_1", "lovelace")
    }

    assert everybody.words.index("cus_2 ") < everybody.words.index("cus_1 ")
    assert "cus_live" not in everybody.words
    assert "cus_3" not in everybody.words
    assert "1 customer whose name, email or id begins with “ada”" in found["ada"]
    assert "cus_1 Ada Lovelace countess@example.com" in found["ada"]
    assert "cus_2 Grace Hopper" in found["admiral%40"]
    assert "cus_1 Ada Lovelace" in found["cus_1"]
    assert "Nobody is called lovelace" in found["lovelace"]


async def test_a_customers_page_tells_usage_alerts_and_events(
    api: Api, dashboard: Dashboard
) -> None:
    # The tests' clock begins with a year.
    api.clock.advance(seconds=3 * DAY + 5 * HOUR)
    viewer = await let_in(api.services, Visitor(dashboard), "vera", "viewer")
    await person(api, "cus_a", "Ada", "ada@example.com")
    meter = await api.meter()
    await api.meter("unused")
    triggered, ahead = await api.alert(meter, 10), await api.alert(meter, 1000)
    await api.alert(meter, 5, filters=[{"type": "customer", "customer": await api.customer("b")}])
    now = api.clock.now_ms() // 1000
    for value, at in (("1", now - 6 * DAY), ("2", now - 2 * DAY), ("4", now - HOUR), ("8", now)):
        await api.use(value, timestamp=at, identifier=f"use-{value}")

    shown = await viewer.get("/dashboard/test/customers/cus_a")

    assert "ada@example.com" in shown.words
    assert "requests 8 12 14 15 Shown below" in shown.words
    assert "unused" not in shown.words
    assert "requests 1 % 15 1 000 Active Why not?" in shown.words
    assert "requests 150 % 15 10 Triggered" in shown.words
    assert f"/dashboard/test/alerts/{triggered}?customer=cus_a#why" in shown.text
    assert f"/dashboard/test/alerts/{ahead}?customer=cus_a#why" in shown.text
    assert f"/dashboard/test/meters/{meter}/series?range=7d" in shown.text
    latest = shown.words[shown.words.index("Latest meter events") :]
    assert latest.index("use-8") < latest.index("use-4") < latest.index("use-2")
    assert "cus_b" not in shown.words


async def test_a_cancelled_event_is_not_among_the_latest(api: Api, viewer: Visitor) -> None:
    await api.customer()
    await api.meter()
    for name in ("kept", "gone", "also-kept"):
        await api.use(identifier=name, payload={"stripe_customer_id": "cus_a", "value": "1"})
    await api.made(
        "/v1/billing/meter_event_adjustments",
        {"type": "cancel", "event_name": "requests", "cancel": {"identifier": "gone"}},
    )

    shown = await viewer.get("/dashboard/test/customers/cus_a")

    assert "also-kept" in shown.words
    assert " kept " in shown.words
    assert "gone" not in shown.words


async def test_a_customer_without_usage_is_told_how_to_report_some(
    api: Api, viewer: Visitor
) -> None:
    await api.customer()
    await api.meter()

    shown = await viewer.get("/dashboard/test/customers/cus_a")

    assert "meterbell send --event-name requests --customer cus_a --value 5" in shown.words
    assert "No alert watches this customer yet." in shown.words


async def test_a_deleted_customer_is_shown_with_what_it_used(api: Api, viewer: Visitor) -> None:
    await person(api, "cus_a", "Ada", "ada@example.com")
    await api.meter()
    await api.use("3")
    await api.send("DELETE", "/v1/customers/cus_a")

    shown = await viewer.get("/dashboard/test/customers/cus_a")

    assert "Deleted" in shown.words
    assert "3 3 3 3 Shown below" in shown.words
    assert "Ada" not in shown.words
