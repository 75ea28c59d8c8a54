"""How endpoints are, their deliveries, and sending again."""

from typing import Any

import pytest

from meterbell.ledger.deliveries import PIECE_MAX
from meterbell.ledger.transaction import Transaction
from meterbell.records import Attempt, Delivery, EndpointHealth
from meterbell.store import tables
from meterbell.store.deliveries import ATTEMPTS_MAX
from tests.builders import NOW
from tests.unit.api.running import LIVE_KEY, Api

HOOKS = "/v1/webhook_endpoints"
NOW_MS = NOW * 1000


def path(endpoint: str, rest: str) -> str:
    return f"/meterbell/webhook_endpoints/{endpoint}/{rest}"


async def endpoint_with(api: Api, events: int) -> str:
    """Make an endpoint and some events for it, and return its id."""
    hook = {"url": "http://127.0.0.1:9009/", "enabled_events": ["*"]}
    endpoint = str((await api.made(HOOKS, hook))["id"])
    for number in range(events):
        await api.customer(f"cus_{number}")
    return endpoint


async def fail(api: Api, *numbers: int, outcome: str = "status_500") -> None:
    """Let deliveries fail, each with one attempt."""

    def command(transaction: Transaction) -> None:
        for number in numbers:
            transaction.objects.insert(
                Attempt(
                    delivery=number,
                    attempt=1,
                    started_at_ms=NOW_MS,
                    duration_ms=12,
                    outcome=outcome,
                    status_code=500,
                    response=b"oh\xff",
                )
            )
            transaction.objects.update(
                Delivery,
                tables.delivery.c.number == number,
                status="failed",
                attempts=1,
                next_attempt_at_ms=None,
            )

    await api.services.committer.execute(command)


async def test_a_delivery_is_told_with_its_attempts(api: Api) -> None:
    endpoint = await endpoint_with(api, 1)
    await fail(api, 1)
    (event,) = await api.events()

    (listed,) = (await api.got(path(endpoint, "deliveries")))["data"]
    told = await api.got(path(endpoint, f"deliveries/{listed['id']}"))

    (attempt,) = told.pop("attempts")
    assert told == listed
    assert listed == {
        "id": "dlv_1",
        "object": "meterbell.delivery",
        "attempt_count": 1,
        "created": listed["created"],
        "event": event["id"],
        "livemode": False,
        "next_attempt": None,
        "resent": None,
        "status": "failed",
        "webhook_endpoint": endpoint,
    }
    assert attempt == {
        "object": "meterbell.attempt",
        "attempt": 1,
        "delivery": "dlv_1",
        "duration_ms": 12,
        "manual": False,
        "outcome": "status_500",
        "response": "oh\ufffd",
        "started": listed["created"],
        "status_code": 500,
    }


async def test_of_very_many_attempts_the_latest_are_told(api: Api) -> None:
    endpoint = await endpoint_with(api, 1)
    await fail(api, *[1] * (ATTEMPTS_MAX + 1))
    await fail(api, 1, outcome="timeout")

    attempts = (await api.got(path(endpoint, "deliveries/dlv_1")))["attempts"]

    outcomes = [attempt["outcome"] for attempt in attempts]
    assert outcomes == ["status_500"] * (ATTEMPTS_MAX - 1) + ["timeout"]


async def test_deliveries_are_listed_by_pages_and_by_status(api: Api) -> None:
    endpoint = await endpoint_with(api, 7)
    await fail(api, 2, 4, 5)

    async def ids(**params: Any) -> tuple[list[str], bool]:  # noqa: ANN401
        page = await api.got(path(endpoint, "deliveries"), params)
        return [one["id"].removeprefix("dlv_") for one in page["data"]], page["has_more"]

    assert await ids() == (list("7654321"), False)
    assert await ids(limit=3) == (list("765"), True)
    assert await ids(limit=3, starting_after="dlv_5") == (list("432"), True)
    assert await ids(limit=3, starting_after="dlv_4") == (list("321"), False)
    assert await ids(limit=3, ending_before="dlv_3") == (list("654"), True)
    assert await ids(limit=9, ending_before="dlv_3") == (list("7654"), False)
    assert await ids(status="failed") == (list("542"), False)
    assert await ids(status="failed", limit=2) == (list("54"), True)
    assert await ids(status="pending", starting_after="dlv_5") == (list("31"), False)
    assert await ids(status="succeeded") == ([], False)


