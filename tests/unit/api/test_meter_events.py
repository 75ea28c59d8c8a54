"""Meter events, adjustments and summaries."""

from typing import Any

import pytest

from tests.builders import DAY, HOUR, NOW
from tests.unit.api.running import Api, Reply, usage

EVENTS = "/v1/billing/meter_events"
ADJUST = "/v1/billing/meter_event_adjustments"


@pytest.fixture
async def meter(api: Api) -> str:
    await api.customer()
    return await api.meter()


async def summaries(api: Api, meter: str, **params: Any) -> Reply:  # noqa: ANN401
    wanted = {"customer": "cus_a", "start_time": NOW - DAY, "end_time": NOW + DAY} | params
    return await api.get(f"/v1/billing/meters/{meter}/event_summaries", wanted)


async def total(api: Api, meter: str) -> object:
    return (await summaries(api, meter)).body["data"][0]["aggregated_value"]


def cancel(identifier: str, name: str = "requests") -> dict[str, Any]:
    return {"event_name": name, "type": "cancel", "cancel": {"identifier": identifier}}


async def test_usage_is_answered_with_what_was_counted(api: Api, meter: str) -> None:
    params = usage("2.5") | {"identifier": "i-1", "timestamp": NOW - 10}
    params["payload"]["region"] = "eu \u00e4"

    made = await api.made(EVENTS, params)

    assert made == {"object": "billing.meter_event", "created": NOW, "livemode": False, **params}
    assert await total(api, meter) == 2.5


@pytest.mark.usefixtures("meter")
async def test_identifier_and_timestamp_have_defaults(api: Api) -> None:
    first, second = (await api.use()).body, (await api.use()).body

    assert first["timestamp"] == first["created"] == NOW
    assert first["identifier"].startswith("idmp_")
    assert first["identifier"] != second["identifier"]


async def test_c2_an_identifier_counts_once(api: Api, meter: str) -> None:
    await api.use("3", identifier="same")
    again = await api.use("3", identifier="same")

    assert again.status == 400
    assert again.error == {
        "type": "invalid_request_error",
        "message": "An event already exists with identifier same.",
        "param": "identifier",
    }
    assert again.headers["stripe-should-retry"] == "false"
    assert await total(api, meter) == 3


REFUSED = [
    # parameters changed, param, words
    ({"event_name": "nope"}, "event_name", 'No active meter found for event name "nope".'),
    ({"payload": {"value": "1"}}, "payload[stripe_customer_id]", "Customer mapping key"),
    ({"payload": {"stripe_customer_id": "", "value": "1"}}, "payload[stripe_customer_id]",
     "Customer mapping key"),
    ({"payload": {"stripe_customer_id": "cus_a"}}, "payload[value]", "Value key value not found"),
    ({"payload": {"stripe_customer_id": "cus_x", "value": "1"}}, "payload[stripe_customer_id]",
     "No such customer: 'cus_x'"),
    ({"payload": {"stripe_customer_id": "cus_a", "value": "1e3"}}, "payload[value]",
     "Invalid decimal"),
    ({"payload": {"stripe_customer_id": "cus_a", "value": "NaN"}}, "payload[value]",
     "Invalid decimal"),
    ({"payload": {"stripe_customer_id": "cus_a", "value": ""}}, "payload[value]",
     "Invalid decimal"),
    ({"payload": {"stripe_customer_id": "cus_a", "value": "1"} | {f"k{n}": "" for n in range(49)}},
     "payload", "at most 50 keys"),
    ({"payload": {"stripe_customer_id": "cus_a", "value": "1", "k" * 101: ""}}, "payload",
     "at most 100 characters"),
    ({"payload": {"stripe_customer_id": "cus_a", "value": "1", "k": "v" * 501}}, "payload[k]",
     "at most 500 characters"),
    ({"timestamp": NOW + 301}, "timestamp", "too far in the future"),
    ({"timestamp": NOW - 35 * DAY - 1}, "timestamp", "too far in the past"),
    ({"timestamp": -1}, "timestamp", "too far in the past"),
    ({"timestamp": "2026-01-01"}, "timestamp", "Invalid integer"),
    ({"identifier": "i" * 101}, "identifier", "at most 100 characters"),
    ({"identifier": "a\tb"}, "identifier", "control character"),
    ({"identifier": ""}, "identifier", "empty string"),
]  # fmt: skip


@pytest.mark.parametrize(("changed", "param", "words"), REFUSED)
async def test_what_may_not_be_counted_is_refused_and_not_counted(
    api: Api, meter: str, changed: dict[str, Any], param: str, words: str
) -> None:
    reply = await api.post(EVENTS, usage() | changed)

    assert (reply.status, reply.error["param"]) == (400, param)
    assert words in reply.error["message"]
    assert await total(api, meter) == 0


async def test_a_cancelled_event_no_longer_counts(api: Api, meter: str) -> None:
    await api.use("3", identifier="a")
    await api.use("4", identifier="b")

    made = await api.made(ADJUST, cancel("a"))

    assert made == {
        "object": "billing.meter_event_adjustment",
        "cancel": {"identifier": "a"},
        "event_name": "requests",
        "livemode": False,
        "status": "complete",
        "type": "cancel",
    }
    assert await total(api, meter) == 4


@pytest.mark.usefixtures("meter")
async def test_what_cannot_be_cancelled(api: Api) -> None:
    await api.meter("other")
    await api.use(identifier="a")
    await api.made(ADJUST, cancel("a"))

    for params, param in (
        (cancel("a"), "cancel[identifier]"),
        (cancel("nope"), "cancel[identifier]"),
        (cancel("a", "other"), "cancel[identifier]"),
        (cancel("a", "nope"), "event_name"),
    ):
        reply = await api.post(ADJUST, params)
        assert (reply.status, reply.error["param"]) == (400, param)


