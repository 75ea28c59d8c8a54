"""When attempts are made and when they end: rule D3."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterbell.delivery.schedule import (
    JITTER_MAX,
    next_attempt_at_ms,
    oldest_kept_ms,
    parse_retry_after,
)
from tests.builders import NOW
from tests.hypothesis_profiles import part_of_examples

NOW_MS = NOW * 1000
SECOND_MS = 1000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

jitters = st.integers(min_value=0, max_value=JITTER_MAX)
waits = st.none() | st.integers(min_value=0, max_value=DAY_MS)


def due_after_ms(
    attempts: int,
    *,
    livemode: bool = True,
    jitter: int = JITTER_MAX // 2,
    age_ms: int = 0,
    retry_after_ms: int | None = None,
) -> int | None:
    """Return how long the wait is after some failed attempts, the last of them now."""
    due = next_attempt_at_ms(
        livemode=livemode,
        attempts=attempts,
        created_ms=NOW_MS - age_ms,
        now_ms=NOW_MS,
        jitter=jitter,
        retry_after_ms=retry_after_ms,
    )
    return None if due is None else due - NOW_MS


def play(*, livemode: bool, jitter: int, retry_after_ms: int | None) -> list[int]:
    """Return when attempts are made, if all of them fail at once."""
    at: int | None = NOW_MS
    made: list[int] = []
    while at is not None:
        made.append(at)
        at = next_attempt_at_ms(
            livemode=livemode,
            attempts=len(made),
            created_ms=NOW_MS,
            now_ms=at,
            jitter=jitter,
            retry_after_ms=retry_after_ms,
        )
    return made


def test_d3_test_mode_tries_three_times_again_within_a_few_hours() -> None:
    waits = [due_after_ms(attempts, livemode=False) for attempts in (1, 2, 3, 4)]

    assert waits == [10 * SECOND_MS, 600 * SECOND_MS, 3 * HOUR_MS, None]


def test_d3_live_mode_begins_with_seconds_and_ends_with_half_days() -> None:
    assert due_after_ms(1) == 5 * SECOND_MS
    assert due_after_ms(10) == 12 * HOUR_MS
    assert due_after_ms(11) == 12 * HOUR_MS


def test_d3_live_mode_goes_on_for_three_days() -> None:
    made = play(livemode=True, jitter=JITTER_MAX // 2, retry_after_ms=None)

    assert len(made) == 14
    assert 60 * HOUR_MS < made[-1] - NOW_MS <= 72 * HOUR_MS


@pytest.mark.parametrize(("jitter", "seconds"), [(0, 4), (500, 5), (1000, 6)])
def test_d3_a_delay_is_spread_by_a_fifth_either_way(jitter: int, seconds: int) -> None:
    assert due_after_ms(1, jitter=jitter) == seconds * SECOND_MS


@given(livemode=st.booleans(), jitter=jitters, retry_after_ms=waits)
def test_d3_attempts_end_and_stay_within_the_window(
    livemode: bool,  # noqa: FBT001 - hypothesis names its arguments
    jitter: int,
    retry_after_ms: int | None,
) -> None:
    made = play(livemode=livemode, jitter=jitter, retry_after_ms=retry_after_ms)

    pauses = [later - earlier for earlier, later in pairwise(made)]
    assert min(pauses) >= 4 * SECOND_MS
    assert len(made) <= 16 if livemode else len(made) <= 4
    assert made[-1] - made[0] <= (72 if livemode else 8) * HOUR_MS


@given(
    livemode=st.booleans(),
    attempts=st.integers(min_value=1, max_value=9),
    jitter=jitters,
)
def test_d3_pauses_grow(
    livemode: bool,  # noqa: FBT001 - hypothesis names its arguments
    attempts: int,
    jitter: int,
) -> None:
    first = due_after_ms(attempts, livemode=livemode, jitter=jitter)
    second = due_after_ms(attempts + 1, livemode=livemode, jitter=0)

    assert first is None or second is None or first <= second


@given(attempts=st.integers(min_value=1, max_value=9), jitter=jitters, wait=waits)
def test_d3_an_endpoint_may_ask_for_later_never_for_sooner(
    attempts: int, jitter: int, wait: int | None
) -> None:
    usual = due_after_ms(attempts, jitter=jitter)
    asked = due_after_ms(attempts, jitter=jitter, retry_after_ms=wait)

    assert usual is not None
    assert asked == max(usual, wait or 0)


@pytest.mark.parametrize(("livemode", "window_hours"), [(True, 72), (False, 4)])
def test_d3_asking_for_later_costs_no_attempt_but_ends_with_the_window(
    *, livemode: bool, window_hours: int
) -> None:
    age_ms = (window_hours - 1) * HOUR_MS

    due = due_after_ms(1, livemode=livemode, age_ms=age_ms, retry_after_ms=DAY_MS)

    assert due == HOUR_MS


def test_d3_an_attempt_made_late_is_the_last_one_in_live_mode() -> None:
    assert due_after_ms(1, age_ms=100 * HOUR_MS, retry_after_ms=DAY_MS) is None


def test_d3_a_disabled_endpoint_keeps_what_is_in_the_window() -> None:
    assert oldest_kept_ms(livemode=True, now_ms=NOW_MS) == NOW_MS - 72 * HOUR_MS
    assert oldest_kept_ms(livemode=False, now_ms=NOW_MS) == NOW_MS - 4 * HOUR_MS


def http_date(at: datetime) -> str:
    return at.strftime("%a, %d %b %Y %H:%M:%S GMT")


PRESENT = datetime.fromtimestamp(NOW, UTC)


@pytest.mark.parametrize(
    ("header", "wait_ms"),
    [
        (None, None),
        ("0", 0),
        ("120", 120 * SECOND_MS),
        (" 120 ", 120 * SECOND_MS),
        ("86401", DAY_MS),
        ("9" * 5000, DAY_MS),
        (http_date(PRESENT + timedelta(minutes=2)), 120 * SECOND_MS),
        (http_date(PRESENT + timedelta(days=400)), DAY_MS),
        (http_date(PRESENT - timedelta(days=400)), 0),
        # Other zones, and none at all, which is read as UTC.
        ("Thu, 01 Jan 2026 02:02:00 +0200", 120 * SECOND_MS),
        ("Thu, 01 Jan 2026 00:02:00 -0000", 120 * SECOND_MS),
        ("", None),
        ("-5", None),
        ("+5", None),
        ("1.5", None),
        ("NaN", None),
        ("inf", None),
        ("1e9", None),
        ("١٢", None),
        ("²", None),
        ("soon", None),
        ("Thu, 32 Jan 2026 00:02:00 GMT", None),
        ("Thu, 01 Jan 2026 00:02:00 +9999999999", None),
    ],
)
def test_d3_retry_after_is_seconds_or_a_date_within_a_day(
    header: str | None, wait_ms: int | None
) -> None:
    assert parse_retry_after(header, now_ms=NOW_MS) == wait_ms


@part_of_examples(5)
@given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, [0-9]+ [A-Z][a-z]{2} [0-9]+ [0-9:]+ .*"))
def test_d3_no_retry_after_does_harm(header: str) -> None:
    wait = parse_retry_after(header, now_ms=NOW_MS)

    assert wait is None or 0 <= wait <= DAY_MS
