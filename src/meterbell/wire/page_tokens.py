"""Tokens of customer pages: what a page may show and do, signed, so that nobody can change it.

A token is `page_tok_CLAIMS.MAC`, both in base64 without padding. The code covers the very
characters of the claims, and it is compared as it is written: there is one token for some claims,
and no other text that is taken for it.
"""

import base64
import hmac
import re
from typing import Literal

import msgspec

Theme = Literal["auto", "light", "dark"]

_PREFIX = "page_tok_"
_TOKEN = re.compile(_PREFIX + r"([A-Za-z0-9_-]{1,4096})\.([A-Za-z0-9_-]{43})")


class PageClaims(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What a page may show and do.

    Attributes:
        customer: The only one that it shows.
        expires_at: Unix seconds; from then on it shows nothing.
        allow_alerts: Whether it may set alerts for the customer.
        theme: `auto` follows the viewer's system.
        accent: A colour such as `#3145c4`; empty for ours.
        frame_origins: Sites that may show it within a page of theirs.
    """

    livemode: bool
    customer: str
    expires_at: int
    allow_alerts: bool
    theme: Theme
    accent: str
    frame_origins: list[str]


_decoder = msgspec.json.Decoder(PageClaims)


def sign_page(claims: PageClaims, key: bytes) -> str:
    """Return the token of a page."""
    text = _base64(msgspec.json.encode(claims))
    return f"{_PREFIX}{text}.{_mac(text, key)}"


def read_page(token: str, key: bytes) -> PageClaims | None:
    """Return what a token says, ended or not; None if it was not signed with this key."""
    match = _TOKEN.fullmatch(token)
    if match is None or not hmac.compare_digest(match[2], _mac(match[1], key)):
        return None
    return _decoder.decode(base64.urlsafe_b64decode(match[1] + "=" * (-len(match[1]) % 4)))


def _mac(text: str, key: bytes) -> str:
    return _base64(hmac.digest(key, text.encode(), "sha256"))


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
