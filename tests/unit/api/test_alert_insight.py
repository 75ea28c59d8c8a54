"""Ours, beside Stripe's alerts: explanations and dry runs."""

from typing import Any

import pytest

from meterbell.records import TriggerRecord
from tests.builders import DAY, HOUR, NOW
from tests.unit.api.running import LIVE_KEY, Api
from tests.unit.api.test_stored_hours import store_hours


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
        "/v1/webhook_endpoints", {"url": "http://127.0.0.1:9009/", "enabled_events": ["*"]}
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


async def dry_run(api: Api, meter: str, gte: int, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    params = {"usage_threshold": {"meter": meter, "gte": gte} | more.pop("threshold", {})} | more
    found = await api.made("/v1/billing/alerts/dry_run", params)
    assert found["object"] == "billing.alert_dry_run"
    return dict(found)


async def test_a3_a_dry_run_tells_for_whom_at_which_event_and_when(api: Api) -> None:
    await api.customer()
    await api.customer("cus_b")
    meter = await api.meter()
    await api.use("4.5", identifier="first")
    api.clock.advance(seconds=DAY)
    await api.use("6", identifier="second")
    await api.use("3", customer="cus_b")
    sequence = api.services.state.sequence

    found = await dry_run(api, meter, 10)

    assert found["complete"]
    assert found["usage_threshold"] == {
        "baseline": "creation",
        "filters": None,
        "gte": 10,
        "meter": meter,
        "recurrence": "one_time",
    }
    assert (found["start"], found["end"]) == (NOW - 29 * DAY, NOW + DAY)
    assert (found["triggered_count"], found["customers"]) == (1, 2)
    assert found["triggered"] == [
        {
            "customer": "cus_a",
            "meter_event": {
                "created": NOW + DAY,
                "identifier": "second",
                "sequence": 2,
                "timestamp": NOW + DAY,
                "value_decimal": "10.5",
            },
            "usage": "10.5",
        }
    ]
    assert found["nearest"] == [{"customer": "cus_b", "usage": "3"}]
    assert found["shares"][3] == {"below_percent": 40, "customers": 1}
    assert [step["customers"] for step in found["steps"]].count(1) == 1
    assert api.services.state.sequence == sequence, "nothing was written"
    assert await api.events(type="billing.alert.triggered") == []


async def test_a3_a_dry_run_finds_events_in_stored_hours_and_after_cancellations(api: Api) -> None:
    await api.customer()
    meter = await api.meter()
    for hour in range(12):
        api.clock.advance(seconds=HOUR)
        await api.use("1", identifier=f"at_{hour}")
    await store_hours(api)
    cancel = {"event_name": "requests", "type": "cancel", "cancel": {"identifier": "at_2"}}
    assert (await dry_run(api, meter, 7))["triggered"][0]["meter_event"]["identifier"] == "at_6"

    await api.made("/v1/billing/meter_event_adjustments", cancel)
    await api.use("1", identifier="last")

    found = await dry_run(api, meter, 7, start=NOW + 3 * HOUR)
    assert found["triggered"][0]["meter_event"]["identifier"] == "at_8"
    found = await dry_run(api, meter, 12)
    assert found["triggered"][0]["meter_event"]["identifier"] == "at_11"
    assert (await dry_run(api, meter, 13))["triggered_count"] == 0


async def test_a1_a_dry_run_may_be_of_one_customer(api: Api) -> None:
    await api.customer()
    await api.customer("cus_b")
    meter = await api.meter(formula="last")
    await api.use("12")
    await api.use("13", customer="cus_b")
    threshold = {"filters": [{"type": "customer", "customer": "cus_a"}]}

    found = await dry_run(api, meter, 10, threshold=threshold, limit=1, wait=1)

    assert [item["customer"] for item in found["triggered"]] == ["cus_a"]
    assert found["usage_threshold"]["filters"] == threshold["filters"]


async def test_a_dry_run_takes_the_parameters_of_create(api: Api) -> None:
    meter = await api.meter()
    params = {
        "alert_type": "usage_threshold",
        "title": "T",
        "usage_threshold": {
            "meter": meter,
            "gte": 5,
            "recurrence": "one_time",
            "baseline": "creation",
        },
    }

    assert (await api.made("/v1/billing/alerts/dry_run", params))["triggered_count"] == 0


async def test_a_key_that_only_reads_may_ask_for_a_dry_run(api: Api) -> None:
    meter = await api.meter()
    reads = await api.add_key("rk_test_reads", permission="read")
    reports = await api.add_key("rk_test_reports", permission="ingest")
    params = {"usage_threshold": {"meter": meter, "gte": 5}}

    assert (await api.post("/v1/billing/alerts/dry_run", params, key=reads)).status == 200
    assert (await api.post("/v1/billing/alerts/dry_run", params, key=reports)).status == 403
    assert (await api.post("/v1/billing/alerts", params, key=reads)).status == 403


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({}, "usage_threshold"),
        ({"usage_threshold": {"gte": 5}}, "usage_threshold[meter]"),
        ({"usage_threshold": {"gte": 5, "meter": "mtr_none"}}, "usage_threshold[meter]"),
        ({"usage_threshold": {"gte": 0, "meter": "{meter}"}}, "usage_threshold[gte]"),
        ({"usage_threshold": {"gte": 10**18 + 1, "meter": "{meter}"}}, "usage_threshold[gte]"),
        ({"start": NOW + 1}, "start"),
        ({"start": NOW - 367 * DAY}, "start"),
        ({"limit": 21}, "limit"),
        ({"wait": 31}, "wait"),
        ({"baseline": "lifetime"}, "baseline"),
    ],
)
async def test_a_dry_run_that_can_not_be_made_is_refused(
    api: Api, params: dict[str, Any], param: str
) -> None:
    meter = await api.meter()
    if params and "usage_threshold" not in params:
        params = {"usage_threshold": {"gte": 5, "meter": meter}} | params
    asked = {
        name: {key: meter if item == "{meter}" else item for key, item in value.items()}
        if isinstance(value, dict)
        else value
        for name, value in params.items()
    }

    reply = await api.post("/v1/billing/alerts/dry_run", asked)

    assert (reply.status, reply.error["param"]) == (400, param)


async def test_a_dry_run_of_an_unknown_customer_is_refused(api: Api) -> None:
    filters = [{"type": "customer", "customer": "cus_none"}]
    threshold = {"gte": 5, "meter": await api.meter(), "filters": filters}

    reply = await api.post("/v1/billing/alerts/dry_run", {"usage_threshold": threshold})

    assert (reply.status, reply.error["code"]) == (400, "resource_missing")
    assert reply.error["param"] == "usage_threshold[filters][0][customer]"
