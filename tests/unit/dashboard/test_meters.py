"""Pages about meters: usage over time, who used most, payload keys, files, and what forms do."""

import msgspec
import pytest

from meterbell.records import AuditEntry
from tests.unit.api.running import Api
from tests.unit.dashboard.visiting import Visitor

NEW = "/dashboard/test/meters/new"
HOUR = 3600


async def used(api: Api) -> str:
    """Make a meter with usage of two customers over two days, and return it."""
    meter = await api.meter()
    for customer in ("cus_a", "cus_b"):
        await api.customer(customer)
    now = api.clock.now_ms() // 1000
    for customer, value, at in (
        ("cus_a", "100", now - 30 * HOUR),
        ("cus_b", "20", now - 30 * HOUR + 1),
        ("cus_a", "7.5", now - 2 * HOUR),
    ):
        await api.use(value, customer=customer, timestamp=at)
    return meter


def form(**changes: str) -> dict[str, str]:
    """Return what a browser sends for a new meter."""
    usual = {"display_name": "Requests", "event_name": "requests", "formula": "sum"}
    keys = {"customer_key": "stripe_customer_id", "value_key": "value", "window": "any"}
    return usual | keys | changes


async def test_a_new_meter_is_made_by_the_apis_rules_with_a_line_in_the_audit_log(
    api: Api, editor: Visitor
) -> None:
    shown = await editor.post(NEW, form(formula="last", window="day", customer_key="user"))

    (meter,) = api.services.state.meters.values()
    assert (meter.display_name, meter.formula, meter.event_time_window) == (
        "Requests",
        "last",
        "day",
    )
    assert (meter.customer_key, meter.value_key, meter.livemode) == ("user", "value", False)
    assert shown.headers["location"] == f"/dashboard/test/meters/{meter.id}?notice=meter_created"
    (entry,) = api.services.store.reader.find(AuditEntry)
    assert (entry.action, entry.object) == ("meter.create", meter.id)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"display_name": " "}, "Give the meter a name."),
        ({"display_name": "x" * 251}, "at most 250 characters"),
        ({"event_name": ""}, "Say which event name belongs to the meter."),
        ({"event_name": "taken"}, "exists already"),
        ({"formula": "most"}, "Invalid default_aggregation[formula]"),
        ({"customer_key": ""}, "Say under which key the customer stands."),
        ({"value_key": ""}, "Say under which key the value stands."),
        ({"window": "year"}, "Invalid event_time_window"),
    ],
)
async def test_what_is_wrong_with_a_new_meter_is_told_and_nothing_is_lost(
    api: Api, editor: Visitor, changes: dict[str, str], problem: str
) -> None:
    await api.meter("taken")

    shown = await editor.post(NEW, form(**changes))

    assert shown.status == 400
    assert problem in shown.words
    assert 'aria-invalid="true"' in shown.text
    assert len(api.services.state.meters) == 1
    assert api.services.store.reader.count(AuditEntry) == 0


async def test_the_list_tells_usage_of_today_and_alerts(api: Api, viewer: Visitor) -> None:
    api.clock.advance(seconds=5 * HOUR)
    meter = await used(api)
    await api.meter("seats", formula="last")
    await api.alert(meter, 10)

    shown = await viewer.get("/dashboard/test/meters")

    assert "requests requests Active Sum of values 7.5" in shown.words
    assert "seats seats Active Newest value Told for each customer" in shown.words
    assert f'href="/dashboard/test/alerts?meter={meter}">1<' in shown.text
    inactive = await viewer.get("/dashboard/test/meters?status=inactive")
    assert "No meter is like that" in inactive.words


async def test_usage_of_all_customers_is_charted_in_the_steps_that_are_asked_for(
    api: Api, viewer: Visitor
) -> None:
    meter = await used(api)

    shown = await viewer.get(f"/dashboard/test/meters/{meter}?range=30d")
    week = await viewer.get(f"/dashboard/test/meters/{meter}/series?range=30d&step=week")
    hours = await viewer.get(f"/dashboard/test/meters/{meter}/series?range=1d&step=week")

    assert "All customers used 127.5 in 30 days." in shown.words
    points = msgspec.json.decode(week.raw)
    assert sum(points["values"]) == 127.5
    assert len(points["values"]) == 5
    assert sum(msgspec.json.decode(hours.raw)["values"]) == 7.5, "there are only hours in a day"


async def test_a_customers_usage_adds_up_to_its_total_with_the_thresholds_it_passes(
    api: Api, viewer: Visitor
) -> None:
    meter = await used(api)
    await api.alert(meter, 50)
    await api.alert(meter, 1000, filters=[{"type": "customer", "customer": "cus_a"}])
    await api.alert(meter, 2000)
    await api.use("60")

    place = f"/dashboard/test/meters/{meter}/series?customer=cus_a"
    shown = await viewer.get(f"/dashboard/test/meters/{meter}?customer=cus_a")
    total = msgspec.json.decode((await viewer.get(place)).raw)
    steps = msgspec.json.decode((await viewer.get(f"{place}&show=steps")).raw)

    assert "cus_a used 167.5 in 7 days, in 3 hours; 167.5 in all." in shown.words
    assert total["values"][-1] == 167.5
    # What was used before the alerts does not count for them.
    assert [line["value"] for line in total["lines"]] == [157.5, 1107.5]
    assert [value for value in steps["values"] if value] == [100, 7.5, 60]
    assert steps["lines"] == []


