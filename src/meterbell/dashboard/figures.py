"""What is worked out now and then and shared by all pages: how often alerts fired.

Nothing here costs counting anything: it is worked out when a page asks, and kept for a while.
"""

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from meterbell.dashboard.attempt_figures import AttemptFigures
from meterbell.ids import AlertId
from meterbell.services import Services

LATEST_MAX = 8
"""Triggers that are known as the latest of a mode."""
DAY_MS = 24 * 3600 * 1000
_ROWS_AT_ONCE = 5000


@dataclass(slots=True)
class Fired:
    """How often one alert fired.

    Attributes:
        customers: For how many customers.
        last_ms: When it did last.
        by_day: How often on each UTC day since 1970.
    """

    customers: int = 0
    last_ms: int = 0
    by_day: Counter[int] = field(default_factory=Counter)


class Figures:
    """Numbers that pages show and that nobody could count while a page is waited for.

    Attributes:
        attempts: How attempts of deliveries went.
    """

    def __init__(self, services: Services) -> None:
        """Begin with nothing; each is worked out when it is asked for."""
        self.attempts = AttemptFigures(services)
        self._services = services
        self._fired: defaultdict[AlertId, Fired] = defaultdict(Fired)
        self._by_day: dict[bool, Counter[int]] = {False: Counter(), True: Counter()}
        self._latest: dict[bool, deque[int]] = {
            mode: deque(maxlen=LATEST_MAX) for mode in (False, True)
        }
        self._trigger = 0
        self._counting = asyncio.Lock()

    async def fired(self) -> Mapping[AlertId, Fired]:
        """Return how often each alert fired; only what is new since is read."""
        async with self._counting:
            while True:
                rows = self._services.store.reader.triggers_after(
                    self._trigger, limit=_ROWS_AT_ONCE
                )
                for number, alert, created_ms in rows:
                    self._trigger = number
                    fired = self._fired[AlertId(alert)]
                    fired.customers += 1
                    fired.last_ms = created_ms
                    fired.by_day[created_ms // DAY_MS] += 1
                    livemode = self._services.state.alerts[AlertId(alert)].livemode
                    self._by_day[livemode][created_ms // DAY_MS] += 1
                    self._latest[livemode].append(number)
                if len(rows) < _ROWS_AT_ONCE:
                    return self._fired
                await asyncio.sleep(0)  # the first time there may be many

    async def latest(self, *, livemode: bool) -> Sequence[int]:
        """Return the numbers of a mode's latest triggers, oldest first."""
        await self.fired()
        return list(self._latest[livemode])

    async def fired_on(self, day: int, *, livemode: bool) -> int:
        """Return how often alerts of a mode fired on a UTC day since 1970."""
        await self.fired()
        return self._by_day[livemode][day]
