"""The headers that prove who sends: Stripe's, and those of Standard Webhooks 1.0.0.

Stripe's scheme keys with the whole secret, `whsec_` included; Standard Webhooks with the bytes that
the rest of it is in base64.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence

_PREFIX = "whsec_"
_STANDARD_BYTES = range(24, 65)


def signed_headers(
    secrets: Sequence[str], *, event_id: str, timestamp: int, body: bytes, is_standard: bool
) -> dict[str, str]:
    """Return the signing headers of one attempt.

    Args:
        secrets: All that are valid, the newest first.
        event_id: The same for all attempts.
        timestamp: Unix seconds of the attempt.
        body: The exact bytes that are sent.
        is_standard: Whether to add the headers of Standard Webhooks. Secrets that are not fit for
            them are left out there: nobody could check what they sign.
    """
    headers = {"Stripe-Signature": signature_header(secrets, timestamp=timestamp, body=body)}
    if is_standard:
        message = f"{event_id}.{timestamp}.".encode() + body
        keys = [key for secret in secrets if (key := standard_key(secret)) is not None]
        signatures = [base64.b64encode(hmac.digest(key, message, "sha256")) for key in keys]
        headers |= {
            "webhook-id": event_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": " ".join(f"v1,{one.decode()}" for one in signatures),
        }
    return headers


def standard_key(secret: str) -> bytes | None:
    """Return what Standard Webhooks signs with; None if a secret is not fit for it."""
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except ValueError:
        return None
    return key if len(key) in _STANDARD_BYTES else None


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
