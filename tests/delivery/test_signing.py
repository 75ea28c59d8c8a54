"""What receivers can check: both schemes, on 10,000 bodies and through a rolled secret. Rule D5."""

import json
import random  # noqa: TID251 - the seed is printed
from collections.abc import Callable
from pathlib import Path

import pytest
import stripe
from standardwebhooks import Webhook, WebhookVerificationError

from meterbell.clock import SystemClock
from meterbell.ids import RandomIds
from meterbell.store.endpoint_secrets import rolled
from meterbell.wire.signing import signed_headers, standard_key
from tests.delivery.delivery_run import DeliveryRun, open_delivery
from tests.delivery.receiver import Received, always, receiving
from tests.support.vault import TEST_VAULT

BODIES = 10_000
ROLLED_SECONDS = 60
Headers = dict[str, str]


def new_secret() -> str:
    return f"whsec_{RandomIds().token(44)}"


def stripe_accepts(headers: Headers, body: bytes, secret: str) -> bool:
    try:
        stripe.WebhookSignature.verify_header(
            body.decode(), headers["Stripe-Signature"], secret, stripe.Webhook.DEFAULT_TOLERANCE
        )
    except stripe.SignatureVerificationError:
        return False
    return True


def standard_accepts(headers: Headers, body: bytes, secret: str) -> bool:
    try:
        Webhook(secret).verify(body, headers, json_parse=False)
    except WebhookVerificationError:
        return False
    return True


def random_body(rng: random.Random) -> bytes:
    """Return an event as it could be, with any text in it."""
    points = [rng.randrange(1, rng.choice((0x7F, 0xD800))) for _ in range(rng.randrange(60))]
    event = {"id": f"evt_{rng.getrandbits(64)}", "object": "event", "value": rng.random()}
    event["text"] = "".join(map(chr, points))
    return json.dumps(event, ensure_ascii=rng.random() < 0.5).encode()


def changed_digit(text: str, rng: random.Random) -> str:
    """Return a text with one of its digits changed."""
    place = rng.choice([index for index, letter in enumerate(text) if letter.isdecimal()])
    return f"{text[:place]}{(int(text[place]) + 1) % 10}{text[place + 1 :]}"


def changed_body(rng: random.Random, headers: Headers, body: bytes) -> tuple[Headers, bytes]:
    return headers, changed_digit(body.decode(), rng).encode()


def longer_body(_rng: random.Random, headers: Headers, body: bytes) -> tuple[Headers, bytes]:
    return headers, body + b" "


def changed_time(_rng: random.Random, headers: Headers, body: bytes) -> tuple[Headers, bytes]:
    """Change the time, by too little to be refused as too old."""
    timestamp = headers["webhook-timestamp"]
    other = str(int(timestamp) - 1)
    return {
        **headers,
        "Stripe-Signature": headers["Stripe-Signature"].replace(timestamp, other, 1),
        "webhook-timestamp": other,
    }, body


def changed_names(rng: random.Random, headers: Headers, body: bytes) -> tuple[Headers, bytes]:
    """Change what else is signed, and for Stripe's scheme, in which nothing is, the signatures."""
    return {
        **headers,
        "Stripe-Signature": headers["Stripe-Signature"].replace("v1=", "v1=0"),
        "webhook-id": changed_digit(headers["webhook-id"], rng),
    }, body


TAMPERINGS: list[Callable[[random.Random, Headers, bytes], tuple[Headers, bytes]]] = [
    changed_body,
    longer_body,
    changed_time,
    changed_names,
]


def test_d5_10_000_random_bodies_verify_with_both_packages_and_tampered_ones_with_none(
    rng: random.Random,
) -> None:
    secrets = [new_secret(), new_secret()]
    stranger = new_secret()
    now = SystemClock().now_ms() // 1000
    accepts = (stripe_accepts, standard_accepts)

    for number in range(BODIES):
        body, secret = random_body(rng), rng.choice(secrets)
        headers = signed_headers(
            secrets, event_id=f"evt_{number}", timestamp=now, body=body, is_standard=True
        )
        tampered = rng.choice(TAMPERINGS)(rng, headers, body)

        assert [check(headers, body, secret) for check in accepts] == [True, True]
        assert [check(*tampered, secret) for check in accepts] == [False, False], tampered
        assert not rng.choice(accepts)(headers, body, stranger)


