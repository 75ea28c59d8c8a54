"""When an endpoint that fails is left alone, asked again, and given up. Rules D2 and D3, pure.

From the second failure in a row on, a short and growing pause follows each, so that endpoints that
fail at once, and many deliveries for them, don't keep the server busy. After ten its circuit is
open: one probe at a time, at pauses of seconds and then minutes. What was due waits meanwhile, with
the attempts that it has left. The first success ends all of that. After five days of nothing but
failures the endpoint is disabled.
"""

import msgspec

from meterbell.records import EndpointHealth

FAILURES_MAX = 10
FAILING_MS_MAX = 5 * 24 * 3_600_000
PROBE_MS_MIN = 5_000
PROBE_MS_MAX = 5 * 60_000
_PAUSE_MS = 50
_GROWTH = 4
SLOTS = 4
_SPREAD_PARTS = 5
JITTER_MAX = 1000


def after_attempt(
    health: EndpointHealth, *, succeeded: bool, now_ms: int, jitter: int
) -> EndpointHealth:
    """Return how an endpoint is after an attempt.

    Args:
        health: How it was.
        succeeded: Whether it took the event.
        now_ms: The end of the attempt.
        jitter: From 0 to `JITTER_MAX`, at random: where in its spread the pause lies.
    """
    if succeeded:
        return EndpointHealth(endpoint=health.endpoint)
    health = msgspec.structs.replace(
        health,
        failures=health.failures + 1,
        failing_since_ms=now_ms if health.failing_since_ms is None else health.failing_since_ms,
    )
    if health.failures == 1 or (health.probe_at_ms or 0) > now_ms:
        # Attempts that were in flight when a pause began change nothing about it.
        return health
    if health.failures >= FAILURES_MAX:
        pause = min(PROBE_MS_MIN << min(health.openings, 16), PROBE_MS_MAX)
        openings = health.openings + 1
    else:
        pause = min(_PAUSE_MS * _GROWTH ** (health.failures - 2), PROBE_MS_MIN)
        openings = 0
    spread = pause // _SPREAD_PARTS
    return msgspec.structs.replace(
        health,
        openings=openings,
        probe_at_ms=now_ms + pause - spread + 2 * spread * jitter // JITTER_MAX,
    )


def is_given_up(health: EndpointHealth, *, now_ms: int) -> bool:
    """Return whether an endpoint has failed for so long that it is to be disabled."""
    since = health.failing_since_ms
    return since is not None and now_ms - since >= FAILING_MS_MAX


def slots(health: EndpointHealth, *, successes: int) -> int:
    """Return how many attempts may be in flight at a time.

    A lane begins with one, so that what is overdue after a start does not come all at once, and one
    that fails goes back to it.

    Args:
        health: How the endpoint is.
        successes: In a row, since the lane began.
    """
    return 1 if health.failures else min(1 + successes, SLOTS)
