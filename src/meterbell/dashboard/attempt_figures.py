"""How attempts went in the last 24 hours, by endpoint; a page that asks reads only what is new."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from meterbell.records import Attempt
from meterbell.services import Services

READ_MAX = 20_000
"""Attempts that are looked at, at most, since the last time a page asked."""

_ROWS_AT_ONCE = 500
_HOUR_MS = 3600 * 1000
_HOURS = 24
# Durations are kept with so many binary digits: three percent off at most.
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Went:
    """How an endpoint's attempts of the last 24 hours went.

    Attributes:
        p50_ms: Half of them took no longer.
        p95_ms: Of twenty, nineteen took no longer.
        since_ms: They are those since then; 0 if they are all of the 24 hours.
        error: Outcome of the latest one that failed; empty if none did.
        error_ms: When that was.
    """

    attempts: int = 0
    succeeded: int = 0
    p50_ms: int = 0
    p95_ms: int = 0
    since_ms: int = 0
    error: str = ""
    error_ms: int = 0


@dataclass(slots=True)
class _Hour:
    succeeded: int = 0
    durations: Counter[int] = field(default_factory=Counter)
    error: str = ""
    error_ms: int = 0


class AttemptFigures:
    """Figures of every endpoint's attempts."""

    def __init__(self, services: Services) -> None:
        """Begin with nothing."""
        self._services = services
        self._number = 0
        self._since_ms = 0
        self._hours: defaultdict[str, defaultdict[int, _Hour]] = defaultdict(
            lambda: defaultdict(_Hour)
        )
        self._reading = asyncio.Lock()

    async def last_day(self) -> Mapping[str, Went]:
        """Return how attempts went, by endpoint; those without any are not in it."""
        async with self._reading:
            await self._read()
        oldest = self._services.clock.now_ms() // _HOUR_MS - _HOURS + 1
        for endpoint, hours in list(self._hours.items()):
            for hour in [hour for hour in hours if hour < oldest]:
                del hours[hour]
            if not hours:
                del self._hours[endpoint]
        since_ms = self._since_ms if self._since_ms >= oldest * _HOUR_MS else 0
        return {name: _went(hours, since_ms) for name, hours in self._hours.items()}

    async def _read(self) -> None:
        objects = self._services.store.reader
        first = objects.newest_number(Attempt) - READ_MAX
        is_cut = first > self._number
        if is_cut:
            self._hours.clear()
            self._number = first
        while True:
            rows = objects.attempts_after(self._number, limit=_ROWS_AT_ONCE)
            for number, endpoint, started_ms, duration_ms, outcome in rows:
                self._number = number
                if is_cut:
                    self._since_ms, is_cut = started_ms, False
                hour = self._hours[endpoint][started_ms // _HOUR_MS]
                hour.durations[_rounded(duration_ms)] += 1
                if outcome == "succeeded":
                    hour.succeeded += 1
                else:
                    hour.error, hour.error_ms = outcome, started_ms
            if len(rows) < _ROWS_AT_ONCE:
                return
            await asyncio.sleep(0)  # the first time there may be many


def _rounded(milliseconds: int) -> int:
    """Return a duration with few binary digits, so that there are few different ones."""
    shift = max(milliseconds.bit_length() - _DIGITS, 0)
    return milliseconds >> shift << shift


def _went(hours: Mapping[int, _Hour], since_ms: int) -> Went:
    durations: Counter[int] = Counter()
    for hour in hours.values():
        durations.update(hour.durations)
    failed = [hour for hour in hours.values() if hour.error]
    last = max(failed, key=lambda hour: hour.error_ms) if failed else _Hour()
    return Went(
        attempts=durations.total(),
        succeeded=sum(hour.succeeded for hour in hours.values()),
        p50_ms=_percentile(durations, 50),
        p95_ms=_percentile(durations, 95),
        since_ms=since_ms,
        error=last.error,
        error_ms=last.error_ms,
    )


def _percentile(durations: Counter[int], percent: int) -> int:
    """Return the least duration within which so many percent of the attempts were over."""
    wanted = -(-durations.total() * percent // 100)
    for duration in sorted(durations):
        wanted -= durations[duration]
        if wanted <= 0:
            return duration
    return 0
