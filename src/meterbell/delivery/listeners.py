"""Those who wait for new events: `meterbell listen` and open pages."""

import asyncio


class EventFeed:
    """Wakes everybody who waits for the next committed event."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def notify(self) -> None:
        """Say that events were committed."""
        self._next.set()
        self._next = asyncio.Event()

    async def wait(self, *, timeout_seconds: float) -> bool:
        """Wait for the next committed event; return whether one came in time."""
        try:
            await asyncio.wait_for(self._next.wait(), timeout_seconds)
        except TimeoutError:
            return False
        return True
