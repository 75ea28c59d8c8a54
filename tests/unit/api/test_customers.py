"""Customers: five calls, chosen ids, deletion, events."""

import asyncio
from pathlib import Path

import pytest

from meterbell.settings import Settings
from tests.unit.api.running import LIVE_KEY, TEST_KEY, Api, running_api


async def test_a_customer_is_created_and_read_again(api: Api) -> None:
    made = await api.made(
        "/v1/customers",
        {
            "email": "ada@example.com",
            "name": "Ada",
            "metadata": {"plan": "pro"},
            "address": {"city": "Berlin"},
        },
    )

    assert made["id"].startswith("cus_")
    assert (made["object"], made["livemode"]) == ("customer", False)
    assert made["address"]["city"] == "Berlin"
    assert made["address"]["line1"] is None
    assert await api.got(f"/v1/customers/{made['id']}") == made


@pytest.mark.parametrize("chosen", ["cus_1", "a", "tenant:42|eu=x@y+z.0-9", "x" * 255])
async def test_an_id_may_be_chosen(api: Api, chosen: str) -> None:
    assert await api.customer(chosen) == chosen
    assert (await api.got(f"/v1/customers/{chosen}"))["id"] == chosen


@pytest.mark.parametrize("chosen", ["a b", "a/b", "ä", "x" * 256, "", ".", "..", "a\n"])
async def test_an_id_that_a_path_could_not_carry_is_refused(api: Api, chosen: str) -> None:
    reply = await api.post("/v1/customers", {"id": chosen})

    assert reply.status == 400
    assert reply.error["param"] == "id"


async def test_an_id_is_taken_even_after_deletion(api: Api) -> None:
    await api.customer("cus_a")
    first = await api.post("/v1/customers", {"id": "cus_a"})
    await api.send("DELETE", "/v1/customers/cus_a")
    second = await api.post("/v1/customers", {"id": "cus_a"})

    for reply in (first, second):
        assert reply.status == 400
        assert reply.error["code"] == "resource_already_exists"
        assert reply.error["param"] == "id"


async def test_a_deleted_customer_is_shown_as_deleted_and_not_listed(api: Api) -> None:
    await api.customer("cus_a")
    await api.customer("cus_b")

    deleted = {"id": "cus_a", "object": "customer", "deleted": True}
    assert (await api.send("DELETE", "/v1/customers/cus_a")).body == deleted
    assert await api.got("/v1/customers/cus_a") == deleted
    listed = await api.got("/v1/customers")
    assert [customer["id"] for customer in listed["data"]] == ["cus_b"]
    for reply in (
        await api.send("DELETE", "/v1/customers/cus_a"),
        await api.post("/v1/customers/cus_a", {"name": "again"}),
    ):
        assert (reply.status, reply.error["code"]) == (404, "resource_missing")


async def test_usage_of_a_deleted_customer_is_refused(api: Api) -> None:
    await api.meter()
    await api.customer("cus_a")
    assert (await api.use()).status == 200
    await api.send("DELETE", "/v1/customers/cus_a")

    reply = await api.use()

    assert (reply.status, reply.error["code"]) == (400, "resource_missing")
    assert reply.error["param"] == "payload[stripe_customer_id]"


async def test_an_update_tells_what_was_before(api: Api) -> None:
    await api.made("/v1/customers", {"id": "cus_a", "name": "Ada", "email": "a@example.com"})

    updated = await api.made("/v1/customers/cus_a", {"name": "Grace", "email": "", "phone": "1"})

    assert (updated["name"], updated["email"], updated["phone"]) == ("Grace", None, "1")
    event = (await api.events())[-1]
    assert event["type"] == "customer.updated"
    assert event["data"]["object"] == updated
    assert event["data"]["previous_attributes"] == {
        "name": "Ada",
        "email": "a@example.com",
        "phone": None,
    }


async def test_an_update_that_changes_nothing_tells_nobody(api: Api) -> None:
    await api.made("/v1/customers", {"id": "cus_a", "name": "Ada"})
    await api.made("/v1/customers/cus_a", {"name": "Ada"})

    assert [event["type"] for event in await api.events()] == ["customer.created"]


async def test_every_change_is_told_with_its_request(api: Api) -> None:
    reply = await api.post("/v1/customers", {"id": "cus_a"}, headers={"Idempotency-Key": "k1"})
    await api.send("DELETE", "/v1/customers/cus_a")

    created, deleted = await api.events()
    assert (created["type"], deleted["type"]) == ("customer.created", "customer.deleted")
    assert created["request"] == {"id": reply.headers["request-id"], "idempotency_key": "k1"}
    assert deleted["data"]["object"]["id"] == "cus_a"


