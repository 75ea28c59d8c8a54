"""Time, passed in: the one place that reads the system's clock."""

import time
from typing import Protocol


class Clock(Protocol):
    """A source of the present instant."""

    def now_ms(self) -> int:
        """Return milliseconds since 1970-01-01 UTC."""

    def monotonic_ns(self) -> int:
        """Return nanoseconds since some fixed instant, to measure how long things take."""


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        """Return the machine's time in milliseconds since 1970-01-01 UTC."""
        return time.time_ns() // 1_000_000  # noqa: TID251 - the one place that may

    def monotonic_ns(self) -> int:
        """Return the machine's monotonic time."""
        return time.monotonic_ns()


class SettableClock:
    """A clock that stands still until it is told otherwise."""

    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        """Return the instant that was set last."""
        return self._now_ms

    def monotonic_ns(self) -> int:
        """Return the instant that was set last, in nanoseconds."""
        return self._now_ms * 1_000_000

    def set(self, now_ms: int) -> None:
        """Make `now_ms` the present."""
        self._now_ms = now_ms

    def advance(self, *, seconds: float) -> None:
        """Move the present forward."""
        self._now_ms += round(seconds * 1000)
