"""The `Stripe-Signature` header: make and check (contract §4)."""

import hashlib
import hmac
from collections.abc import Sequence


def signature_header(secrets: Sequence[str], *, timestamp: int, body: bytes) -> str:
    """Return the header for one attempt: `t=…,v1=…`, one `v1` for each secret that is valid.

    Args:
        secrets: Whole secrets, `whsec_` included; the newest first.
        timestamp: Unix seconds of the attempt.
        body: The exact bytes that are sent.
    """
    signatures = [f"v1={_sign(secret, str(timestamp), body)}" for secret in secrets]
    return ",".join([f"t={timestamp}", *signatures])


def is_signed(header: str, *, secret: str, body: bytes) -> bool:
    """Return whether a header was made for `body` with `secret`, however old it is."""
    fields = [part.partition("=")[::2] for part in header.split(",")]
    timestamps = [value for name, value in fields if name == "t"]
    if len(timestamps) != 1:
        return False
    expected = _sign(secret, timestamps[0], body).encode()
    return any(
        hmac.compare_digest(value.encode(errors="replace"), expected)
        for name, value in fields
        if name == "v1"
    )


def _sign(secret: str, timestamp: str, body: bytes) -> str:
    message = timestamp.encode(errors="replace") + b"." + body
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()