def test_only_an_endpoint_that_asks_for_them_is_sent_the_other_headers() -> None:
    headers = signed_headers(
        [new_secret()], event_id="evt_1", timestamp=1, body=b"{}", is_standard=False
    )

    assert list(headers) == ["Stripe-Signature"]


@pytest.mark.parametrize(
    ("secret", "length"),
    [
        ("whsec_" + "A" * 32, 24),
        ("whsec_" + "A" * 85 + "Q==", 64),
        ("whsec_" + "A" * 43 + "=", 32),
        ("whsec_" + "A" * 28, None),
        ("whsec_" + "A" * 88, None),
        ("whsec_" + "A" * 43, None),
        ("whsec_" + "A" * 43 + "_", None),
        ("whsec_" + "é" * 44, None),
        ("whsec_", None),
    ],
)
def test_a_secret_is_fit_for_standard_webhooks_if_it_is_base64_of_24_to_64_bytes(
    secret: str, length: int | None
) -> None:
    key = standard_key(secret)

    assert (None if key is None else len(key)) == length


def headers_of(received: Received) -> Headers:
    return {**received.headers, "Stripe-Signature": received.signature}


def accepting(received: Received, secrets: list[str]) -> list[tuple[bool, bool]]:
    """Return by secret whether both packages accept a request."""
    told = headers_of(received), received.body
    return [(stripe_accepts(*told, one), standard_accepts(*told, one)) for one in secrets]


async def test_d5_a_rolled_secret_signs_beside_the_new_one_until_its_end(tmp_path: Path) -> None:
    async with open_delivery(tmp_path) as run, receiving(always(500)) as receiver:
        start_ms = SystemClock().now_ms()
        run.clock.set(start_ms)
        secrets = [new_secret(), new_secret()]
        endpoint = await run.add_endpoint(receiver.url, secret=secrets[0], standard_webhooks=True)
        (event,) = await run.emit()
        await receiver.wait_for(1)
        columns = rolled(
            TEST_VAULT,
            run.endpoint(endpoint),
            secrets[1],
            now_ms=start_ms,
            ends_at_ms=start_ms + ROLLED_SECONDS * 1000,
        )
        await run.change(endpoint, **columns)
        await run.until_attempts(1)
        receiver.answer = always(200)  # no pause follows
        await attempted(run, 1, start_ms + ROLLED_SECONDS * 1000 - 1)
        await attempted(run, 2, start_ms + ROLLED_SECONDS * 1000)
        # The next retry is due later than what the packages take for the present.
        await run.emit()
        before, during, after = await receiver.wait_for(3)

        assert accepting(before, secrets) == [(True, True), (False, False)]
        assert accepting(during, secrets) == [(True, True), (True, True)]
        assert accepting(after, secrets) == [(False, False), (True, True)]
        assert [one.headers["webhook-id"] for one in (before, during)] == [event.id, event.id]


async def attempted(run: DeliveryRun, attempts: int, now_ms: int) -> None:
    """Let an instant be the present once so many attempts are on record."""
    await run.until_attempts(attempts)
    run.advance_to(now_ms)


async def test_d5_an_endpoint_whose_secret_cannot_be_decrypted_holds_up_no_other(
    tmp_path: Path,
) -> None:
    async with open_delivery(tmp_path) as run, receiving() as one, receiving() as two:
        damaged = await run.add_endpoint(one.url)
        sound = await run.add_endpoint(two.url)
        await run.change(damaged, secret="damaged")
        await run.emit()
        await run.until(lambda: run.statuses(sound) == ["succeeded"])
        await run.until_attempts(2)

        (attempt,) = run.attempts(damaged)
        assert (attempt.outcome, run.statuses(damaged)) == ("secret_unreadable", ["pending"])
        assert one.received == []
