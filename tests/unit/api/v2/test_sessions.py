"""Sessions of the stream: tokens and when they end."""

import pytest

from meterbell.api.v2.sessions import Claims, read_token, sign
from meterbell.records import ApiKey
from meterbell.store import tables
from tests.builders import NOW
from tests.unit.api.running import LIVE_KEY, Api, usage
from tests.unit.api.v2.streaming import errors, secret_of, stream, token

SESSION_SECONDS = 15 * 60


async def test_a_session_lasts_fifteen_minutes(metered: Api) -> None:
    bearer = await token(metered)

    metered.clock.advance(seconds=SESSION_SECONDS - 1)
    before = await stream(metered, bearer, [usage()])
    metered.clock.advance(seconds=1)
    after = await stream(metered, bearer, [usage()])

    assert (before.status, before.raw) == (200, b"{}")
    assert (after.status, after.error["type"]) == (401, "temporary_session_expired")
    assert after.error["code"] == "billing_meter_event_session_expired"
    assert after.error["doc_url"].startswith("https://")


async def test_a_session_ends_with_its_key(metered: Api) -> None:
    await metered.add_key("sk_test_short_lived")
    bearer = await token(metered, key="sk_test_short_lived")
    assert (await stream(metered, bearer, [usage()])).status == 200

    await metered.services.committer.execute(
        lambda transaction: transaction.objects.update(
            ApiKey, tables.api_key.c.id == "key_sk_test_short_lived", revoked_at=NOW
        )
    )
    metered.clock.advance(seconds=2)
    reply = await stream(metered, bearer, [usage()])

    assert (reply.status, reply.error["code"]) == (401, "api_key_expired")


async def test_a_session_is_of_its_keys_mode(metered: Api) -> None:
    bearer = await token(metered, key=LIVE_KEY)

    reply = await stream(metered, bearer, [usage()])

    assert reply.status == 200
    (window,) = errors(metered)
    assert (window.livemode, window.reason) == (True, "no_meter")


async def test_a_key_that_only_reads_opens_no_session(metered: Api) -> None:
    key = await metered.add_key("rk_test_reads", permission="read")
    ingest = await metered.add_key("rk_test_reports", permission="ingest")

    refused = await metered.json("/v2/billing/meter_event_session", key=key)

    assert (refused.status, refused.error["code"]) == (403, "permission_denied")
    assert (await stream(metered, await token(metered, key=ingest), [usage()])).status == 200


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        (Claims(livemode=False, expires_at_ms=NOW * 2000, key_id="mk_gone"), "not known any more"),
        (Claims(livemode=True, expires_at_ms=NOW * 2000, key_id=""), "another mode"),
    ],
)
async def test_a_token_of_no_key_is_refused(metered: Api, claims: Claims, words: str) -> None:
    own = read_token(await token(metered), secret=secret_of(metered))
    assert own is not None
    claims = claims._replace(key_id=claims.key_id or own.key_id)

    reply = await stream(metered, sign(claims, secret=secret_of(metered)), [])

    assert reply.status == 401
    assert words in reply.error["message"]


@pytest.mark.parametrize(
    ("old", "new"),
    [("mes_tok_", ""), (".", ""), ("W", "w"), (".", "x."), ("mes_tok_", "mes_tok_" * 200)],
)
def test_a_token_that_was_changed_is_none(old: str, new: str) -> None:
    claims = Claims(livemode=True, expires_at_ms=1, key_id="mk_1")
    token = sign(claims, secret="s")

    assert old in token
    assert read_token(token, secret="s") == claims
    assert read_token(token.replace(old, new), secret="s") is None
    assert read_token(token + "0", secret="s") is None
    assert read_token(token[:-1], secret="s") is None
    assert read_token(token, secret="t") is None
