"""What of a request may be kept: a path of words and ids, a message without secrets. Pure."""

import re

from meterbell.logs import redact

MASK = "****"
_PATH_LENGTH_MAX = 300
_TEXT_LENGTH_MAX = 500
_SEGMENTS_MAX = 12
_ID = re.compile(r"[A-Za-z0-9_.:@|=+~-]{1,255}")
# Where there is no such route, what stands in a path need not be an id.
_WORD = re.compile(r"[A-Za-z0-9_.-]{1,40}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
# A URL may hold a password, or a token anywhere in its path.
_URL = re.compile(r"\b([A-Za-z][A-Za-z0-9+.-]*)://[^\s'\"]*")


def shown_path(path: str, *, is_known: bool) -> str:
    """Return a path as it may be shown: without secrets, and with ids at most.

    Args:
        path: Decoded, without its query string.
        is_known: Whether there is such a route.
    """
    allowed = _ID if is_known else _WORD
    shown: list[str] = []
    for part in path.split("/"):
        if (part and not allowed.fullmatch(part)) or len(shown) >= _SEGMENTS_MAX:
            shown.append(MASK)
            break  # what follows may belong to it, as in a URL
        shown.append(part)
    return redact("/".join(shown))[:_PATH_LENGTH_MAX]


def shown_text(text: str, *, path: str, as_shown: str) -> str:
    """Return a text of an error as it may be shown.

    Args:
        text: May quote what was sent.
        path: The request's, which it may quote from.
        as_shown: What `shown_path` made of that.
    """
    # Errors about a path quote its first 200 characters.
    text = text.replace(path, as_shown).replace(path[:200], as_shown) if path != "/" else text
    text = _URL.sub(rf"\1://{MASK}", text)
    return redact(_CONTROL.sub(" ", text))[:_TEXT_LENGTH_MAX]
