"""Keys: how they are sent, which are refused, what restricted ones may do, how modes stay apart."""

from typing import Any

import pytest

from meterbell.ids import CountingIds, RandomIds
from meterbell.keys import digest_of, generate_key, is_mistyped, mode_of
from tests.builders import NOW
from tests.unit.api.running import LIVE_KEY, TEST_KEY, Api, alert_params, basic, usage

CUSTOMERS = "/v1/customers"


@pytest.mark.parametrize(
    "header",
    [
        f"Bearer {TEST_KEY}",
        f"bearer {TEST_KEY}",
        f"BEARER  {TEST_KEY}",
        basic(TEST_KEY),
        basic(TEST_KEY, "ignored"),
    ],
)
async def test_a_key_comes_as_bearer_or_as_the_user_of_basic(api: Api, header: str) -> None:
    reply = await api.get(CUSTOMERS, headers={"Authorization": header})

    assert reply.status == 200


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (None, "You did not provide an API key."),
        ("", "You did not provide an API key."),
        ("Bearer", "You did not provide an API key."),
        ("Bearer ", "You did not provide an API key."),
        ("Digest abc", "You did not provide an API key."),
        (basic(""), "You did not provide an API key."),
        ("Basic ###", "not well-formed Basic"),
        ("Basic \u00e4", "not well-formed Basic"),
        ("Bearer sk_test_\u00e4", "not ASCII"),
        (basic("sk_test_\u00e4"), "not ASCII"),
        ("Bearer hello", "Invalid API Key provided: ****"),
        ("Bearer sk_test_nobody_knows_1234", "Invalid API Key provided: sk_test_****1234"),
        ("Bearer sk_live_nobody_knows_1234", "Invalid API Key provided: sk_live_****1234"),
        ("Bearer sk_test_short", "Invalid API Key provided: sk_test_****"),
        ("Bearer sk_test_" + "x" * 1000, "Invalid API Key provided: sk_test_****xxxx"),
    ],
)
async def test_a_request_without_a_valid_key_is_refused(
    api: Api, header: str | None, words: str
) -> None:
    headers = {} if header is None else {"Authorization": header}
    reply = await api.get(CUSTOMERS, key="", headers=headers)

    assert reply.status == 401
    assert reply.error["type"] == "invalid_request_error"
    assert words in reply.error["message"]
    assert "code" not in reply.error
    assert reply.headers["www-authenticate"].startswith("Basic")
    assert reply.headers["stripe-should-retry"] == "false"


async def test_no_more_than_the_last_four_characters_are_shown(api: Api) -> None:
    reply = await api.get(CUSTOMERS, key="sk_test_secret_part_abcd")

    assert b"secret" not in reply.raw
    assert b"abcd" in reply.raw


async def test_a_stored_key_knows_its_mode(api: Api) -> None:
    ids = RandomIds()
    for livemode in (False, True):
        key = generate_key(ids, livemode=livemode, restricted=False)
        await api.add_key(key, livemode=livemode)
        made = await api.made(CUSTOMERS, key=key)
        assert made["livemode"] is livemode


async def test_a_mistyped_key_is_refused_even_if_it_were_stored(api: Api) -> None:
    key = generate_key(RandomIds(), livemode=False, restricted=False)
    mistyped = key[:-1] + ("a" if key[-1] != "a" else "b")
    await api.add_key(mistyped)

    assert (await api.get(CUSTOMERS, key=mistyped)).status == 401


@pytest.mark.parametrize("column", ["expires_at", "revoked_at"])
async def test_an_expired_or_revoked_key_is_told_so(api: Api, column: str) -> None:
    key = "sk_test_was_good_once_1234"
    times: dict[str, Any] = {column: NOW}
    await api.add_key(key, **times)

    reply = await api.get(CUSTOMERS, key=key)

    assert (reply.status, reply.error["code"]) == (401, "api_key_expired")
    assert "sk_test_****1234" in reply.error["message"]


