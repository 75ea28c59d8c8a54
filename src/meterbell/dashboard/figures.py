"""What is worked out now and then and shared by all pages: how often alerts fired.

Nothing here costs counting anything: it is worked out when a page asks, and kept for a while.
"""

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import Mapping
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


@dataclass(slots=True)
class FiredInMode:
    """How often all alerts of a mode fired.

    Attributes:
        by_day: How often on each UTC day since 1970.
        latest: Numbers of the latest triggers, oldest first.
    """

    by_day: Counter[int] = field(default_factory=Counter)
    latest: deque[int] = field(default_factory=lambda: deque(maxlen=LATEST_MAX))


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
        self._modes = {False: FiredInMode(), True: FiredInMode()}
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
                    mode = self._modes[self._services.state.alerts[AlertId(alert)].livemode]
                    mode.by_day[created_ms // DAY_MS] += 1
                    mode.latest.append(number)
                if len(rows) < _ROWS_AT_ONCE:
                    return self._fired
                await asyncio.sleep(0)  # the first time there may be many

    async def fired_in_mode(self, *, livemode: bool) -> FiredInMode:
        """Return how often all alerts of a mode fired; only what is new since is read."""
        await self.fired()
        return self._modes[livemode]
