"""Clocks."""

import time

from meterbell.clock import SettableClock, SystemClock


def test_the_system_clock_counts_milliseconds_since_1970() -> None:
    before = time.time_ns() // 1_000_000  # noqa: TID251 - compared with the clock under test
    now = SystemClock().now_ms()
    after = time.time_ns() // 1_000_000  # noqa: TID251 - compared with the clock under test

    assert before <= now <= after


def test_a_settable_clock_stands_still_until_told_otherwise() -> None:
    clock = SettableClock(1_000)
    assert [clock.now_ms(), clock.now_ms()] == [1_000, 1_000]

    clock.advance(seconds=0.25)
    assert clock.now_ms() == 1_250

    clock.set(500)
    assert clock.now_ms() == 500
