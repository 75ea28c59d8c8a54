"""Meters: six calls, unique event names, status, events."""

import pytest

from tests.builders import NOW
from tests.unit.api.running import LIVE_KEY, Api

METERS = "/v1/billing/meters"
FULL = {
    "display_name": "Tokens",
    "event_name": "tokens",
    "default_aggregation": {"formula": "last"},
    "customer_mapping": {"type": "by_id", "event_payload_key": "who"},
    "value_settings": {"event_payload_key": "how_much"},
    "event_time_window": "hour",
}


async def test_a_meter_keeps_what_it_is_made_with(api: Api) -> None:
    made = await api.made(METERS, FULL)

    assert made["id"].startswith("mtr_test_")
    assert made == {
        "id": made["id"],
        "object": "billing.meter",
        "created": NOW,
        "updated": NOW,
        "livemode": False,
        "status": "active",
        "status_transitions": {"deactivated_at": None},
        **FULL,
    }
    assert await api.got(f"{METERS}/{made['id']}") == made


async def test_mapping_and_value_have_defaults(api: Api) -> None:
    made = await api.got(f"{METERS}/{await api.meter()}")

    assert made["customer_mapping"]["event_payload_key"] == "stripe_customer_id"
    assert made["value_settings"]["event_payload_key"] == "value"
    assert made["event_time_window"] is None


async def test_an_event_name_belongs_to_one_meter_in_each_mode(api: Api) -> None:
    meter = await api.meter("tokens")
    await api.made(f"{METERS}/{meter}/deactivate")

    reply = await api.post(METERS, FULL)

    assert (reply.status, reply.error["param"]) == (400, "event_name")
    assert meter in reply.error["message"]
    live = await api.made(METERS, FULL, key=LIVE_KEY)
    assert live["id"].startswith("mtr_")
    assert not live["id"].startswith("mtr_test_")


async def test_only_the_display_name_changes(api: Api) -> None:
    meter = await api.meter()
    api.clock.advance(seconds=5)

    updated = await api.made(f"{METERS}/{meter}", {"display_name": "New"})

    assert (updated["display_name"], updated["updated"]) == ("New", NOW + 5)
    for name in ("event_name", "default_aggregation", "event_time_window"):
        reply = await api.post(f"{METERS}/{meter}", {name: FULL[name]})
        assert reply.error["code"] == "parameter_unknown"


async def test_a_meter_is_deactivated_and_reactivated(api: Api) -> None:
    meter = await api.meter()
    await api.customer()

    off = await api.made(f"{METERS}/{meter}/deactivate")
    assert (off["status"], off["status_transitions"]["deactivated_at"]) == ("inactive", NOW)
    refused = await api.use()
    assert refused.error["message"] == 'No active meter found for event name "requests".'

    on = await api.made(f"{METERS}/{meter}/reactivate")
    assert (on["status"], on["status_transitions"]["deactivated_at"]) == ("active", None)
    assert (await api.use()).status == 200


async def test_changes_are_told_and_repeats_are_not(api: Api) -> None:
    meter = await api.meter()
    for path in ("", "", "/deactivate", "/deactivate", "/reactivate", "/reactivate"):
        params = {"display_name": "New"} if not path else {}
        await api.made(f"{METERS}/{meter}{path}", params)

    events = await api.events()
    assert [event["type"] for event in events] == [
        "billing.meter.created",
        "billing.meter.updated",
        "billing.meter.deactivated",
        "billing.meter.reactivated",
    ]
    assert {event["data"]["object"]["id"] for event in events} == {meter}


async def test_meters_are_listed_by_status(api: Api) -> None:
    first, second = await api.meter("a"), await api.meter("b")
    await api.made(f"{METERS}/{first}/deactivate")

    async def ids(query: str) -> list[str]:
        return [meter["id"] for meter in (await api.got(METERS + query))["data"]]

    assert await ids("") == [second, first]
    assert await ids("?status=active") == [second]
    assert await ids("?status=inactive") == [first]


@pytest.mark.parametrize("path", ["", "/deactivate", "/reactivate"])
async def test_a_meter_of_the_other_mode_is_not_found_but_explained(api: Api, path: str) -> None:
    meter = await api.meter(key=LIVE_KEY)

    reply = await api.post(f"{METERS}/{meter}{path}")

    assert (reply.status, reply.error["code"]) == (404, "resource_missing")
    assert reply.error["param"] == "id"
    assert "a similar object exists in live mode" in reply.error["message"]


async def test_a_meter_that_is_not_there(api: Api) -> None:
    reply = await api.get(f"{METERS}/mtr_nope")

    assert reply.status == 404
    assert reply.error["message"] == "No such billing meter: 'mtr_nope'"
