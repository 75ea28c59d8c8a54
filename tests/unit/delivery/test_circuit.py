"""Circuits of endpoints: when they open, how long, and when an endpoint is given up."""

import itertools

from meterbell.delivery.circuit import (
    FAILING_MS_MAX,
    FAILURES_MAX,
    JITTER_MAX,
    PROBE_MS_MAX,
    PROBE_MS_MIN,
    SLOTS,
    after_attempt,
    is_given_up,
    slots,
)
from meterbell.records import EndpointHealth
from meterbell.wire.deliveries import circuit_state

WELL = EndpointHealth(endpoint="we_1")


def failing(
    health: EndpointHealth, times: int, *, now_ms: int, jitter: int = 500
) -> EndpointHealth:
    for _ in range(times):
        health = after_attempt(health, succeeded=False, now_ms=now_ms, jitter=jitter)
    return health


def failing_in_turn(times: int) -> EndpointHealth:
    """Return an endpoint after failures that each came as soon as they could."""
    health = WELL
    for _ in range(times):
        health = failing(health, 1, now_ms=health.probe_at_ms or 0)
    return health


def test_d2_a_circuit_opens_after_so_many_failures_in_a_row() -> None:
    nearly = failing_in_turn(FAILURES_MAX - 1)
    opened = failing(nearly, 1, now_ms=nearly.probe_at_ms or 0)

    assert not nearly.is_open
    assert opened.is_open
    assert opened.probe_at_ms == (nearly.probe_at_ms or 0) + PROBE_MS_MIN
    assert opened.failing_since_ms == 0
    assert after_attempt(opened, succeeded=True, now_ms=3000, jitter=0) == WELL
    assert after_attempt(nearly, succeeded=True, now_ms=3000, jitter=0) == WELL


def test_d2_short_pauses_follow_failures_from_the_second_on() -> None:
    ends = [failing_in_turn(count).probe_at_ms or 0 for count in range(1, FAILURES_MAX)]
    pauses = [after - before for before, after in itertools.pairwise(ends)]

    assert ends[0] == 0
    assert pauses == [50, 200, 800, 3200, *[PROBE_MS_MIN] * 4]


def test_d2_what_was_in_flight_when_it_opened_does_not_lengthen_the_pause() -> None:
    opened = failing_in_turn(FAILURES_MAX)
    later = failing(opened, 3, now_ms=(opened.probe_at_ms or 0) - 1)

    assert (later.probe_at_ms, later.openings) == (opened.probe_at_ms, 1)
    assert later.failures == FAILURES_MAX + 3


def test_d2_a_failure_that_was_in_flight_when_a_pause_began_opens_nothing() -> None:
    """Of the pause, of what metrics count, and of what the log tells the same is true."""
    nearly = failing_in_turn(FAILURES_MAX - 1)
    at = nearly.probe_at_ms or 0
    during = failing(nearly, 1, now_ms=at - 1)
    after = failing(during, 1, now_ms=at)

    assert (during.failures, during.is_open) == (FAILURES_MAX, False)
    assert circuit_state(during, now_ms=at - 1) == "closed"
    assert (after.is_open, after.openings) == (True, 1)
    assert circuit_state(after, now_ms=at) == "open"
    assert circuit_state(after, now_ms=after.probe_at_ms or 0) == "half_open"


def test_d2_pauses_between_probes_grow_to_a_limit_and_are_spread() -> None:
    health, pauses = failing_in_turn(FAILURES_MAX), []
    for _ in range(60):
        at = health.probe_at_ms or 0
        health = failing(health, 1, now_ms=at)
        pauses.append((health.probe_at_ms or 0) - at)

    assert pauses[:3] == [2 * PROBE_MS_MIN, 4 * PROBE_MS_MIN, 8 * PROBE_MS_MIN]
    assert set(pauses[6:]) == {PROBE_MS_MAX}
    for jitter, pause in ((0, PROBE_MS_MIN * 4 // 5), (JITTER_MAX, PROBE_MS_MIN * 6 // 5)):
        nearly = EndpointHealth(endpoint="we_1", failures=FAILURES_MAX - 1)
        assert failing(nearly, 1, now_ms=0, jitter=jitter).probe_at_ms == pause


def test_d3_five_days_of_nothing_but_failures_are_enough() -> None:
    first = failing(WELL, 1, now_ms=1000)

    assert not is_given_up(WELL, now_ms=10**15)
    assert not is_given_up(first, now_ms=1000 + FAILING_MS_MAX - 1)
    assert is_given_up(first, now_ms=1000 + FAILING_MS_MAX)


def test_d2_a_lane_begins_with_one_attempt_and_goes_back_to_it() -> None:
    assert [slots(WELL, successes=count) for count in range(6)] == [1, 2, 3, SLOTS, SLOTS, SLOTS]
    assert slots(failing(WELL, 1, now_ms=0), successes=100) == 1
