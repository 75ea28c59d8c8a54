"""Events, the lists they stand in, and the long poll of `meterbell listen`."""

from typing import Any

import pytest

from meterbell.ledger.transaction import Transaction
from meterbell.records import Delivery
from meterbell.store.tables import delivery
from tests.unit.api.running import LIVE_KEY, Api

EVENTS = "/v1/events"


async def types(api: Api, query: str = "") -> list[str]:
    return [event["type"] for event in (await api.got(EVENTS + query))["data"]]


async def set_deliveries(api: Api, status: str) -> None:
    def command(transaction: Transaction) -> None:
        transaction.objects.update(Delivery, delivery.c.number > 0, status=status)

    await api.services.committer.execute(command)


@pytest.fixture
async def story(api: Api) -> str:
    """Make a meter, a customer, and change both; return the meter."""
    meter = await api.meter()
    await api.customer()
    api.clock.advance(seconds=10)
    await api.made("/v1/customers/cus_a", {"name": "Ada"})
    await api.made(f"/v1/billing/meters/{meter}/deactivate")
    return meter


@pytest.mark.usefixtures("story")
async def test_events_are_listed_newest_first_and_read_by_id(api: Api) -> None:
    listed = (await api.got(EVENTS))["data"]

    assert [event["type"] for event in listed] == [
        "billing.meter.deactivated",
        "customer.updated",
        "customer.created",
        "billing.meter.created",
    ]
    for event in listed:
        assert event["id"].startswith("evt_")
        assert event["object"] == "event"
        assert await api.got(f"{EVENTS}/{event['id']}") == event


@pytest.mark.usefixtures("story")
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?type=customer.created", ["customer.created"]),
        ("?type=customer.*", ["customer.updated", "customer.created"]),
        ("?type=billing.*&limit=1", ["billing.meter.deactivated"]),
        ("?type=*&limit=1", ["billing.meter.deactivated"]),
        ("?type=customer", []),
        ("?type=custom_r.*", []),
        ("?type=%25", []),
        ("?types[]=customer.created&types[]=billing.meter.created",
         ["customer.created", "billing.meter.created"]),
        ("?types[0]=nope", []),
    ],
)  # fmt: skip
async def test_events_are_found_by_type(api: Api, query: str, found: list[str]) -> None:
    assert await types(api, query) == found


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("?type=*.created", "type"),
        ("?type=a*b*", "type"),
        ("?type=**", "type"),
        ("?type=a&types[]=b", "types"),
        ("?" + "&".join(f"types[{n}]=a" for n in range(21)), "types"),
        ("?delivery_success=1", "delivery_success"),
    ],
)
async def test_searches_that_make_no_sense(api: Api, query: str, param: str) -> None:
    reply = await api.get(EVENTS + query)

    assert (reply.status, reply.error["param"]) == (400, param)


async def test_events_are_found_by_time(api: Api, story: str) -> None:
    assert story
    newest = (await api.got(EVENTS))["data"][0]["created"]

    assert len(await types(api, f"?created={newest}")) == 2
    assert len(await types(api, f"?created[lt]={newest}")) == 2
    assert len(await types(api, f"?created[gte]={newest - 10}")) == 4


async def test_pending_webhooks_are_those_that_have_not_taken_it(api: Api) -> None:
    await api.made(
        "/v1/webhook_endpoints", {"url": "http://127.0.0.1:9009/", "enabled_events": ["*"]}
    )
    await api.customer()

    for status, pending in (("pending", 1), ("failed", 1), ("succeeded", 0), ("canceled", 0)):
        await set_deliveries(api, status)
        assert (await api.got(EVENTS))["data"][0]["pending_webhooks"] == pending
        assert len(await types(api, "?delivery_success=true")) == 1 - pending
        assert len(await types(api, "?delivery_success=false")) == pending


@pytest.mark.usefixtures("story")
async def test_lists_go_both_ways(api: Api) -> None:
    ids = [event["id"] for event in (await api.got(EVENTS))["data"]]

    async def page(**params: Any) -> tuple[list[int], bool]:  # noqa: ANN401
        body = await api.got(EVENTS, params)
        assert (body["object"], body["url"]) == ("list", EVENTS)
        return [ids.index(event["id"]) for event in body["data"]], body["has_more"]

    assert await page(limit=3) == ([0, 1, 2], True)
    assert await page(limit=4) == ([0, 1, 2, 3], False)
    assert await page(limit=2, starting_after=ids[0]) == ([1, 2], True)
    assert await page(limit=2, starting_after=ids[1]) == ([2, 3], False)
    assert await page(starting_after=ids[3]) == ([], False)
    assert await page(limit=2, ending_before=ids[3]) == ([1, 2], True)
    assert await page(limit=2, ending_before=ids[2]) == ([0, 1], False)
    assert await page(ending_before=ids[0]) == ([], False)


async def test_a_page_has_ten_items_unless_asked_otherwise(api: Api) -> None:
    for number in range(12):
        await api.customer(f"cus_{number}")

    body = await api.got("/v1/customers")
    assert (len(body["data"]), body["has_more"]) == (10, True)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/customers",
        "/v1/billing/meters",
        "/v1/billing/alerts",
        "/v1/webhook_endpoints",
        "/v1/events",
    ],
)
async def test_cursors_that_lead_nowhere(api: Api, path: str) -> None:
    await api.customer("cus_live", key=LIVE_KEY)
    both = await api.get(f"{path}?starting_after=a&ending_before=b")
    assert (both.status, both.error["param"]) == (400, "ending_before")
    assert "only specify one" in both.error["message"]

    for param in ("starting_after", "ending_before"):
        for cursor in ("nope_1", "cus_live"):
            reply = await api.get(f"{path}?{param}={cursor}")
            assert (reply.status, reply.error["param"]) == (400, param)
            assert reply.error["code"] == "resource_missing"
            assert f"'{cursor}'" in reply.error["message"]


async def test_an_event_that_is_not_there(api: Api) -> None:
    reply = await api.get(f"{EVENTS}/evt_nope")

    assert (reply.status, reply.error["message"]) == (404, "No such event: 'evt_nope'")