async def test_the_health_of_an_endpoint(api: Api) -> None:
    endpoint = await endpoint_with(api, 3)
    await fail(api, 1, 2)
    told = await api.got(path(endpoint, "health"))

    assert told["deliveries"] == {"pending": 1, "succeeded": 0, "failed": 2, "canceled": 0}
    assert [one["delivery"] for one in told["attempts"]] == ["dlv_2", "dlv_1"]
    assert told["circuit"]["state"] == "closed"
    assert (told["status"], told["disabled"]) == ("enabled", None)

    def command(transaction: Transaction) -> None:
        transaction.objects.put(
            EndpointHealth(endpoint=endpoint, failures=10, openings=1, probe_at_ms=NOW_MS + 1)
        )

    await api.services.committer.execute(command)
    circuit = (await api.got(path(endpoint, "health")))["circuit"]
    assert (circuit["state"], circuit["failures"]) == ("open", 10)
    api.clock.advance(seconds=1)
    assert (await api.got(path(endpoint, "health")))["circuit"]["state"] == "half_open"

    await api.made(f"{HOOKS}/{endpoint}", {"disabled": True})
    assert (await api.got(path(endpoint, "health")))["disabled"]["reason"] == "user"
    await api.made(f"{HOOKS}/{endpoint}", {"disabled": False})
    again = await api.got(path(endpoint, "health"))
    assert (again["disabled"], again["circuit"]["state"]) == (None, "closed")


async def test_another_address_starts_without_the_failures_of_the_old_one(api: Api) -> None:
    endpoint = await endpoint_with(api, 0)

    def command(transaction: Transaction) -> None:
        transaction.objects.put(EndpointHealth(endpoint=endpoint, failures=3))

    await api.services.committer.execute(command)
    await api.made(f"{HOOKS}/{endpoint}", {"description": "x"})
    assert (await api.got(path(endpoint, "health")))["circuit"]["failures"] == 3
    await api.made(f"{HOOKS}/{endpoint}", {"url": "http://127.0.0.1:9010/"})
    assert (await api.got(path(endpoint, "health")))["circuit"]["failures"] == 0


async def test_one_event_is_sent_again(api: Api) -> None:
    endpoint = await endpoint_with(api, 1)
    await fail(api, 1)
    (event,) = await api.events()

    told = await api.made(path(endpoint, "resend"), {"event": event["id"]})

    assert (told["id"], told["status"], told["attempt_count"]) == ("dlv_1", "pending", 0)
    assert told["resent"] == told["next_attempt"] is not None
    assert (await api.got(f"/v1/events/{event['id']}"))["pending_webhooks"] == 1


async def test_all_that_failed_is_sent_again(api: Api) -> None:
    endpoint = await endpoint_with(api, 3)
    await fail(api, 1, 3)

    for since, resent in ((NOW + 1, 0), (NOW, 2), (0, 0)):
        told = await api.made(path(endpoint, "resend_failed"), {"since": since})
        assert (told["resent"], told["has_more"], told["last"]) == (resent, False, None)


async def test_all_that_failed_is_sent_again_in_pieces(api: Api) -> None:
    endpoint = await endpoint_with(api, PIECE_MAX + 1)
    await fail(api, *range(1, PIECE_MAX + 2))

    first = await api.made(path(endpoint, "resend_failed"), {"since": 0})
    assert (first["resent"], first["has_more"]) == (PIECE_MAX, True)
    rest = await api.made(
        path(endpoint, "resend_failed"), {"since": 0, "starting_after": first["last"]}
    )
    assert (rest["resent"], rest["has_more"], rest["last"]) == (1, False, None)


