"""Billing alerts and the page of one: what they say and do."""

import msgspec
import pytest

from meterbell.dashboard.states import state_of_deliveries
from meterbell.dashboard.usage_line import usage_line
from meterbell.engine.value import SCALE
from meterbell.ids import AlertId, CustomerId
from meterbell.records import Delivery
from tests.support.dashboard import World
from tests.unit.api.running import Api
from tests.unit.dashboard.visiting import Visitor


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
        ([], "Nobody to tell"),
        ([delivery("succeeded"), delivery("succeeded")], "Delivered"),
        ([delivery("succeeded"), delivery("pending")], "Pending"),
        ([delivery("pending"), delivery("pending", attempts=2)], "Retrying"),
        ([delivery("pending", attempts=2), delivery("failed")], "Failed"),
        ([delivery("canceled")], "Canceled"),
    ],
    ids=["none", "all", "some", "retrying", "failed", "canceled"],
)
def test_of_several_deliveries_the_worst_is_told(deliveries: list[Delivery], word: str) -> None:
    assert state_of_deliveries(deliveries).word == word
