"""What is worked out now and then and shared by all pages: how often alerts fired.

Nothing here costs counting anything: it is worked out when a page asks, and kept for a while.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from meterbell.ids import AlertId
from meterbell.services import Services

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
    """Numbers that pages show and that nobody could count while a page is waited for."""

    def __init__(self, services: Services) -> None:
        """Begin with nothing; each is worked out when it is asked for."""
        self._services = services
        self._fired: defaultdict[AlertId, Fired] = defaultdict(Fired)
        self._by_day: dict[bool, Counter[int]] = {False: Counter(), True: Counter()}
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
                if len(rows) < _ROWS_AT_ONCE:
                    return self._fired
                await asyncio.sleep(0)  # the first time there may be many

    async def fired_on(self, day: int, *, livemode: bool) -> int:
        """Return how often alerts of a mode fired on a UTC day since 1970."""
        await self.fired()
        return self._by_day[livemode][day]
