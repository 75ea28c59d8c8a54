"""Ours, beside Stripe's alerts: explanations."""

from typing import Any

import pytest

from meterbell.records import TriggerRecord
from tests.builders import NOW
from tests.unit.api.running import LIVE_KEY, Api


async def explained(api: Api, alert: str, customer: str = "cus_a", **more: Any) -> dict[str, Any]:  # noqa: ANN401
    reply = await api.got(f"/v1/billing/alerts/{alert}/explain", {"customer": customer}, **more)
    assert reply["object"] == "billing.alert_explanation"
    assert (reply["alert"], reply["customer"]) == (alert, customer)
    return dict(reply)


async def test_a2_usage_that_does_not_reach_the_threshold_is_explained(api: Api) -> None:
    await api.customer()
    meter = await api.meter()
    await api.use("5")
    alert = await api.alert(meter, gte=10)
    await api.use("2.5")

    found = await explained(api, alert)

    assert found["outcome"] == "below"
    assert (found["usage"], found["remaining"], found["not_counted"]) == ("2.5", "7.5", "5")
    assert (found["gte"], found["meter"], found["livemode"]) == (10, meter, False)
    assert "2.5 of 10" in found["explanation"]
    assert (found["trigger"], found["since"]) == (None, None)


async def test_a3_a_trigger_is_explained_by_its_meter_event_and_deliveries(api: Api) -> None:
    await api.customer()
    alert = await api.alert(await api.meter(), gte=10)
    hook = await api.made(
        "/v1/webhook_endpoints", {"url": "http://127.0.0.1:9/", "enabled_events": ["*"]}
    )
    await api.use("9.5", identifier="first")
    api.clock.advance(seconds=60)
    await api.use("2", identifier="second", timestamp=NOW - 30)
    api.clock.advance(seconds=60)
    (event,) = await api.events(type="billing.alert.triggered")

    found = await explained(api, alert)

    assert found["outcome"] == "triggered"
    assert "by the meter event second." in found["explanation"]
    assert found["trigger"] == {
        "created": NOW + 60,
        "deliveries": [
            {
                "attempts": 0,
                "endpoint": hook["id"],
                "next_attempt": NOW + 60,
                "status": "pending",
            }
        ],
        "event": event["id"],
        "meter_event": {
            "cancelled": False,
            "created": NOW + 60,
            "identifier": "second",
            "timestamp": NOW - 30,
        },
        "sequence": 3,
        "value_decimal": "11.5",
    }
    cancel = {"event_name": "requests", "type": "cancel", "cancel": {"identifier": "second"}}
    await api.made("/v1/billing/meter_event_adjustments", cancel)
    found = await explained(api, alert)
    assert found["trigger"]["meter_event"]["cancelled"]
    assert (found["usage"], found["remaining"]) == ("9.5", "0.5")


async def test_a2_a_trigger_at_creation_has_no_meter_event(api: Api) -> None:
    await api.customer()
    meter = await api.meter()
    await api.use("12")
    alert = await api.alert(meter, gte=10, baseline="lifetime", evaluate_on_create="true")

    found = await explained(api, alert)

    assert found["trigger"]["meter_event"] is None
    assert "as it was created" in found["explanation"]


async def test_a6_since_when_an_alert_is_off_is_told(api: Api) -> None:
    await api.customer()
    alert = await api.alert(await api.meter(), gte=10)
    api.clock.advance(seconds=90)
    await api.made(f"/v1/billing/alerts/{alert}/deactivate")

    found = await explained(api, alert)

    assert (found["outcome"], found["since"]) == ("inactive", NOW + 90)
    await api.made(f"/v1/billing/alerts/{alert}/archive")
    assert (await explained(api, alert))["outcome"] == "archived"


async def test_since_when_a_meter_is_off_is_told(api: Api) -> None:
    await api.customer()
    meter = await api.meter()
    alert = await api.alert(meter, gte=10)
    await api.made(f"/v1/billing/meters/{meter}/deactivate")

    found = await explained(api, alert)

    assert (found["outcome"], found["since"]) == ("meter_inactive", NOW)
    assert found["usage"] == "0"


async def test_a_customer_need_not_exist(api: Api) -> None:
    alert = await api.alert(await api.meter(), gte=10)

    assert (await explained(api, alert, "cus_none"))["outcome"] == "customer_unknown"
    await api.customer()
    await api.send("DELETE", "/v1/customers/cus_a")
    assert (await explained(api, alert))["outcome"] == "customer_deleted"


async def test_a5_a_trigger_that_is_decided_but_not_on_record_yet_is_waited_for(api: Api) -> None:
    await api.customer()
    alert = await api.alert(await api.meter(), gte=1)
    await api.use("2")
    store = api.services.store
    (record,) = store.reader.find(TriggerRecord)
    with store.transaction():
        store.writer.delete(TriggerRecord)

    assert (await explained(api, alert))["trigger"] is None
    await api.services.committer.execute(lambda changes: changes.objects.insert(record))
    assert (await explained(api, alert))["trigger"]["event"] == record.event


@pytest.mark.parametrize(
    ("path", "params", "status", "param"),
    [
        ("alrt_none", {"customer": "cus_a"}, 404, "id"),
        ("{alert}", {}, 400, "customer"),
        ("{alert}", {"customer": ""}, 400, "customer"),
        ("{alert}", {"customer": "x" * 256}, 400, "customer"),
        ("{alert}", {"customer": "cus_a", "at": 3}, 400, "at"),
    ],
)
async def test_what_can_not_be_explained_is_refused(
    api: Api, path: str, params: dict[str, Any], status: int, param: str
) -> None:
    alert = await api.alert(await api.meter(), gte=10)

    reply = await api.get(f"/v1/billing/alerts/{path.format(alert=alert)}/explain", params)

    assert (reply.status, reply.error["param"]) == (status, param)


async def test_an_alert_of_the_other_mode_is_not_explained(api: Api) -> None:
    alert = await api.alert(await api.meter(), gte=10)

    reply = await api.get(
        f"/v1/billing/alerts/{alert}/explain", {"customer": "cus_a"}, key=LIVE_KEY
    )

    assert reply.status == 404
    assert "test mode" in reply.error["message"]
