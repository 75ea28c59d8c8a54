"""Secrets of endpoints: shown once, rolled with an overlap, fit for two schemes. Rule D5."""

import base64
import re
from typing import Any

import pytest

from meterbell.records import IdempotentReply, WebhookEndpoint
from meterbell.store import tables
from meterbell.store.endpoint_secrets import seal_secret, secrets_of
from tests.unit.api.running import LIVE_KEY, Api, Reply

HOOKS = "/v1/webhook_endpoints"
DESTINATIONS = "/v2/core/event_destinations"
OLD_SHAPE = "whsec_" + "a" * 43
HOUR = 3600


async def make(api: Api, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    params = {"url": "http://127.0.0.1:9009/hook", "enabled_events": ["*"], **more}
    made: dict[str, Any] = await api.made(HOOKS, params)
    return made


async def make_destination(api: Api, **target: Any) -> dict[str, Any]:  # noqa: ANN401
    body = {
        "name": "D",
        "type": "webhook_endpoint",
        "event_payload": "thin",
        "enabled_events": ["*"],
        "webhook_endpoint": {"url": "http://127.0.0.1:9009/", **target},
        "include": ["webhook_endpoint.signing_secret"],
    }
    reply = await api.json(DESTINATIONS, body)
    assert reply.status == 200, reply.raw
    made: dict[str, Any] = reply.body
    return made


async def roll(api: Api, endpoint: str, **params: Any) -> Reply:  # noqa: ANN401
    return await api.post(f"{HOOKS}/{endpoint}/roll_secret", params)


async def rolled(api: Api, endpoint: str, **params: Any) -> str:  # noqa: ANN401
    reply = await roll(api, endpoint, **params)
    assert reply.status == 200, reply.raw
    return str(reply.body["secret"])


def row_of(api: Api, endpoint: str) -> WebhookEndpoint:
    found = api.services.store.reader.get(WebhookEndpoint, endpoint, livemode=False)
    assert found is not None
    return found


def signing(api: Api, endpoint: str) -> list[str]:
    """Return the secrets that sign now, the newest first."""
    now_ms = api.clock.now_ms()
    return secrets_of(api.services.vault, row_of(api, endpoint), now_ms=now_ms)


async def change(api: Api, endpoint: str, **columns: object) -> None:
    await api.services.committer.execute(
        lambda transaction: transaction.objects.update(
            WebhookEndpoint, tables.webhook_endpoint.c.id == endpoint, **columns
        )
    )


async def test_d5_a_secret_is_stored_sealed_and_fit_for_both_schemes(api: Api) -> None:
    made = await make(api)

    assert re.fullmatch(r"whsec_[0-9A-Za-z]{44}", made["secret"])
    assert len(base64.b64decode(made["secret"].removeprefix("whsec_"), validate=True)) == 33
    assert row_of(api, made["id"]).secret.startswith("sealed:")
    assert signing(api, made["id"]) == [made["secret"]]


async def test_d5_a_rolled_secret_is_shown_once_and_both_sign_until_the_old_ones_end(
    api: Api,
) -> None:
    made = await make(api)

    reply = await roll(api, made["id"], expire_in=HOUR)

    assert {**reply.body, "secret": made["secret"]} == made
    new = reply.body["secret"]
    assert new != made["secret"]
    assert "secret" not in await api.got(f"{HOOKS}/{made['id']}")
    assert signing(api, made["id"]) == [new, made["secret"]]
    api.clock.advance(seconds=HOUR - 0.001)
    assert signing(api, made["id"]) == [new, made["secret"]]
    api.clock.advance(seconds=0.001)
    assert signing(api, made["id"]) == [new]


async def test_d5_the_overlap_is_a_day_by_default(api: Api) -> None:
    made = await make(api)
    new = await rolled(api, made["id"])

    api.clock.advance(seconds=24 * HOUR - 1)
    assert signing(api, made["id"]) == [new, made["secret"]]
    api.clock.advance(seconds=1)
    assert signing(api, made["id"]) == [new]


async def test_d5_without_an_overlap_all_old_secrets_end_at_once(api: Api) -> None:
    endpoint = (await make(api))["id"]
    await rolled(api, endpoint)

    new = await rolled(api, endpoint, expire_in=0)

    assert signing(api, endpoint) == [new]
    assert row_of(api, endpoint).old_secrets is None


async def test_d5_older_secrets_end_no_later_than_the_one_rolled_last(api: Api) -> None:
    first = await make(api)
    second = await rolled(api, first["id"], expire_in=2 * HOUR)
    third = await rolled(api, first["id"], expire_in=HOUR)

    assert signing(api, first["id"]) == [third, second, first["secret"]]
    api.clock.advance(seconds=HOUR)
    assert signing(api, first["id"]) == [third]


async def test_d5_only_so_many_old_secrets_sign(api: Api) -> None:
    endpoint = (await make(api))["id"]
    for _ in range(5):
        await rolled(api, endpoint, expire_in=HOUR)

    refused = await roll(api, endpoint, expire_in=HOUR)

    assert refused.status == 400
    assert "5 older secrets of this endpoint still sign" in refused.error["message"]
    assert len(signing(api, endpoint)) == 6
    assert len({await rolled(api, endpoint, expire_in=0), *signing(api, endpoint)}) == 1
    api.clock.advance(seconds=HOUR)
    assert (await roll(api, endpoint, expire_in=HOUR)).status == 200


@pytest.mark.parametrize("value", ["-1", "86401", "1.5", "1h", "", "99999999999999999999"])
async def test_an_overlap_is_a_whole_number_of_seconds_up_to_a_day(api: Api, value: str) -> None:
    made = await make(api)

    refused = await roll(api, made["id"], expire_in=value)

    assert (refused.status, refused.error["param"]) == (400, "expire_in")
    assert signing(api, made["id"]) == [made["secret"]]


async def test_a_secret_is_rolled_in_its_own_mode_and_version_only(api: Api) -> None:
    endpoint = (await make(api))["id"]
    destination = (await make_destination(api))["id"]

    replies = [
        await roll(api, "we_none"),
        await roll(api, destination),
        await api.post(f"{HOOKS}/{endpoint}/roll_secret", key=LIVE_KEY),
        await api.json(f"{DESTINATIONS}/{endpoint}/roll_secret", {}),
    ]

    assert [reply.status for reply in replies] == [404] * 4


async def test_d5_a_repeated_roll_shows_the_same_secret_and_its_answer_is_stored_sealed(
    api: Api,
) -> None:
    endpoint = (await make(api))["id"]
    path, key = f"{HOOKS}/{endpoint}/roll_secret", {"Idempotency-Key": "my key"}

    first = await api.post(path, headers=key)
    again = await api.post(path, headers=key)

    assert again.raw == first.raw
    assert signing(api, endpoint)[0] == first.body["secret"]
    (reply,) = api.services.store.reader.find(IdempotentReply)
    assert reply.body.startswith(b"sealed:")
    assert reply.request.startswith("sealed:")
    assert "my key" not in reply.key


async def test_d5_an_answer_that_cannot_be_decrypted_is_not_given(api: Api) -> None:
    key = {"Idempotency-Key": "my key"}
    await api.post("/v1/customers", {"name": "Ada"}, headers=key)
    await api.services.committer.execute(
        lambda transaction: transaction.objects.update(IdempotentReply, body=b"sealed:1:0:x")
    )

    reply = await api.post("/v1/customers", {"name": "Ada"}, headers=key)

    assert (reply.status, reply.error["type"]) == (500, "api_error")
    assert "can't be decrypted" in reply.error["message"]
    assert len((await api.got("/v1/customers"))["data"]) == 1


async def test_d5_a_damaged_secret_can_be_rolled(api: Api) -> None:
    endpoint = (await make(api))["id"]
    await rolled(api, endpoint)
    await change(api, endpoint, secret="damaged", old_secrets="damaged")

    refused = await api.post(f"{HOOKS}/{endpoint}", {"standard_webhooks": "true"})
    new = await rolled(api, endpoint)

    assert (refused.status, refused.error["param"]) == (400, "standard_webhooks")
    assert signing(api, endpoint) == [new]


async def test_standard_webhooks_are_turned_on_and_off(api: Api) -> None:
    made = await make(api, standard_webhooks="true")
    path = f"{HOOKS}/{made['id']}"

    assert made["standard_webhooks"] is True
    assert (await api.made(path, {"description": "D"}))["standard_webhooks"] is True
    assert (await api.made(path, {"standard_webhooks": "false"}))["standard_webhooks"] is False
    assert (await api.got(path))["standard_webhooks"] is False
    assert (await api.post(path, {"standard_webhooks": "yes"})).error["param"] == (
        "standard_webhooks"
    )


async def test_standard_webhooks_need_a_secret_that_is_base64(api: Api) -> None:
    endpoint = (await make(api))["id"]
    sealed = seal_secret(api.services.vault, endpoint, OLD_SHAPE)
    await change(api, endpoint, secret=sealed)

    refused = await api.post(f"{HOOKS}/{endpoint}", {"standard_webhooks": "true"})
    new = await rolled(api, endpoint)
    turned_on = await api.made(f"{HOOKS}/{endpoint}", {"standard_webhooks": "true"})

    assert (refused.status, refused.error["param"]) == (400, "standard_webhooks")
    assert "Roll it first" in refused.error["message"]
    assert turned_on["standard_webhooks"] is True
    assert signing(api, endpoint) == [new, OLD_SHAPE]


async def test_d5_a_destinations_secret_is_rolled_too(api: Api) -> None:
    made = await make_destination(api)
    old = made["webhook_endpoint"]["signing_secret"]
    path = f"{DESTINATIONS}/{made['id']}"
    api.clock.advance(seconds=1)

    first = (await api.json(f"{path}/roll_secret", {"expire_in": HOUR})).body
    second = (await api.json(f"{path}/roll_secret")).body

    news = [one["webhook_endpoint"]["signing_secret"] for one in (second, first)]
    assert signing(api, made["id"]) == [*news, old]
    assert first["updated"] > made["updated"]
    assert (await api.got(path))["webhook_endpoint"]["signing_secret"] is None
    refused = await api.json(f"{path}/roll_secret", {"expire_in": 24 * HOUR + 1})
    assert (refused.status, refused.error["param"]) == (400, "expire_in")


async def test_a_destination_may_have_standard_webhooks(api: Api) -> None:
    made = await make_destination(api, standard_webhooks=True)
    path = f"{DESTINATIONS}/{made['id']}"

    async def changed(**target: object) -> Reply:
        return await api.json(path, {"webhook_endpoint": target})

    assert made["webhook_endpoint"]["standard_webhooks"] is True
    moved = await changed(url="http://127.0.0.1:9009/b")
    assert moved.body["webhook_endpoint"]["standard_webhooks"] is True
    off = await changed(standard_webhooks=False)
    assert off.body["webhook_endpoint"]["standard_webhooks"] is False
    assert row_of(api, made["id"]).url == "http://127.0.0.1:9009/b"
    await change(api, made["id"], secret=seal_secret(api.services.vault, made["id"], OLD_SHAPE))
    refused = await changed(standard_webhooks=True)
    assert refused.error["param"] == "webhook_endpoint.standard_webhooks"
