"""Idempotency-Keys: the first answer again, for the same request only, for a day."""

import asyncio
from typing import Any

from tests.unit.api.running import LIVE_KEY, Api, usage

DAY = 86400
KEY = {"Idempotency-Key": "key-1"}


async def test_the_first_answer_is_given_again_and_nothing_is_done_twice(api: Api) -> None:
    first = await api.post("/v1/customers", {"name": "Ada"}, headers=KEY)
    again = await api.post("/v1/customers", {"name": "Ada"}, headers=KEY)

    assert again.raw == first.raw
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["original-request"] == first.headers["request-id"]
    assert again.headers["request-id"] != first.headers["request-id"]
    assert again.headers["idempotency-key"] == first.headers["idempotency-key"] == "key-1"
    assert "idempotent-replayed" not in first.headers
    assert len((await api.got("/v1/customers"))["data"]) == 1


async def test_the_order_of_parameters_does_not_matter(api: Api) -> None:
    first = await api.post("/v1/customers", b"name=Ada&phone=1", headers=KEY)
    again = await api.post("/v1/customers", b"phone=1&name=%41da", headers=KEY)

    assert again.raw == first.raw


async def test_other_parameters_are_refused(api: Api) -> None:
    await api.post("/v1/customers", {"name": "Ada"}, headers=KEY)
    reply = await api.post("/v1/customers", {"name": "Grace"}, headers=KEY)

    assert reply.status == 400
    assert reply.error == {
        "type": "idempotency_error",
        "message": "Keys for idempotent requests can only be used with the same parameters they "
        "were first used with. Try using a key other than 'key-1' if you meant to execute a "
        "different request.",
    }
    assert reply.headers["stripe-should-retry"] == "false"


async def test_another_endpoint_is_refused_and_both_are_named(api: Api) -> None:
    await api.post("/v1/customers", {"id": "cus_a"}, headers=KEY)
    reply = await api.post("/v1/customers/cus_a", {"id": "cus_a"}, headers=KEY)
    other = await api.post("/v1/customers/cus_a", {"name": "Ada"}, headers=KEY)

    assert reply.error["code"] == "parameter_unknown"
    assert (other.status, other.error["type"]) == (400, "idempotency_error")
    assert "'POST /v1/customers' vs 'POST /v1/customers/cus_a'" in other.error["message"]


async def test_a_refusal_met_while_executing_is_an_answer_too(api: Api) -> None:
    params = {"id": "cus_a"}
    await api.post("/v1/customers", params)
    first = await api.post("/v1/customers", params, headers=KEY)
    again = await api.post("/v1/customers", params, headers=KEY)

    assert first.status == again.status == 400
    assert again.raw == first.raw
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["stripe-should-retry"] == "false"


async def test_a_refusal_before_executing_leaves_the_key_free(api: Api) -> None:
    refused = await api.post("/v1/customers", {"nam": "Ada"}, headers=KEY)
    made = await api.post("/v1/customers", {"name": "Ada"}, headers=KEY)

    assert (refused.status, made.status) == (400, 200)


async def test_a_key_is_forgotten_after_a_day(api: Api) -> None:
    first = await api.made("/v1/customers", {"name": "Ada"}, headers=KEY)
    api.clock.advance(seconds=DAY - 1)
    assert (await api.made("/v1/customers", {"name": "Ada"}, headers=KEY)) == first
    api.clock.advance(seconds=1)

    assert (await api.made("/v1/customers", {"name": "Ada"}, headers=KEY))["id"] != first["id"]


async def test_a_forgotten_key_can_be_used_however_many_are_older(api: Api) -> None:
    for number in range(30):
        await api.made("/v1/customers", headers={"Idempotency-Key": f"old-{number}"})
    await api.made("/v1/customers", {"name": "Ada"}, headers=KEY)
    api.clock.advance(seconds=DAY + 1)

    assert (await api.made("/v1/customers", {"name": "Grace"}, headers=KEY))["name"] == "Grace"


async def test_modes_have_keys_of_their_own(api: Api) -> None:
    await api.made("/v1/customers", {"name": "Ada"}, headers=KEY)
    live = await api.post("/v1/customers", {"name": "Grace"}, headers=KEY, key=LIVE_KEY)

    assert live.status == 200
    assert "idempotent-replayed" not in live.headers


async def test_of_two_at_once_one_runs(api: Api) -> None:
    replies = await asyncio.gather(
        *(api.post("/v1/customers", {"name": "Ada"}, headers=KEY) for _ in range(5))
    )

    assert sorted(reply.status for reply in replies) == [200, 409, 409, 409, 409]
    refused = next(reply for reply in replies if reply.status == 409)
    assert refused.error["code"] == "idempotency_key_in_use"
    assert refused.error["type"] == "invalid_request_error"
    assert refused.headers["stripe-should-retry"] == "true"
    assert len((await api.got("/v1/customers"))["data"]) == 1


async def test_the_key_is_free_once_the_first_has_ended(api: Api) -> None:
    await asyncio.gather(
        *(api.post("/v1/customers", {"name": "Ada"}, headers=KEY) for _ in range(2))
    )
    again = await api.post("/v1/customers", {"name": "Ada"}, headers=KEY)

    assert (again.status, again.headers["idempotent-replayed"]) == (200, "true")


async def test_a_key_has_at_most_255_characters(api: Api) -> None:
    longest = await api.post("/v1/customers", headers={"Idempotency-Key": "k" * 255})
    longer = await api.post("/v1/customers", headers={"Idempotency-Key": "k" * 256})

    assert (longest.status, longer.status) == (200, 400)
    assert "255" in longer.error["message"]


async def test_keys_count_for_posts_only(api: Api) -> None:
    await api.customer("cus_a")
    first = await api.send("DELETE", "/v1/customers/cus_a", headers=KEY)
    again = await api.send("DELETE", "/v1/customers/cus_a", headers=KEY)
    listed = await api.get("/v1/customers", headers={"Idempotency-Key": "k" * 300})

    assert (first.status, again.status, listed.status) == (200, 404, 200)


async def test_c2_usage_with_the_same_key_counts_once_and_is_answered_again(api: Api) -> None:
    await api.meter()
    await api.customer()

    async def send(params: dict[str, Any]) -> Any:  # noqa: ANN401
        return await api.post("/v1/billing/meter_events", params, headers=KEY)

    first, again = await send(usage("3")), await send(usage("3"))
    other = await send(usage("4"))

    assert again.raw == first.raw
    assert again.headers["idempotent-replayed"] == "true"
    assert (other.status, other.error["type"]) == (400, "idempotency_error")
    api.clock.advance(seconds=DAY + 1)
    assert (await send(usage("4"))).status == 200


async def test_c2_usage_at_once_with_the_same_key_counts_once(api: Api) -> None:
    await api.meter()
    await api.customer()

    replies = await asyncio.gather(
        *(api.post("/v1/billing/meter_events", usage(), headers=KEY) for _ in range(5))
    )

    assert {reply.status for reply in replies} == {200}
    assert len({reply.raw for reply in replies}) == 1
    assert [reply.headers.get("idempotent-replayed") for reply in replies].count("true") == 4
