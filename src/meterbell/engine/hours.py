"""Hours that are over, of counters that only add up: in columns, until the store keeps them.

Such a counter never needs its earlier hours again: an event that comes late, or a cancellation,
begins a new part of its hour, and who asks for an hour adds its parts up. So hours can be written
once and left, and memory holds only those of the last while.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from meterbell.engine.counter import Bucket
from meterbell.engine.growing import Growing, Numbers
from meterbell.engine.value import SCALE

SLOT, HOUR, WHOLE, PART, EVENTS, HEAD = range(6)
"""What stands where in an entry: the counter's row, and a `Bucket` of it."""

ENTRY_WIDTH = 6

Hours = dict[int, list[Bucket]]
"""By UTC hour since 1970, the parts of one counter's hour, latest in commit order first."""


class ClosedHours:
    """Parts of hours, in the order in which they were closed.

    Attributes:
        count: How many there are, removed ones included until `compact`.
    """

    def __init__(self) -> None:
        self._slots = Growing(1)
        self._rest = Growing(5)
        self.count = 0
        self._leaving: dict[int, Numbers] = {}
        self._stored_until: dict[int, int] = {}

    def add(self, entries: Numbers) -> None:
        """Add rows of entries."""
        first, self.count = self.count, self.count + len(entries)
        self._slots.reserve(self.count)
        self._rest.reserve(self.count)
        self._slots.rows[first : self.count, 0] = entries[:, SLOT]
        self._rest.rows[first : self.count] = entries[:, HOUR:]

    def between(self, first: int, end: int) -> Numbers:
        """Return the entries of a stretch of counters."""
        places = self._places(first, end)
        return np.column_stack((self._slots.rows[places, 0], self._rest.rows[places]))

    def of(self, slot: int, *, block: int) -> Numbers:
        """Return the entries of one counter, those on their way into the store included."""
        leaving = self._leaving.get(block)
        found = self.between(slot, slot + 1)
        if leaving is None:
            return found
        return np.concatenate((leaving[leaving[:, SLOT] == slot], found))

    def in_memory(self, first: int, end: int) -> Numbers:
        """Return the entries of whole blocks, those on their way into the store included."""
        leaving = (
            entries[(entries[:, SLOT] >= first) & (entries[:, SLOT] < end)]
            for entries in self._leaving.values()
        )
        return np.concatenate((*leaving, self.between(first, end)))

    def slots(self) -> Numbers:
        """Return the counters of all entries."""
        slots = self._slots.rows[: self.count, 0]
        return slots[slots >= 0]

    def leave(self, first: int, end: int, *, block: int) -> Numbers:
        """Return and remove a block's entries, which are about to be committed to the store."""
        entries = self.between(first, end)
        self._slots.rows[self._places(first, end), 0] = -1
        self._leaving[block] = entries
        return entries

    def arrive(self, block: int, sequence: int) -> None:
        """Take in that what left is committed, or was before a start.

        Args:
            block: Of counters.
            sequence: The store's parts of its hours hold up to here.
        """
        self._leaving.pop(block, None)
        self._stored_until[block] = sequence

    def stored_until(self, block: int) -> int:
        """Return up to which sequence the store's parts are to be added; 0 if it has none."""
        return self._stored_until.get(block, 0)

    def compact(self) -> None:
        """Give back the room of removed entries."""
        kept = np.flatnonzero(self._slots.rows[: self.count, 0] >= 0)
        self._slots.rows[: len(kept)] = self._slots.rows[kept]
        self._rest.rows[: len(kept)] = self._rest.rows[kept]
        self.count = len(kept)

    def _places(self, first: int, end: int) -> Numbers:
        slots = self._slots.rows[: self.count, 0]
        return np.flatnonzero((slots >= first) & (slots < end))


def entry_of(slot: int, hour: int, bucket: Bucket) -> list[int]:
    """Return a bucket as an entry; its value must fit."""
    return [slot, hour, *divmod(bucket.value, SCALE), bucket.events, bucket.head]


def merge(parts: Sequence[Bucket]) -> Bucket:
    """Return the aggregate of an hour's parts; they are several only where values add up."""
    if len(parts) == 1:
        return parts[0]
    value, events = sum(part.value for part in parts), sum(part.events for part in parts)
    return Bucket(value, events, None, parts[0].head)


def add_parts(hours: Hours, parts: Iterable[tuple[int, Bucket]]) -> None:
    """Add parts to the hours they belong to."""
    for hour, part in parts:
        found = hours.setdefault(hour, [])
        found.append(part)
        if len(found) > 1:
            found.sort(key=lambda part: -part.head)


def parts_of(entries: Numbers) -> list[tuple[int, Bucket]]:
    """Return entries as hours and buckets."""
    return [
        (hour, Bucket(whole * SCALE + part, events, None, head))
        for _, hour, whole, part, events, head in entries.tolist()
    ]