async def test_of_a_meter_that_does_not_add_up_one_customer_is_told(
    api: Api, viewer: Visitor
) -> None:
    meter = await api.meter(formula="last")
    await api.customer()
    for value in ("5", "3"):
        await api.use(value)

    shown = await viewer.get(f"/dashboard/test/meters/{meter}")
    one = await viewer.get(f"/dashboard/test/meters/{meter}?customer=cus_a")
    series = await viewer.get(f"/dashboard/test/meters/{meter}/series?customer=cus_a&range=1d")

    assert "does not add up: it takes the newest value" in shown.words
    assert "Who used most" not in shown.words
    assert "cus_a is at 3." in one.words
    assert msgspec.json.decode(series.raw)["values"][-1] == 3
    for part in ("top", "usage.csv", "customers.csv"):
        refused = await viewer.get(f"/dashboard/test/meters/{meter}/{part}")
        assert (refused.status, "does not add up" in refused.words) == (404, True)


async def test_who_used_most_stands_first_page_by_page(api: Api, viewer: Visitor) -> None:
    meter = await api.meter()
    for number in range(12):
        await api.customer(f"cus_{number:02}")
        await api.use(str(100 + number), customer=f"cus_{number:02}")

    first = await viewer.get(f"/dashboard/test/meters/{meter}/top")
    second = await viewer.get(f"/dashboard/test/meters/{meter}/top?page=2")

    assert "Rank Customer Usage 1 cus_11 111 2 cus_10 110" in first.words
    assert "11 cus_01 101 12 cus_00 100" in second.words
    for page in ("x", "0", "99"):
        assert (await viewer.get(f"/dashboard/test/meters/{meter}/top?page={page}")).status == 200


async def test_usage_by_a_key_says_how_much_it_covers(api: Api, viewer: Visitor) -> None:
    meter = await api.meter()
    await api.customer()
    for region, value in (("eu", "5"), ("us", "2"), ("eu", "1")):
        payload = {"stripe_customer_id": "cus_a", "value": value, "region": region}
        await api.use(payload=payload)
    await api.use("9")

    place = f"/dashboard/test/meters/{meter}/by-key"
    shown = await viewer.get(f"{place}?key=region")

    assert "All 4 meter events of this meter" in shown.words
    assert "not in the payload 1 9 eu 2 6 us 1 2" in shown.words
    assert "holds the value" in (await viewer.get(f"{place}?key=value")).words
    assert "Type a key" in (await viewer.get(place)).words


async def test_files_hold_the_chart_and_all_customers(api: Api, viewer: Visitor) -> None:
    meter = await used(api)

    chart = await viewer.get(f"/dashboard/test/meters/{meter}/usage.csv?range=7d&step=day")
    customers = await viewer.get(f"/dashboard/test/meters/{meter}/customers.csv?range=7d")

    assert chart.headers["content-type"].startswith("text/csv")
    assert chart.headers["content-disposition"] == (
        f'attachment; filename="{meter}-usage-by-day.csv"'
    )
    rows = [line.split(",") for line in chart.text.splitlines()]
    assert rows[0] == ["start", "end", "usage"]
    assert sorted({row[2] for row in rows[1:]}) == ["0", "120", "7.5"]
    assert customers.text.splitlines() == ["customer,usage", "cus_a,107.5", "cus_b,20"]


async def test_a_spreadsheet_runs_nothing_that_is_in_a_file(api: Api, viewer: Visitor) -> None:
    meter = await api.meter()
    for customer in ("=1+1", "+1", "-1", "-x", "@a"):
        await api.customer(customer)
        await api.use("-5", customer=customer)

    shown = await viewer.get(f"/dashboard/test/meters/{meter}/customers.csv")

    assert sorted(shown.text.splitlines()[1:]) == [
        "'+1,-5",
        "'-x,-5",
        "'=1+1,-5",
        "'@a,-5",
        "-1,-5",
    ]


async def test_a_meter_is_renamed_deactivated_and_reactivated(api: Api, editor: Visitor) -> None:
    meter = await api.meter()
    place = f"/dashboard/test/meters/{meter}"

    await editor.post(place, {"display_name": " Calls "})
    refused = await editor.post(place, {"display_name": " "})
    await editor.post(f"{place}/deactivate")
    shown = await editor.get(place)
    again = await editor.post(f"{place}/reactivate")

    assert (refused.status, "Give the meter a name." in refused.words) == (400, True)
    assert f'href="{place}?range=30d"' in refused.text
    assert "Calls" in shown.words
    assert "Inactive" in shown.words
    assert again.headers["location"] == f"{place}?notice=meter_reactivated"
    actions = [entry.action for entry in api.services.store.reader.find(AuditEntry)]
    assert actions == ["meter.rename", "meter.deactivate", "meter.reactivate"]
