"""Open pages follow what is committed: one stream a page, a few pushes a second at most.

What is pushed is the page's own block `live`, rendered anew by the page's own view, so a page that
was open for an hour shows what a reload would.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NamedTuple

from meterbell.clock import Clock

PUSH_SECONDS = 0.25
"""Between two pushes at least."""
STREAMS_MAX = 200
STREAMS_EACH_MAX = 50
"""Of one session: nobody takes all there are."""
KEEP_ALIVE_SECONDS = 15.0
PAUSE_SECONDS_MAX = 5.0
# Of the event loop's time, for all open pages together: a hundred of them must not slow counting.
_SHARE = 0.1
_SMOOTHING = 0.2


class Moment(NamedTuple):
    """How far everything is: two equal ones show the same page.

    Attributes:
        sequence: Place in commit order of the latest usage.
        version: The store's.
        minute: Some of what is shown depends on the time.
        readings: Some of it takes long to be read, and is there afterwards.
    """

    sequence: int
    version: int
    minute: int
    readings: int


class LivePages:
    """The streams of all open pages."""

    def __init__(self, clock: Clock, now: Callable[[], Moment]) -> None:
        """Begin without any.

        Args:
            clock: Measures what a push costs.
            now: Tells how far everything is; cheap.
        """
        self._clock = clock
        self._now = now
        self._open: Counter[str] = Counter()
        self._cost_seconds = 0.0

    def is_full(self, session: str) -> bool:
        """Whether there may be no other stream, or none of a session."""
        return self._open.total() >= STREAMS_MAX or self._open[session] >= STREAMS_EACH_MAX

    async def pushes(
        self, session: str, render: Callable[[], Awaitable[str | None]]
    ) -> AsyncIterator[str]:
        """Yield server-sent events for one page until it is gone.

        Args:
            session: Whose page it is.
            render: Returns the block as it is now; None if there is nothing to see any more.
        """
        self._open[session] += 1
        try:
            shown, moment, quiet = "", None, 0.0
            while True:
                pause, now = PUSH_SECONDS, self._now()
                if now != moment:
                    moment, begun_ns = now, self._clock.monotonic_ns()
                    block = await render()
                    if block is None:
                        return
                    pause = self._pause((self._clock.monotonic_ns() - begun_ns) / 1e9)
                    if block != shown:
                        shown, quiet = block, 0.0
                        yield _message(block, now.sequence)
                if quiet >= KEEP_ALIVE_SECONDS:
                    quiet = 0.0
                    yield ": still here\n\n"
                await asyncio.sleep(pause)
                quiet += pause
        finally:
            self._open[session] -= 1
            if not self._open[session]:
                del self._open[session]

    def _pause(self, cost_seconds: float) -> float:
        """Return how long to wait after a push, so that all of them together take a small share."""
        self._cost_seconds += (cost_seconds - self._cost_seconds) * _SMOOTHING
        wanted = self._cost_seconds * self._open.total() / _SHARE
        return min(max(PUSH_SECONDS, wanted), PAUSE_SECONDS_MAX)


def _message(block: str, sequence: int) -> str:
    lines = "\n".join(f"data: {line}" for line in block.splitlines())
    return f"id: {sequence}\n{lines}\n\n"