async def test_c3_sums_are_exact_to_the_last_digit(api: Api, meter: str) -> None:
    for value in ("999999999999999.999999999999", "0.000000000001", "1"):
        await api.use(value)

    assert b'"aggregated_value":1000000000000001,' in (await summaries(api, meter)).raw


async def test_a_range_without_usage_is_one_zero_or_no_windows(api: Api, meter: str) -> None:
    whole = (await summaries(api, meter)).body["data"]
    hours = (await summaries(api, meter, value_grouping_window="hour")).body["data"]

    assert [row["aggregated_value"] for row in whole] == [0]
    assert hours == []


async def test_windows_come_newest_first_and_in_pages(api: Api, meter: str) -> None:
    for hour in range(5):
        if hour != 2:
            await api.use(str(hour + 1), timestamp=NOW - hour * HOUR)

    async def page(**params: Any) -> tuple[list[object], bool, list[str]]:  # noqa: ANN401
        body = (await summaries(api, meter, value_grouping_window="hour", **params)).body
        assert body["url"] == f"/v1/billing/meters/{meter}/event_summaries"
        data = body["data"]
        return [r["aggregated_value"] for r in data], body["has_more"], [r["id"] for r in data]

    values, more, ids = await page()
    assert (values, more) == ([1, 2, 4, 5], False)
    assert all(row.startswith("mtrusg_test_") for row in ids)
    assert (await page(limit=2))[:2] == ([1, 2], True)
    assert (await page(limit=2, starting_after=ids[1]))[:2] == ([4, 5], False)
    assert (await page(limit=2, ending_before=ids[3]))[:2] == ([2, 4], True)
    assert (await page(limit=2, ending_before=ids[1]))[:2] == ([1], False)


async def test_windows_say_where_they_begin_and_end(api: Api, meter: str) -> None:
    await api.use("7", timestamp=NOW - 1)

    (hour,) = (await summaries(api, meter, value_grouping_window="hour")).body["data"]
    (day,) = (await summaries(api, meter, value_grouping_window="day")).body["data"]

    assert (hour["start_time"], hour["end_time"]) == (NOW - HOUR, NOW)
    assert (day["start_time"], day["end_time"]) == (NOW - DAY, NOW)
    assert hour["meter"] == day["meter"] == meter


async def test_a_range_includes_its_start_and_not_its_end(api: Api, meter: str) -> None:
    await api.use("1", timestamp=NOW - 60)
    await api.use("2", timestamp=NOW - 1)
    await api.use("4", timestamp=NOW)

    reply = await summaries(api, meter, start_time=NOW - 60, end_time=NOW)

    assert reply.body["data"][0]["aggregated_value"] == 3


@pytest.mark.parametrize(
    ("params", "param", "words"),
    [
        ({"start_time": NOW + 1}, "start_time", "minute"),
        ({"end_time": NOW + 61}, "end_time", "minute"),
        ({"start_time": NOW + 60, "value_grouping_window": "hour"}, "start_time", "hour"),
        ({"start_time": NOW + HOUR, "value_grouping_window": "day"}, "start_time", "day"),
        ({"end_time": NOW - DAY}, "end_time", "after start_time"),
        ({"end_time": NOW - 2 * DAY}, "end_time", "after start_time"),
        ({"end_time": 2**63 - 1}, "end_time", "less than"),
        ({"customer": "cus_x"}, "customer", "No such customer: 'cus_x'"),
        ({"starting_after": "mtrusg_nope"}, "starting_after", "No such"),
        ({"starting_after": "a", "ending_before": "b"}, "ending_before", "only specify one"),
    ],
)
async def test_ranges_that_make_no_sense(
    api: Api, meter: str, params: dict[str, Any], param: str, words: str
) -> None:
    reply = await summaries(api, meter, **params)

    assert (reply.status, reply.error["param"]) == (400, param)
    assert words in reply.error["message"]


async def test_a_deleted_customer_keeps_its_summaries(api: Api, meter: str) -> None:
    await api.use("3")
    await api.send("DELETE", "/v1/customers/cus_a")

    assert await total(api, meter) == 3


async def test_a_range_that_cuts_an_hour_with_dropped_events_is_refused(
    api: Api, meter: str
) -> None:
    """Whole hours stay exact, because their totals stay."""
    await api.use("1", timestamp=NOW - 2 * HOUR + 60)
    await api.use("2", timestamp=NOW - HOUR + 60)
    await api.use("4", timestamp=NOW - HOUR + 120)

    api.services.state.drop_before(api.services.state.sequence)

    inside = {"start_time": NOW - HOUR + 60, "end_time": NOW}
    refused = await summaries(api, meter, **inside)
    assert (refused.status, refused.error["param"]) == (400, "start_time")
    assert "retention_days" in refused.error["message"]
    refused = await summaries(api, meter, start_time=NOW - HOUR, end_time=NOW - 60)
    assert (refused.status, refused.error["param"]) == (400, "end_time")
    whole = await summaries(api, meter, start_time=NOW - HOUR, end_time=NOW)
    assert whole.body["data"][0]["aggregated_value"] == 6
    # An hour without usage has nothing to be told from events.
    empty = await summaries(api, meter, start_time=NOW - 3 * HOUR + 60, end_time=NOW)
    assert empty.body["data"][0]["aggregated_value"] == 7
