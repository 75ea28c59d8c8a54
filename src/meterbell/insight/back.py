"""The log from a place back, some rows at a time, for whoever looks for the latest."""

from collections.abc import Callable, Iterator

from meterbell.engine.model import EventRun
from meterbell.engine.state import State
from meterbell.store.base import LogView

_ROWS_AT_ONCE = 16
# A row holds one event where little happens, and five hundred where much does.
_ROWS_MAX = 2000


class WayBack:
    """One way back through the log.

    Attributes:
        reached: All from here on was read.
        looked_at: So many meter events were given.
        since_ms: When the first of these was received; 0 if there is none.
    """

    def __init__(self, view: LogView, state: State, before: int) -> None:
        """Begin.

        Args:
            view: The log.
            state: Knows where it begins.
            before: A place, or one past the end.
        """
        self._view = view
        self._state = state
        self._before = before
        self.reached = before
        self.looked_at = 0
        self.since_ms = 0

    @property
    def is_at_begin(self) -> bool:
        """Whether the log holds nothing before that."""
        return self.reached <= self._state.log_begins

    def events(self, is_enough: Callable[[], bool]) -> Iterator[tuple[EventRun, int]]:
        """Yield meter events as runs and places in them, latest first.

        Args:
            is_enough: Whether to end before the log does, or the bound for all; asked now and then.
        """
        for _ in range(0, _ROWS_MAX, _ROWS_AT_ONCE):
            if self.is_at_begin:
                return
            runs, self.reached = self._view.read_back(self.reached, rows_max=_ROWS_AT_ONCE)
            for run in runs:
                self.since_ms = run.received_at_ms
                # The first run may go on past the place.
                for place in reversed(range(min(len(run), self._before - run.sequence))):
                    self.looked_at += 1
                    yield run, place
            if is_enough():
                return
