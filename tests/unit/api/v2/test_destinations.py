"""Event destinations and thin events, without deliveries."""

import asyncio
from typing import Any

import pytest

from meterbell.records import Delivery
from meterbell.store import tables
from tests.unit.api.running import LIVE_KEY, Api, Reply

ALL = "/v2/core/event_destinations"
KEY = {"Idempotency-Key": "key-1"}


def params(**others: Any) -> dict[str, Any]:  # noqa: ANN401
    return {
        "name": "D",
        "type": "webhook_endpoint",
        "event_payload": "thin",
        "enabled_events": ["*"],
        "webhook_endpoint": {"url": "http://127.0.0.1:9009/"},
        **others,
    }


async def create(api: Api, **others: Any) -> str:  # noqa: ANN401
    reply = await api.json(ALL, params(**others))
    assert reply.status == 200, reply.raw
    return str(reply.body["id"])


async def ping(api: Api, destination: str, **more: Any) -> Reply:  # noqa: ANN401
    return await api.json(f"{ALL}/{destination}/ping", **more)


def deliveries(api: Api, endpoint: str) -> list[Delivery]:
    return api.services.store.reader.find(Delivery, tables.delivery.c.endpoint == endpoint)


async def test_a_destination_is_created_once_for_its_key(api: Api) -> None:
    first = await api.json(ALL, params(), headers=KEY)
    again = await api.json(ALL, params(), headers=KEY)
    other = await api.json(ALL, params(name="E"), headers=KEY)

    assert again.raw == first.raw
    assert len((await api.got(ALL))["data"]) == 1
    assert other.error["type"] == "idempotency_error"


async def test_the_order_of_fields_does_not_matter_to_a_key(api: Api) -> None:
    first = await api.json(ALL, params(), headers=KEY)
    again = await api.json(ALL, dict(reversed(params().items())), headers=KEY)

    assert again.raw == first.raw


async def test_a_failure_is_not_kept_for_its_key(api: Api) -> None:
    for _ in range(16):
        await create(api)
    full = await api.json(ALL, params(), headers=KEY)
    (newest, *_) = (await api.got(ALL))["data"]
    await api.json(f"{ALL}/{newest['id']}", b"", method="DELETE")

    now = await api.json(ALL, params(), headers=KEY)

    assert (full.status, full.error["code"]) == (400, "limit_reached")
    assert now.status == 200


async def test_a_deletion_is_done_once_for_its_key(api: Api) -> None:
    made = await create(api)

    first = await api.json(f"{ALL}/{made}", b"", method="DELETE", headers=KEY)
    again = await api.json(f"{ALL}/{made}", b"", method="DELETE", headers=KEY)
    other = await api.json(f"{ALL}/{made}", b"", method="DELETE")

    assert first.body == {"id": made, "object": "v2.core.event_destination"}
    assert again.raw == first.raw
    assert again.headers["idempotent-replayed"] == "true"
    assert other.status == 404


async def test_two_requests_with_one_key_at_once(api: Api) -> None:
    replies = await asyncio.gather(*(api.json(ALL, params(), headers=KEY) for _ in range(2)))

    assert sorted(reply.status for reply in replies) == [200, 409]
    refused = next(reply for reply in replies if reply.status == 409)
    assert refused.error["code"] == "idempotency_key_in_use"


async def test_endpoints_and_destinations_share_a_limit(api: Api) -> None:
    hook = {"url": "http://127.0.0.1:9009/", "enabled_events": ["*"]}
    for _ in range(8):
        await create(api)
        await api.made("/v1/webhook_endpoints", hook)

    refused = await api.post("/v1/webhook_endpoints", hook)

    assert refused.status == 400
    assert (await api.json(ALL, params())).error["code"] == "limit_reached"
    live = params(webhook_endpoint={"url": "https://example.com/"})
    assert (await api.json(ALL, live, key=LIVE_KEY)).status == 200


async def test_endpoints_and_destinations_are_listed_apart(api: Api) -> None:
    made = await create(api)
    hook = await api.made(
        "/v1/webhook_endpoints", {"url": "http://127.0.0.1:9009/", "enabled_events": ["*"]}
    )

    assert [one["id"] for one in (await api.got(ALL))["data"]] == [made]
    listed = (await api.got("/v1/webhook_endpoints"))["data"]
    assert [one["id"] for one in listed] == [hook["id"]]
    assert (await api.get(f"{ALL}/{hook['id']}")).status == 404
    for method in ("GET", "POST", "DELETE"):
        assert (await api.send(method, f"/v1/webhook_endpoints/{made}")).status == 404


async def test_destinations_of_the_other_mode_are_not_there(api: Api) -> None:
    made = await create(api)

    reply = await api.get(f"{ALL}/{made}", key=LIVE_KEY)

    assert reply.status == 404
    assert "a similar object exists in test mode" in reply.error["message"]