async def test_a_key_expires_within_a_second(api: Api) -> None:
    key = await api.add_key("sk_test_expires_soon", expires_at=NOW + 10)

    assert (await api.get(CUSTOMERS, key=key)).status == 200
    api.clock.advance(seconds=9)
    assert (await api.get(CUSTOMERS, key=key)).status == 200
    api.clock.advance(seconds=2)
    assert (await api.get(CUSTOMERS, key=key)).status == 401


MATRIX = [
    # method, path, params, read, ingest
    ("GET", CUSTOMERS, {}, True, False),
    ("GET", f"{CUSTOMERS}/cus_a", {}, True, False),
    ("GET", "/v1/billing/meters", {}, True, False),
    ("GET", "/v1/billing/alerts", {}, True, False),
    ("GET", "/v1/events", {}, True, False),
    ("GET", "/v1/webhook_endpoints", {}, True, False),
    ("POST", CUSTOMERS, {}, False, False),
    ("POST", f"{CUSTOMERS}/cus_a", {}, False, False),
    ("DELETE", f"{CUSTOMERS}/cus_b", {}, False, False),
    ("POST", "/v1/billing/meters", {"display_name": "x"}, False, False),
    ("POST", "/v1/billing/alerts", alert_params("mtr_x"), False, False),
    ("POST", "/v1/webhook_endpoints", {"url": "http://x/"}, False, False),
    ("POST", "/v1/stripecli/sessions", {"websocket_features": ["webhooks"]}, False, False),
    ("POST", "/v1/billing/meter_events", usage(), False, True),
    (
        "POST",
        "/v1/billing/meter_event_adjustments",
        {"event_name": "requests", "type": "cancel", "cancel": {"identifier": "x"}},
        False,
        True,
    ),
]


@pytest.mark.parametrize(
    ("method", "path", "params", "read", "ingest"), MATRIX, ids=[f"{m[0]} {m[1]}" for m in MATRIX]
)
async def test_restricted_keys_may_do_what_they_are_for(
    api: Api, method: str, path: str, params: dict[str, Any], *, read: bool, ingest: bool
) -> None:
    await api.meter()
    await api.customer("cus_a")
    await api.customer("cus_b")
    reader = await api.add_key("rk_test_reader", permission="read")
    reporter = await api.add_key("rk_test_reporter", permission="ingest")

    for key, allowed, words in ((reader, read, "read-only"), (reporter, ingest, "report usage")):
        reply = await api.send(method, path, params, key=key)
        assert (reply.status != 403) is allowed
        if not allowed:
            assert reply.error["type"] == "invalid_request_error"
            assert words in reply.error["message"]


async def test_a_live_key_sees_nothing_of_test_mode(api: Api) -> None:
    meter = await api.meter()
    await api.customer()
    await api.alert(meter)
    await api.use()

    for path in (CUSTOMERS, "/v1/billing/meters", "/v1/billing/alerts", "/v1/events"):
        assert (await api.got(path, key=LIVE_KEY))["data"] == []
    reply = await api.post("/v1/billing/meter_events", usage(), key=LIVE_KEY)
    assert reply.error["message"] == 'No active meter found for event name "requests".'


def test_a_generated_key_says_what_it_is() -> None:
    ids = CountingIds()
    keys = [
        generate_key(ids, livemode=livemode, restricted=restricted)
        for livemode in (False, True)
        for restricted in (False, True)
    ]

    assert [key[:8] for key in keys] == ["sk_test_", "rk_test_", "sk_live_", "rk_live_"]
    assert [mode_of(key) for key in keys] == [False, False, True, True]
    assert not any(is_mistyped(key) for key in keys)
    assert len({digest_of(key) for key in keys}) == 4
    assert all(len(digest_of(key)) == 32 for key in keys)


def test_any_changed_character_of_a_key_is_noticed() -> None:
    key = generate_key(RandomIds(), livemode=False, restricted=False)

    for at in range(8, len(key)):
        other = "0" if key[at] != "0" else "1"
        assert is_mistyped(key[:at] + other + key[at + 1 :])


@pytest.mark.parametrize("text", ["", "sk_test_", "pk_test_abc", "SK_TEST_abc", "sk_prod_abc"])
def test_what_is_no_key_has_no_mode(text: str) -> None:
    assert mode_of(text) is None
