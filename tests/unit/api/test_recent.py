"""The latest meter events by a key, over a real store."""

import pytest

from meterbell.engine.model import Meter
from meterbell.engine.value import SCALE
from meterbell.errors import InvalidParamError
from meterbell.ids import MeterId
from meterbell.insight.recent import ByKey, RecentReader
from tests.builders import NOW
from tests.unit.api.running import Api
from tests.unit.insight.fakes import TickingClock


def told(found: ByKey) -> list[tuple[str | None, int, int | None]]:
    return [(share.text, share.events, share.value) for share in found.shares]


async def use(api: Api, value: str, *, name: str = "requests", **rest: str) -> None:
    payload = {"stripe_customer_id": "cus_a", "value": value, **rest}
    params = {"event_name": name, "payload": payload, "identifier": f"id_{name}_{value}"}
    reply = await api.post("/v1/billing/meter_events", params)
    assert reply.status == 200, reply.raw


def meter_of(api: Api, meter: str) -> Meter:
    return api.services.state.meters[MeterId(meter)]


async def used(api: Api, *, formula: str = "sum") -> Meter:
    await api.customer()
    meter = await api.meter(formula=formula)
    await api.meter("other")
    await use(api, "1", region="eu")
    api.clock.advance(seconds=60)
    await use(api, "2.5", region="us")
    await use(api, "4", region="eu")
    await use(api, "8")
    await use(api, "16", region="us", name="other")
    await use(api, "32", region="us")
    cancel = {
        "event_name": "requests",
        "type": "cancel",
        "cancel": {"identifier": "id_requests_32"},
    }
    await api.made("/v1/billing/meter_event_adjustments", cancel)
    return meter_of(api, meter)


async def test_c6_usage_is_told_by_a_key_without_what_was_cancelled(api: Api) -> None:
    meter = await used(api)

    found = await api.services.insight.recent.by_key(meter, "region", wait_ms=100)

    assert told(found) == [(None, 1, 8 * SCALE), ("eu", 2, 5 * SCALE), ("us", 1, 5 * SCALE // 2)]
    assert (found.events, found.since, found.covers_all, found.others) == (4, NOW, True, 0)


async def test_it_says_how_many_of_the_last_events_it_covers(api: Api) -> None:
    meter = await used(api)

    found = await api.services.insight.recent.by_key(meter, "region", events_max=2, wait_ms=100)
    all_of_them = await api.services.insight.recent.by_key(
        meter, "region", events_max=4, wait_ms=100
    )

    assert told(found) == [(None, 1, 8 * SCALE), ("eu", 1, 4 * SCALE)]
    assert (found.events, found.since, found.covers_all) == (2, NOW + 60, False)
    assert all_of_them.covers_all


async def test_values_of_last_are_not_added_up(api: Api) -> None:
    meter = await used(api, formula="last")

    found = await api.services.insight.recent.by_key(meter, "region", wait_ms=100)

    assert told(found) == [("eu", 2, None), (None, 1, None), ("us", 1, None)]


async def test_few_texts_are_told_and_the_others_counted(api: Api) -> None:
    await api.customer()
    meter = meter_of(api, await api.meter())
    for number in range(23):
        await use(api, str(number), path=f"/{number}")

    found = await api.services.insight.recent.by_key(meter, "path", wait_ms=100)

    assert (len(found.shares), found.others) == (20, 3)
    assert found.shares[0].text == "/22"


async def test_without_time_it_covers_what_was_read(api: Api) -> None:
    meter = await used(api)
    services = api.services
    hurried = RecentReader(services.store, services.state, TickingClock(NOW * 1000, tick_ms=1))
    for _ in range(20):
        await api.alert(meter.id)

    found = await hurried.by_key(meter, "region", wait_ms=0)

    assert not found.covers_all
    assert found.events <= 4


async def test_without_usage_there_is_nothing_to_tell(api: Api) -> None:
    meter = meter_of(api, await api.meter())

    found = await api.services.insight.recent.by_key(meter, "region", wait_ms=100)

    assert (found.shares, found.events, found.since, found.covers_all) == ([], 0, None, True)


@pytest.mark.parametrize("key", ["stripe_customer_id", "value"])
async def test_customers_and_values_are_no_dimensions(api: Api, key: str) -> None:
    meter = meter_of(api, await api.meter())

    with pytest.raises(InvalidParamError, match=key):
        await api.services.insight.recent.by_key(meter, key, wait_ms=100)