async def test_each_kind_receives_its_own_events(api: Api) -> None:
    thin = await create(api)
    snapshot = await create(api, event_payload="snapshot")

    await api.customer()
    event = (await ping(api, thin)).body

    assert [one.event for one in deliveries(api, thin)] == [event["id"]]
    assert len(deliveries(api, snapshot)) == 1
    assert (await api.events())[0]["pending_webhooks"] == 1


@pytest.mark.parametrize("payload", ["thin", "snapshot"])
async def test_a_ping_goes_to_its_destination_alone(api: Api, payload: str) -> None:
    made = await create(
        api, event_payload=payload, enabled_events=["*"] if payload == "thin" else ["plan.created"]
    )
    other = await create(api)

    event = (await ping(api, made, headers=KEY)).body

    assert [one.event for one in deliveries(api, made)] == [event["id"]]
    assert deliveries(api, other) == []
    assert event["related_object"] == {
        "id": made,
        "type": "v2.core.event_destination",
        "url": f"{ALL}/{made}",
    }
    assert event["reason"]["request"]["idempotency_key"] == "key-1"
    assert (await api.got(f"/v2/core/events/{event['id']}")) == event


async def test_a_disabled_destination_receives_nothing_new(api: Api) -> None:
    made = await create(api, event_payload="snapshot")
    disabled = (await api.json(f"{ALL}/{made}/disable")).body

    await api.customer()

    assert disabled["status_details"] == {"disabled": {"reason": "user"}}
    assert deliveries(api, made) == []
    assert (await ping(api, made)).status == 400
    enabled = (await api.json(f"{ALL}/{made}/enable")).body
    assert (enabled["status"], enabled["status_details"]) == ("enabled", None)


async def test_a_deleted_destination_gives_up_what_waits(api: Api) -> None:
    made = await create(api)
    await ping(api, made)

    await api.json(f"{ALL}/{made}", b"", method="DELETE")

    assert [one.status for one in deliveries(api, made)] == ["canceled"]


async def test_an_update_changes_what_it_names(api: Api) -> None:
    made = await create(api, description="Old", metadata={"a": "1", "b": "2"})
    before = await api.got(f"{ALL}/{made}")
    api.clock.advance(seconds=5)

    after = (
        await api.json(
            f"{ALL}/{made}",
            {
                "description": None,
                "metadata": {"a": None, "c": "3"},
                "enabled_events": ["v1.billing.meter.no_meter_found"],
            },
        )
    ).body

    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"description", "metadata", "enabled_events", "updated"}
    assert after["description"] == ""
    assert after["metadata"] == {"b": "2", "c": "3"}
    assert (await api.json(f"{ALL}/{made}", {"metadata": None})).body["metadata"] == {}


async def test_metadata_has_a_limit_of_keys(api: Api) -> None:
    made = await create(api, metadata={f"a{n}": "1" for n in range(30)})

    reply = await api.json(f"{ALL}/{made}", {"metadata": {f"b{n}": "1" for n in range(21)}})

    assert (reply.status, reply.error["param"]) == (400, "metadata")


async def test_pages_lead_forward_and_back_with_all_filters(api: Api) -> None:
    made = await create(api)
    other = await create(api)
    sent = []
    for _ in range(5):
        sent.append((await ping(api, made)).body["id"])
        await ping(api, other)
        api.clock.advance(seconds=1)
    filters = {
        "object_id": made,
        "types": ["v2.core.event_destination.ping"],
        "created": {"gte": "2001-01-01T00:00:00Z", "lt": "2101-01-01T00:00:00+00:00"},
        "limit": 2,
    }

    pages = [await api.got("/v2/core/events", filters)]
    while pages[-1]["next_page_url"]:
        assert pages[-1]["next_page_url"].startswith("/v2/core/events?")
        pages.append(await api.got(pages[-1]["next_page_url"]))
    back = [pages[-1]]
    while back[-1]["previous_page_url"]:
        back.append(await api.got(back[-1]["previous_page_url"]))

    assert [event["id"] for page in pages for event in page["data"]] == sent[::-1]
    assert [len(page["data"]) for page in pages] == [2, 2, 1]
    assert [page["data"] for page in back] == [page["data"] for page in pages[::-1]]


async def test_events_are_found_by_their_time(api: Api) -> None:
    made = await create(api)
    first = (await ping(api, made)).body
    api.clock.advance(seconds=1)
    second = (await ping(api, made)).body

    async def found(**created: str) -> list[str]:
        events = (await api.got("/v2/core/events", {"created": created}))["data"]
        return [event["id"] for event in events]

    assert await found(gt=first["created"]) == [second["id"]]
    assert await found(lte=first["created"]) == [first["id"]]
    assert await found(gte=first["created"], lt=second["created"]) == [first["id"]]
    assert await found(gt=second["created"]) == []


async def test_thin_events_are_not_among_the_others(api: Api) -> None:
    event = (await ping(api, await create(api))).body

    assert await api.events() == []
    assert (await api.get(f"/v1/events/{event['id']}")).status == 404
    assert (await api.get(f"/v2/core/events/{event['id']}", key=LIVE_KEY)).status == 404
