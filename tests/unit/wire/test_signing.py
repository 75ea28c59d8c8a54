"""Signatures, as Stripe's own SDK checks them."""

import json

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st

from meterbell.wire.signing import is_signed, signature_header
from tests.builders import NOW

SECRET = "whsec_new"
OLD_SECRET = "whsec_old"
BODY = json.dumps({"id": "evt_1", "object": "event", "name": "Zoë"}).encode()


def sdk_accepts(header: str, *, secret: str = SECRET, body: bytes = BODY) -> bool:
    """Return whether Stripe's SDK takes an event, however old."""
    try:
        stripe.Webhook.construct_event(body, header, secret, tolerance=0)
    except stripe.SignatureVerificationError:
        return False
    return True


def test_the_header_has_the_documented_form() -> None:
    header = signature_header(["whsec_test"], timestamp=1, body=b"{}")

    # From `printf '1.{}' | openssl dgst -sha256 -hmac whsec_test`.
    digest = "7500d5d4be4b3ef07af1fe56f7d522d135cdaa7530de557e67cc1049c52de094"
    assert header == f"t=1,v1={digest}"


def test_stripes_sdk_accepts_the_header() -> None:
    header = signature_header([SECRET], timestamp=NOW, body=BODY)

    assert sdk_accepts(header)
    assert is_signed(header, secret=SECRET, body=BODY)


@pytest.mark.parametrize("secret", [SECRET, OLD_SECRET])
def test_each_of_several_secrets_is_enough(secret: str) -> None:
    header = signature_header([SECRET, OLD_SECRET], timestamp=NOW, body=BODY)

    assert header.count("v1=") == 2
    assert sdk_accepts(header, secret=secret)
    assert is_signed(header, secret=secret, body=BODY)


@given(
    body=st.binary(max_size=50),
    other=st.binary(max_size=50),
    timestamp=st.integers(min_value=0, max_value=2**40),
)
def test_a_header_is_for_one_body_only(body: bytes, other: bytes, timestamp: int) -> None:
    header = signature_header([SECRET], timestamp=timestamp, body=body)

    assert is_signed(header, secret=SECRET, body=body)
    assert is_signed(header, secret=SECRET, body=other) == (body == other)


GOOD = signature_header([SECRET], timestamp=NOW, body=BODY)
DIGEST = GOOD.partition("v1=")[2]


@pytest.mark.parametrize(
    "header",
    [
        "",
        "t=",
        "nonsense",
        f"v1={DIGEST}",
        f"t={NOW}",
        f"t={NOW},v1=",
        f"t={NOW},v0={DIGEST}",
        f"t={NOW + 1},v1={DIGEST}",
        f"t=0{NOW},v1={DIGEST}",
        f"t={NOW},t={NOW},v1={DIGEST}",
        f"t={NOW},v1={DIGEST.upper()}",
        f"t={NOW},v1={DIGEST[:-1]}",
        f"t={NOW},v1=ü\udcff",
        f"t=\udcff,v1={DIGEST}",
        f"t={'9' * 10_000},v1={DIGEST}",
    ],
)
def test_anything_else_is_refused(header: str) -> None:
    assert not is_signed(header, secret=SECRET, body=BODY)


def test_another_secret_is_refused() -> None:
    assert not sdk_accepts(GOOD, secret=OLD_SECRET)
    assert not is_signed(GOOD, secret=OLD_SECRET, body=BODY)
