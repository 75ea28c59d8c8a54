"""Sums over all counters that add up, whatever their number.

What memory holds is read anew when it changed, some thousand rows at a time on the event loop. What
the store keeps never changes, so it is read once, in a thread; after that only what was put away
since. Nobody waits for either for long: meanwhile the sums are those of the last time.
"""

import asyncio
from collections.abc import Callable, Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np

from meterbell.clock import Clock
from meterbell.engine.growing import Numbers
from meterbell.engine.hours import HOUR, SLOT
from meterbell.engine.series import hours_in_memory, sum_by
from meterbell.engine.state import State
from meterbell.engine.table import BLOCK
from meterbell.insight.resting import Reading
from meterbell.insight.waiting import in_thread
from meterbell.ledger.hours import PARTS_IN_BLOCK, read_entries
from meterbell.store.base import Store

KeysOf = Callable[[Numbers, Numbers, Numbers], Numbers]
"""From rows, hours, and the table's `meters`: to what each is added up; -1 for what is not."""

_ROWS_AT_ONCE = 32 * BLOCK
_PARTS_AT_ONCE = 32
# About 100 ms.
_STEPS_AT_ONCE = 16


class _Read(NamedTuple):
    """What was read together, all of it.

    Attributes:
        held: What memory held.
        stored: What the store keeps of what memory did not hold any more.
        until: By part, up to which place `stored` goes.
    """

    held: dict[int, int]
    stored: dict[int, int]
    until: dict[int, int]


class Sums:
    """Sums by a key, in units of 10^-12.

    Attributes:
        first: The first UTC hour that is in them.
        readings: How often everything was read.
    """

    def __init__(
        self, store: Store, state: State, clock: Clock, keys_of: KeysOf, *, first: int, last: int
    ) -> None:
        """Begin with nothing.

        Args:
            store: Where hours that are over are.
            state: Has the rest of them.
            clock: Measures what reading costs.
            keys_of: Says what is added up, and to what; to be called in any thread.
            first: The first UTC hour that it wants.
            last: The last one.
        """
        self._store = store
        self._state = state
        self._clock = clock
        self._keys_of = keys_of
        self.first = first
        self._last = last
        self.readings = 0
        self._read = _Read({}, {}, {})
        self._sequence = -1
        self._last_reading = Reading()
        self._reading: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._read.held) + len(self._read.stored)

    @property
    def is_read(self) -> bool:
        """Whether everything was read at least once; before that there are no sums."""
        return self._sequence >= 0

    async def read(self, wait_ms: int) -> bool:
        """Take in what changed; return `is_read`.

        Args:
            wait_ms: So long it takes at most; reading goes on by itself.

        Raises:
            StoreUnavailableError: The store holds damaged hours.
        """
        if self._reading is None and self._is_due():
            self._reading = asyncio.create_task(self._read_all())
        reading = self._reading
        if reading is not None:
            await asyncio.wait([reading], timeout=wait_ms / 1000)
            if reading.done():
                self._reading = None if self._reading is reading else self._reading
                reading.result()
        return self.is_read

    def get(self, key: int) -> int | None:
        """Return the sum of a key; None if there was nothing to be added."""
        held, stored = self._read.held.get(key), self._read.stored.get(key)
        return stored if held is None else held + (stored or 0)

    def all(self) -> dict[int, int]:
        """Return all sums; may be called in any thread."""
        # What was read together is replaced as a whole, and never changed.
        read = self._read
        found = dict(read.stored)
        for key, value in read.held.items():
            found[key] = found.get(key, 0) + value
        return found

    def _is_due(self) -> bool:
        """Return whether there is something to read, and reading has rested long enough."""
        has_changed = self._sequence != self._state.sequence
        return has_changed and self._last_reading.is_rested(self._clock.monotonic_ns())

    async def _read_all(self) -> None:
        begun_ns, sequence = self._clock.monotonic_ns(), self._state.sequence
        held, held_until = await self._read_memory()
        stored, until = dict(self._read.stored), dict(self._read.until)
        if any(held_until.values()):
            steps = self._add_stored(held_until, stored, until)
            while await in_thread(_run, steps):
                pass
        self._read = _Read(held, stored, until)
        self.readings += 1
        self._sequence = sequence
        now_ns = self._clock.monotonic_ns()
        self._last_reading = Reading(now_ns, now_ns - begun_ns)

    async def _read_memory(self) -> tuple[dict[int, int], dict[int, int]]:
        """Return the sums of what memory holds, and by block from where on it does."""
        table = self._state.table
        held: dict[int, int] = {}
        until: dict[int, int] = {}
        first = 0
        while first < table.count:
            end = min(first + _ROWS_AT_ONCE, table.count)
            found = hours_in_memory(table, first, end)
            self._add(found.entries, table.meters, held)
            if found.more:
                rows, hours, values = zip(*found.more, strict=True)
                keys = self._keys_of(np.array(rows), np.array(hours), table.meters).tolist()
                for key, value in zip(keys, values, strict=True):
                    if key >= 0:
                        held[key] = held.get(key, 0) + value
            for block in range(first // BLOCK, -(-end // BLOCK)):
                until[block] = table.hours.stored_until(block)
            first += _ROWS_AT_ONCE
            await asyncio.sleep(0)
        return held, until

    def _add(self, entries: Numbers, meters: Numbers, into: dict[int, int]) -> None:
        keys = self._keys_of(entries[:, SLOT], entries[:, HOUR], meters)
        chosen = keys >= 0
        sum_by(keys[chosen], entries[chosen], into)

    def _add_stored(
        self, held_until: dict[int, int], stored: dict[int, int], until: dict[int, int]
    ) -> Iterator[None]:
        """Add what was put away since the last time, step by step; in a thread."""
        meters = self._state.table.meters
        parts = [
            (part, until.get(part, -1), block_until)
            for block, block_until in held_until.items()
            if block_until
            for part in range(block * PARTS_IN_BLOCK, (block + 1) * PARTS_IN_BLOCK)
            if until.get(part, -1) < block_until
        ]
        for at in range(0, len(parts), _PARTS_AT_ONCE):
            some = parts[at : at + _PARTS_AT_ONCE]
            read = list(read_entries(self._store, some, first=self.first, last=self._last))
            if read:
                self._add(np.concatenate(read), meters, stored)
            until.update((part, block_until) for part, _, block_until in some)
            yield


def _run(steps: Iterator[None]) -> bool:
    """Go some steps; return whether there may be more."""
    return sum(1 for _ in islice(steps, _STEPS_AT_ONCE)) == _STEPS_AT_ONCE
