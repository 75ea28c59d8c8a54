"""Reporting usage over v2: single events, the stream, adjustments."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from meterbell.api.idempotency import Recent
from meterbell.api.routes import Api as HttpApi
from meterbell.api.v2.bodies import decode_body
from meterbell.api.v2.stream import ROUTES, StreamBody, body_bytes_max
from meterbell.errors import InvalidParamError
from meterbell.ledger.reports import WINDOW_SECONDS
from meterbell.settings import Settings
from meterbell.wire.form import BODY_BYTES_MAX
from meterbell.wire.instants import format_instant
from tests.builders import NOW
from tests.unit.api.running import TEST_KEY, Api, running_api, usage
from tests.unit.api.v2.streaming import KEY, errors, report, stream, token, total, use


async def test_the_answer_has_times_as_text(metered: Api) -> None:
    later = format_instant(NOW * 1000 + 3_600_000).replace(".000Z", ".987654321+01:00")
    reply = await metered.json(
        "/v2/billing/meter_events",
        {**usage("2"), "identifier": "one", "timestamp": later},
    )

    assert reply.body == {
        "object": "v2.billing.meter_event",
        "created": format_instant(NOW * 1000),
        "event_name": "requests",
        "identifier": "one",
        "livemode": False,
        "payload": {"stripe_customer_id": "cus_a", "value": "2"},
        "timestamp": format_instant(NOW * 1000),
    }


@pytest.mark.parametrize("identifier", [None, "mine"])
async def test_null_is_as_good_as_absent(metered: Api, identifier: str | None) -> None:
    body = {**usage(), "identifier": identifier, "timestamp": None}

    reply = await metered.json("/v2/billing/meter_events", body)

    assert reply.status == 200
    assert reply.body["identifier"] == identifier or identifier is None


async def test_a_success_is_answered_again_and_a_failure_is_tried_again(api: Api) -> None:
    await api.meter()
    refused = await use(api, headers=KEY)
    await api.customer()

    first = await use(api, headers=KEY)
    again = await use(api, headers=KEY)

    assert refused.error["code"] == "meter_event_customer_not_found"
    assert (first.status, again.raw) == (200, first.raw)
    assert again.headers["idempotent-replayed"] == "true"
    assert await total(api) == 1


async def test_a_key_with_other_usage_is_refused(metered: Api) -> None:
    await use(metered, headers=KEY)

    reply = await use(metered, "2", headers=KEY)

    assert (reply.status, reply.error["type"]) == (400, "idempotency_error")
    assert reply.error["code"] == "idempotency_error"


async def test_a_cancellation_is_done_once_for_its_key(metered: Api) -> None:
    await metered.json("/v2/billing/meter_events", {**usage(), "identifier": "wrong"})
    body = {"event_name": "requests", "type": "cancel", "cancel": {"identifier": "wrong"}}
    path = "/v2/billing/meter_event_adjustments"

    first = await metered.json(path, body, headers=KEY)
    again = await metered.json(path, body, headers=KEY)
    other = await metered.json(path, body)

    assert first.body["status"] == "complete"
    assert again.raw == first.raw
    assert again.headers["original-request"] == first.headers["request-id"]
    assert other.error["code"] == "invalid_cancel_configuration"


async def test_only_the_right_events_of_a_batch_count(metered: Api) -> None:
    await metered.json("/v2/billing/meter_events", {**usage(), "identifier": "known"})
    wrong: list[Any] = [
        {**usage(), "identifier": "known"},
        usage(customer="cus_x"),
        usage("many"),
        usage("1" * 16),
        {"event_name": "requests", "payload": {"value": "1"}},
        {"event_name": "requests", "payload": {"stripe_customer_id": "cus_a"}},
        {**usage(), "timestamp": "2001-01-01T00:00:00Z"},
        {**usage(), "timestamp": "2101-01-01T00:00:00Z"},
        usage(name="nowhere"),
    ]

    reply = await stream(metered, await token(metered), [usage("5"), *wrong, usage("7")])

    assert (reply.status, reply.raw) == (200, b"{}")
    assert await total(metered) == 13
    told, lost = sorted(await report(metered), key=lambda event: event["type"])
    kinds = {kind["code"]: kind["error_count"] for kind in told["data"]["reason"]["error_types"]}
    assert kinds == {
        "duplicate_meter_event": 1,
        "meter_event_customer_not_found": 1,
        "meter_event_invalid_value": 1,
        "meter_event_no_customer_defined": 1,
        "meter_event_value_not_found": 1,
        "meter_event_value_too_many_digits": 1,
        "timestamp_in_future": 1,
        "timestamp_too_far_in_past": 1,
    }
    assert told["data"]["developer_message_summary"] == "There are 8 invalid events"
    assert told["related_object"]["url"].startswith("/v1/billing/meters/mtr_test_")
    assert lost["type"] == "v1.billing.meter.no_meter_found"
    assert lost["related_object"] is None
    assert lost["data"]["developer_message_summary"] == "There is 1 invalid event"
    assert errors(metered) == []


async def test_a_window_has_one_event_and_the_first_ten_errors(metered: Api) -> None:
    bearer = await token(metered)
    for batch in range(3):
        wrong = [{**usage("x"), "identifier": f"{batch}-{number}"} for number in range(4)]
        await stream(metered, bearer, wrong)
        metered.clock.advance(seconds=1)

    (event,) = await report(metered)

    (kind,) = event["data"]["reason"]["error_types"]
    assert kind["error_count"] == event["data"]["reason"]["error_count"] == 12
    named = [sample["request"]["identifier"] for sample in kind["sample_errors"]]
    assert named == [f"{n // 4}-{n % 4}" for n in range(10)]
    start = NOW - NOW % WINDOW_SECONDS
    assert event["data"]["validation_start"] == format_instant(start * 1000)
    assert event["data"]["validation_end"] == format_instant((start + WINDOW_SECONDS) * 1000)
    assert await report(metered) == [event]


async def test_each_window_has_its_own_event(metered: Api) -> None:
    bearer = await token(metered)
    for _ in range(2):
        await stream(metered, bearer, [usage("x")])
        metered.clock.advance(seconds=WINDOW_SECONDS)

    assert len(await report(metered)) == 2


async def test_c2_events_without_identifier_count_once_for_a_key_and_a_body(metered: Api) -> None:
    bearer = await token(metered)
    events = [usage("2"), usage("2")]
    assert (await stream(metered, bearer, events, headers=KEY)).status == 200

    # As after a start, no request is remembered: identifiers do it alone.
    fresh = Api(HttpApi(metered.services), metered.services, metered.clock)
    again = await stream(fresh, bearer, events, headers=KEY)
    assert (again.status, "idempotent-replayed" in again.headers) == (200, False)
    assert await total(metered) == 4
    # Another body under the same key is another request, so nothing of it is lost.
    await stream(fresh, bearer, [*events, usage("1")], headers=KEY)

    assert await total(metered) == 9
    assert errors(metered) == []


async def test_a_stream_request_that_is_sent_again_reports_no_duplicates(metered: Api) -> None:
    bearer = await token(metered)
    events = [{**usage(), "identifier": "mine"}]
    await stream(metered, bearer, events, headers=KEY)

    again = await stream(metered, bearer, events, headers=KEY)
    assert (again.raw, again.headers["idempotent-replayed"]) == (b"{}", "true")
    assert errors(metered) == []
    await stream(metered, bearer, events, headers={"Idempotency-Key": "key-2"})

    (window,) = errors(metered)
    assert (window.reason, window.errors) == ("duplicate_meter_event", 1)
    assert await total(metered) == 1


async def test_a_stream_request_that_fails_can_be_sent_again(metered: Api) -> None:
    bearer = await token(metered)
    refused = await stream(metered, bearer, [{**usage(), "timestamp": "noon"}], headers=KEY)

    assert refused.status == 400
    assert (await stream(metered, bearer, [usage()], headers=KEY)).status == 200
    assert await total(metered) == 1


async def test_c2_the_same_stream_request_twice_at_once_counts_once(metered: Api) -> None:
    bearer = await token(metered)

    replies = await asyncio.gather(
        *(stream(metered, bearer, [usage()], headers=KEY) for _ in range(2))
    )

    assert sorted(reply.status for reply in replies) == [200, 409]
    assert await total(metered) == 1


def test_what_was_done_lately_is_known() -> None:
    recent = Recent(2)
    for number in range(3):
        recent.add(number)

    assert [number in recent for number in range(3)] == [False, True, True]


async def test_an_empty_batch_is_fine(metered: Api) -> None:
    assert (await stream(metered, await token(metered), [])).raw == b"{}"


@pytest.fixture
async def small(tmp_path: Path, migrated: Path) -> AsyncIterator[Api]:
    settings = Settings(test_key=TEST_KEY, stream_events_max=2)
    async with running_api(tmp_path, migrated, settings=settings) as running:
        yield running


async def test_the_limit_of_events_is_a_setting(small: Api) -> None:
    bearer = await token(small)

    assert (await stream(small, bearer, [usage()] * 2)).status == 200
    reply = await stream(small, bearer, [usage()] * 3)

    assert (reply.status, reply.error["param"]) == (400, "events")


def test_the_bound_of_a_body_grows_with_the_events() -> None:
    assert body_bytes_max(Settings()) == BODY_BYTES_MAX
    assert body_bytes_max(Settings(stream_events_max=10_000)) == 40_960_000


@pytest.mark.parametrize(
    "body",
    [
        b'{"events": [{"event_name": "a", "payload": {"a": "1", "a": "2"}}]}',
        b'{"events": [{"event_name": "a", "event_name" : "b", "payload": {}}]}',
        b'{"events": [{"event_name": "a", "event_name"\\n: "b", "payload": {"x": "y\\\\":"}}]}',
        b'{"events": [{"event_name": "a", "payload": {"\\u0061": "1", "a": "2"}}]}',
        b'{"events": [], "events": []}',
        b'{"events": [{"event_name": "a", "payload": {}, "identifier": null, "identifier": "x"}]}',
    ],
)
def test_a_key_that_stands_twice_is_always_seen(body: bytes) -> None:
    with pytest.raises(InvalidParamError):
        decode_body(body, StreamBody, key_count=ROUTES[0].key_count)


@pytest.mark.parametrize(
    "body",
    [
        b'{"events": [{"event_name": "\\":", "payload": {"\\\\": ":", "a": "1"}}]}',
        b'{"events" : [{"event_name" : "a", "payload" : {"a" : "1"}, "identifier": null}]}',
        b'{"events": [{"event_name": "a", "payload": {"a": "\\\\u0000"}}]}',
    ],
)
def test_odd_bodies_are_read(body: bytes) -> None:
    assert len(decode_body(body, StreamBody, key_count=ROUTES[0].key_count).events) == 1


@pytest.mark.parametrize("fraction", ["999999", "9999995", "999999999"])
@pytest.mark.parametrize("identifier", ["own", None])
async def test_c7_a_time_just_before_a_full_hour_stays_in_its_hour(
    metered: Api, fraction: str, identifier: str | None
) -> None:
    before = NOW - NOW % 3600 - 3600
    at = f"{datetime.fromtimestamp(before - 1, UTC):%Y-%m-%dT%H:%M:%S}.{fraction}Z"
    event = usage() | {"timestamp": at} | ({"identifier": identifier} if identifier else {})
    assert (await stream(metered, await token(metered), [event])).status == 200
    meter = (await metered.got("/v1/billing/meters"))["data"][0]["id"]
    span = {"customer": "cus_a", "start_time": before - 3600, "end_time": before}
    rows = await metered.got(f"/v1/billing/meters/{meter}/event_summaries", span)
    assert rows["data"][0]["aggregated_value"] == 1