async def test_metadata_merges_and_empties(api: Api) -> None:
    async def after(params: dict[str, object]) -> object:
        return (await api.made("/v1/customers/cus_a", params))["metadata"]

    await api.made("/v1/customers", {"id": "cus_a", "metadata": {"a": "1", "b": "2"}})

    assert await after({"metadata": {"b": "", "c": "3"}}) == {"a": "1", "c": "3"}
    assert await after({"name": "Ada"}) == {"a": "1", "c": "3"}
    assert await after({"metadata": ""}) == {}


async def test_metadata_is_bounded_after_merging(api: Api) -> None:
    await api.made("/v1/customers", {"id": "cus_a", "metadata": {f"a{n}": "1" for n in range(30)}})
    reply = await api.post("/v1/customers/cus_a", {"metadata": {f"b{n}": "1" for n in range(21)}})

    assert (reply.status, reply.error["param"]) == (400, "metadata")
    assert "50" in reply.error["message"]


async def test_listing_by_email_and_time(api: Api) -> None:
    await api.made("/v1/customers", {"id": "cus_a", "email": "a@example.com"})
    api.clock.advance(seconds=10)
    later = (await api.made("/v1/customers", {"id": "cus_b", "email": "b@example.com"}))["created"]

    async def ids(params: dict[str, object]) -> list[str]:
        return [c["id"] for c in (await api.got("/v1/customers", params))["data"]]

    assert await ids({"email": "a@example.com"}) == ["cus_a"]
    assert await ids({"email": "A@example.com"}) == []
    assert await ids({"created": later}) == ["cus_b"]
    assert await ids({"created": {"gte": later}}) == ["cus_b"]
    assert await ids({"created": {"lt": later}}) == ["cus_a"]
    assert await ids({"created": {"gt": later - 10, "lte": later}}) == ["cus_b"]


async def test_modes_don_t_meet(api: Api) -> None:
    await api.customer("cus_a")
    await api.customer("cus_a", key=LIVE_KEY)
    await api.customer("cus_live", key=LIVE_KEY)

    assert (await api.got("/v1/customers/cus_a", key=LIVE_KEY))["livemode"] is True
    reply = await api.get("/v1/customers/cus_live")
    assert reply.status == 404
    assert reply.error == {
        "type": "invalid_request_error",
        "code": "resource_missing",
        "param": "id",
        "message": "No such customer: 'cus_live'; a similar object exists in live mode, but a test "
        "mode key was used to make this request.",
    }


async def test_usage_makes_customers_where_the_setting_says_so(
    tmp_path: Path, migrated: Path
) -> None:
    settings = Settings(test_key=TEST_KEY, customers_auto_create=True)
    async with running_api(tmp_path, migrated, settings=settings) as api:
        await api.meter()
        await api.use(customer="fresh")

        assert (await api.got("/v1/customers/fresh"))["object"] == "customer"


async def test_a_customer_made_by_a_request_and_by_usage_at_once_is_one(
    tmp_path: Path, migrated: Path
) -> None:
    settings = Settings(test_key=TEST_KEY, customers_auto_create=True)
    async with running_api(tmp_path, migrated, settings=settings) as api:
        await api.meter()
        for number in range(20):
            name = f"both_{number}"
            replies = await asyncio.gather(
                api.post("/v1/customers", {"id": name}),
                api.use(customer=name),
                api.post("/v1/customers", {"id": name}),
                api.use(customer=name),
            )
            assert [reply.status for reply in replies].count(400) in {1, 2}
            assert replies[1].status == replies[3].status == 200

        assert api.failures == []
        assert len((await api.got("/v1/customers", {"limit": 100}))["data"]) == 20


async def test_usage_never_brings_a_deleted_customer_back(tmp_path: Path, migrated: Path) -> None:
    settings = Settings(test_key=TEST_KEY, customers_auto_create=True)
    async with running_api(tmp_path, migrated, settings=settings) as api:
        await api.meter()
        await api.customer("cus_a")
        await api.send("DELETE", "/v1/customers/cus_a")

        reply = await api.use()

        assert reply.status == 400
        assert api.failures == []
        assert (await api.got("/v1/customers/cus_a"))["deleted"] is True
