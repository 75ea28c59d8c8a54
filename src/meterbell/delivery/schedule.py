"""When the next attempt of a delivery is due, and when to give up. Rule D3, pure.

Live mode: delays grow from seconds to half a day, over three days. Test mode: three retries over a
few hours. Each delay is spread by a fifth either way, so that many deliveries that failed together
don't come back together.
"""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_SECOND_MS = 1000
_MINUTE_MS = 60 * _SECOND_MS
_HOUR_MS = 60 * _MINUTE_MS

_LIVE_DELAYS_MS = (
    5 * _SECOND_MS,
    30 * _SECOND_MS,
    2 * _MINUTE_MS,
    10 * _MINUTE_MS,
    30 * _MINUTE_MS,
    _HOUR_MS,
    2 * _HOUR_MS,
    4 * _HOUR_MS,
    8 * _HOUR_MS,
    12 * _HOUR_MS,
)
_TEST_DELAYS_MS = (10 * _SECOND_MS, 10 * _MINUTE_MS, 3 * _HOUR_MS)
_LIVE_WINDOW_MS = 72 * _HOUR_MS
_TEST_WINDOW_MS = 4 * _HOUR_MS
_JITTER_PARTS = 5
_RETRY_AFTER_MAX_MS = 24 * _HOUR_MS
_RETRY_AFTER_DIGITS_MAX = 9
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

JITTER_MAX = 1000


def next_attempt_at_ms(
    *,
    livemode: bool,
    attempts: int,
    created_ms: int,
    now_ms: int,
    jitter: int,
    retry_after_ms: int | None,
) -> int | None:
    """Return when to try again, or None to give up.

    An endpoint may ask for a later attempt than the schedule's, up to the end of the window.

    Args:
        livemode: Which of the two schedules applies.
        attempts: How many attempts were made, the failed one included; at least 1.
        created_ms: When the delivery was made.
        now_ms: The present.
        jitter: From 0 to `JITTER_MAX`, at random: where in the spread the delay lies.
        retry_after_ms: What the endpoint asked for, from `parse_retry_after`.
    """
    delays = _LIVE_DELAYS_MS if livemode else _TEST_DELAYS_MS
    if not livemode and attempts > len(delays):
        return None
    delay = delays[min(attempts, len(delays)) - 1]
    spread = delay // _JITTER_PARTS
    due = now_ms + delay - spread + 2 * spread * jitter // JITTER_MAX
    end = created_ms + _window_ms(livemode=livemode)
    if livemode and due > end:
        return None
    return max(due, min(now_ms + (retry_after_ms or 0), end))


def oldest_kept_ms(*, livemode: bool, now_ms: int) -> int:
    """Return since when a delivery must exist to be kept for a disabled endpoint."""
    return now_ms - _window_ms(livemode=livemode)


def parse_retry_after(header: str | None, *, now_ms: int) -> int | None:
    """Return how long a `Retry-After` header asks to wait, at most a day; None if it says nothing.

    Args:
        header: Seconds or an HTTP date, or anything at all.
        now_ms: The present, for dates.
    """
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdecimal():
        if len(text) > _RETRY_AFTER_DIGITS_MAX:
            return _RETRY_AFTER_MAX_MS
        return min(int(text) * _SECOND_MS, _RETRY_AFTER_MAX_MS)
    try:
        at = parsedate_to_datetime(text)
        if at.tzinfo is None:
            at = at.replace(tzinfo=UTC)
        wait = int((at - _EPOCH).total_seconds()) * _SECOND_MS - now_ms
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
    return min(max(wait, 0), _RETRY_AFTER_MAX_MS)


def _window_ms(*, livemode: bool) -> int:
    return _LIVE_WINDOW_MS if livemode else _TEST_WINDOW_MS