@pytest.mark.parametrize(
    ("rest", "params", "param"),
    [
        ("resend", {}, "event"),
        ("resend", {"event": "evt_none"}, "event"),
        ("resend", {"event": "evt_none", "x": "y"}, "x"),
        ("resend_failed", {}, "since"),
        ("resend_failed", {"since": "-1"}, "since"),
        ("resend_failed", {"since": "soon"}, "since"),
        ("resend_failed", {"since": "0", "starting_after": "dlv_99"}, "starting_after"),
        ("resend_failed", {"since": "0", "starting_after": "evt_1"}, "starting_after"),
    ],
)
async def test_what_cant_be_sent_again(
    api: Api, rest: str, params: dict[str, str], param: str
) -> None:
    reply = await api.post(path(await endpoint_with(api, 0), rest), params)

    assert (reply.status, reply.error["param"]) == (400, param)


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"status": "lost"}, "status"),
        ({"starting_after": "dlv_99"}, "starting_after"),
        ({"starting_after": "evt_1"}, "starting_after"),
        ({"ending_before": f"dlv_{'9' * 30}"}, "ending_before"),
        ({"ending_before": "dlv_1", "starting_after": "dlv_1"}, "ending_before"),
    ],
)
async def test_what_cant_be_listed(api: Api, query: dict[str, str], param: str) -> None:
    reply = await api.get(path(await endpoint_with(api, 1), "deliveries"), query)

    assert (reply.status, reply.error["param"]) == (400, param)


async def test_a_disabled_endpoint_is_not_sent_anything_again(api: Api) -> None:
    endpoint = await endpoint_with(api, 1)
    (event,) = await api.events()
    await api.made(f"{HOOKS}/{endpoint}", {"disabled": True})

    for rest, params in (("resend", {"event": event["id"]}), ("resend_failed", {"since": 0})):
        reply = await api.post(path(endpoint, rest), params)
        assert reply.status == 400
        assert "Enable it first" in reply.error["message"]


async def test_nothing_of_another_mode_or_endpoint_is_told(api: Api) -> None:
    endpoint = await endpoint_with(api, 1)
    other = await endpoint_with(api, 0)

    assert (await api.get(path(other, "deliveries/dlv_1"))).status == 404
    assert (await api.get(path(endpoint, "deliveries/dlv_x"))).status == 404
    for rest in ("health", "deliveries", "deliveries/dlv_1"):
        assert (await api.get(path(endpoint, rest), key=LIVE_KEY)).status == 404
    for rest, params in (("resend", {"event": "evt_1"}), ("resend_failed", {"since": 0})):
        assert (await api.post(path(endpoint, rest), params, key=LIVE_KEY)).status == 404


async def test_a_ping_goes_to_one_endpoint_and_tells_nothing(api: Api) -> None:
    await endpoint_with(api, 0)
    hook = {"url": "http://127.0.0.1:9010/", "enabled_events": ["customer.created"]}
    endpoint = (await api.made(HOOKS, hook))["id"]

    delivery = await api.made(path(endpoint, "ping"))

    (event,) = await api.events()
    assert (delivery["webhook_endpoint"], delivery["status"]) == (endpoint, "pending")
    assert delivery["event"] == event["id"]
    assert event["type"] == "meterbell.webhook_endpoint.ping"
    assert event["data"]["object"]["id"] == endpoint
    assert "secret" not in event["data"]["object"]
    assert len(api.services.store.reader.find(Delivery)) == 1


async def test_a_disabled_endpoint_is_not_pinged(api: Api) -> None:
    endpoint = await endpoint_with(api, 0)
    await api.made(f"{HOOKS}/{endpoint}", {"disabled": "true"})

    reply = await api.post(path(endpoint, "ping"))

    assert reply.status == 400
    assert "Enable it first" in reply.error["message"]
