"""Requests as they are answered, for those who watch just now.

While nobody watches, nothing is done for it: whoever answers requests looks at `is_listened` first.
"""

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from meterbell.records import RequestEntry

KEPT_MAX = 1000


class Heard(NamedTuple):
    """What came after a cursor.

    Attributes:
        entries: Oldest first.
        cursor: Where to go on.
        has_gap: Whether there was more, which can't be had any more.
    """

    entries: list[RequestEntry]
    cursor: int
    has_gap: bool


class RequestFeed:
    """The latest requests, each with a number; listeners remember how far they have come.

    Attributes:
        is_listened: Whether somebody wants to be told.
        newest: Number of the latest request; a new listener's cursor.
    """

    def __init__(self, *, newest: int = 0) -> None:
        """Begin.

        Args:
            newest: Where numbers begin: past all those that an earlier process gave.
        """
        self.is_listened = False
        self.newest = newest
        self._missed = newest  # the latest number that nobody can hear of any more
        self._kept: deque[tuple[int, RequestEntry]] = deque()
        self._listeners = 0
        self._lingering: asyncio.TimerHandle | None = None
        self._news = asyncio.Event()

    @contextmanager
    def listening(self) -> Iterator[int]:
        """Be told of requests while inside, which gives the cursor to begin with."""
        self._listeners += 1
        self.is_listened = True
        try:
            yield self.newest
        finally:
            self._leave()

    def linger(self, seconds: float) -> None:
        """Be told for a while longer, for somebody who asks again and again."""
        if self._lingering is None:
            self._listeners += 1
            self.is_listened = True
        else:
            self._lingering.cancel()
        self._lingering = asyncio.get_running_loop().call_later(seconds, self._stop_lingering)

    def tell(self, entry: RequestEntry) -> None:
        """Give a request to those who listen."""
        self.newest += 1
        if len(self._kept) >= KEPT_MAX:
            self._missed = self._kept.popleft()[0]
        self._kept.append((self.newest, entry))
        self._news.set()

    def skip(self) -> None:
        """Say that there was a request which is not told of."""
        self.newest += 1
        self._missed = self.newest

    def after(self, cursor: int) -> Heard:
        """Return what came after a cursor."""
        entries = [entry for number, entry in self._kept if number > cursor]
        return Heard(entries, self.newest, cursor < self._missed or cursor > self.newest)

    async def wait_after(self, cursor: int, *, timeout_seconds: float) -> Heard:
        """Return what came after a cursor; if that is nothing, wait for the next request."""
        if cursor == self.newest:
            self._news.clear()
            try:
                async with asyncio.timeout(timeout_seconds):
                    await self._news.wait()
            except TimeoutError:
                pass
        return self.after(cursor)

    def _stop_lingering(self) -> None:
        self._lingering = None
        self._leave()

    def _leave(self) -> None:
        self._listeners -= 1
        if not self._listeners:
            self.is_listened = False
            self._kept.clear()
            self.skip()  # who comes back later has missed what was not told
