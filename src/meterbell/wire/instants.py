"""Instants as the v2 API writes them: RFC 3339, such as `2026-06-01T12:00:00.000Z`, pure."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from meterbell.errors import InvalidParamError

# ASCII digits only; the colon in the offset is required, as are the seconds.
_INSTANT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)


def parse_instant_ms(text: str, *, param: str) -> int:
    """Return the milliseconds since 1970-01-01 UTC that a text stands for, rounded down.

    Args:
        text: As received: date, time with seconds, up to 9 digits of a fraction, `Z` or an offset.
        param: Wire path to name in the error.

    Raises:
        InvalidParamError: `text` is no such instant.
    """
    found = _instant_ms(text)
    if found is None:
        raise InvalidParamError(
            f"Invalid timestamp: {text[:40]}. {param} is written as in RFC 3339, with a time zone: "
            "2026-06-01T12:00:00Z.",
            param=param,
        )
    return found


# The meter events of one request often have few different times.
@lru_cache(maxsize=1024)
def _instant_ms(text: str) -> int | None:
    match = _INSTANT.fullmatch(text)
    if match is None:
        return None
    day, clock, fraction, offset = match.groups()
    try:
        at = datetime.fromisoformat(f"{day}T{clock}{'+00:00' if offset in 'Zz' else offset}")
    except ValueError:
        return None
    seconds = (at - _EPOCH) // _SECOND
    return seconds * 1000 + int((fraction or "").ljust(3, "0")[:3])


def format_instant(ms: int) -> str:
    """Return an instant in milliseconds since 1970-01-01 UTC as RFC 3339 text."""
    seconds, rest = divmod(ms, 1000)
    at = (_EPOCH + seconds * _SECOND).replace(tzinfo=None)
    return f"{at.isoformat()}.{rest:03}Z"
