"""What of a channel's URL nobody may see, and an answer that quotes it without that. Pure."""

import re
from base64 import b64encode
from urllib.parse import parse_qsl, quote, unquote

from meterbell.delivery.channels.schemes import SHOWS_HOST

_MASK = b"****"
_LENGTH_MIN = 4
_BREAKS = re.compile(r"[/:@,;&=+ ]+")
_SHOWN_OPTIONS = frozenset({"bcc", "cc", "from", "mode", "name", "reply", "smtp", "to"})
"""Options of a URL's query that hold addresses and names, which help to understand an answer."""


def secrets_of(url: str) -> tuple[str, ...]:
    """Return the parts of a URL that may be secret, the longest first.

    What is shorter than four characters is none: it stands in too many words.
    """
    scheme, _, rest = url.partition("://")
    place, _, query = rest.partition("?")
    login, _, path = place.rpartition("@")
    host, _, path = path.partition("/")
    # Where a service is known by its scheme, what stands in a host's place is a token.
    is_host = scheme.lower() in SHOWS_HOST | {"http", "https"}
    parts = [login, path] if is_host else [login, host, path]
    parts += [value for name, value in parse_qsl(query) if name.lower() not in _SHOWN_OPTIONS]
    pieces = {piece for part in parts for piece in _BREAKS.split(part)}
    pieces.add(b64encode(unquote(login).encode()).decode())  # as HTTP sends it
    pieces |= {unquote(piece) for piece in pieces} | {quote(piece, safe="") for piece in pieces}
    return tuple(sorted((one for one in pieces if len(one) >= _LENGTH_MIN), key=len, reverse=True))


def without_secrets(answer: bytes, secrets: tuple[str, ...]) -> bytes:
    """Return an answer with a mask in the place of each secret that it quotes."""
    for secret in secrets:
        answer = answer.replace(secret.encode(), _MASK)
    return answer
