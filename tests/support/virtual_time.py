"""An event loop whose time passes only while everybody waits: seconds cost nothing.

Sockets on this machine are real, and their other ends are in the same loop. When nothing comes from
them for a moment, nothing will before the next timer, so the time of that timer is now. While a
thread works for the loop, time stands still.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar

from typing_extensions import override

T = TypeVar("T")

# So long the kernel may take to carry bytes from one socket of this machine to another.
_GRACE_SECONDS = 0.01


class _Selector(selectors.DefaultSelector):
    """A selector that skips waiting.

    Attributes:
        now: Seconds that were skipped so far.
        working: How many threads work for the loop.
    """

    now = 0.0
    working = 0

    @override
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        if self.working:
            return super().select(None)  # the thread's end wakes it
        events = super().select(_GRACE_SECONDS)
        if not events:
            self.now += timeout
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """The event loop; its time begins at 0."""

    def __init__(self) -> None:
        self._skipping = _Selector()
        super().__init__(self._skipping)

    @override
    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., T], *args: Any
    ) -> "asyncio.Future[T]":
        self._skipping.working += 1
        work = super().run_in_executor(executor, func, *args)
        work.add_done_callback(self._end_work)
        return work

    def _end_work(self, _work: "asyncio.Future[Any]") -> None:
        self._skipping.working -= 1

    @override
    def time(self) -> float:
        return self._skipping.now


class VirtualClock:
    """A clock that goes with the time of the running loop."""

    def __init__(self, begin_ms: int) -> None:
        self._begin_ms = begin_ms

    def now_ms(self) -> int:
        """Return the instant at which the loop began, and what has passed since."""
        return self._begin_ms + round(asyncio.get_running_loop().time() * 1000)

    def monotonic_ns(self) -> int:
        """Return the loop's time."""
        return round(asyncio.get_running_loop().time() * 1_000_000_000)


def run_virtually(work: Coroutine[Any, Any, T]) -> T:
    """Run something to its end in such a loop."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)
