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
    signatures = [f"v1={_sign(secret, timestamp, body)}" for secret in secrets]
    return ",".join([f"t={timestamp}", *signatures])


def is_signed(header: str, *, secret: str, body: bytes) -> bool:
    """Return whether a header was made for `body` with `secret`, however old it is."""
    fields = [part.partition("=")[::2] for part in header.split(",")]
    timestamps = [value for name, value in fields if name == "t"]
    if len(timestamps) != 1 or not timestamps[0].isascii() or not timestamps[0].isdecimal():
        return False
    expected = _sign(secret, int(timestamps[0]), body)
    return any(
        hmac.compare_digest(value.encode(), expected.encode())
        for name, value in fields
        if name == "v1"
    )


def _sign(secret: str, timestamp: int, body: bytes) -> str:
    message = b"%d.%b" % (timestamp, body)
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()
