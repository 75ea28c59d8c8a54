"""Rows of numbers that grow without a pause: where it can be helped, nothing is copied."""

import mmap
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise, repeat
from operator import itemgetter
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

K = TypeVar("K")
Numbers = NDArray[np.int64]
_BYTES_AT_FIRST = 64 * 2**20


class Growing:
    """Rows of 64-bit integers, all 0 at first. Memory is taken only by rows that were written.

    Attributes:
        rows: As many as there is room for. Take it anew after each `reserve`.
    """

    def __init__(self, width: int) -> None:
        """Make room for some rows.

        Args:
            width: Numbers in a row.
        """
        self._width = width
        self._memory = self._take(_BYTES_AT_FIRST)
        self.rows = self._view()

    def reserve(self, count: int) -> None:
        """Make room for at least so many rows."""
        size = len(self._memory)
        needed = count * self._width * 8
        if needed <= size:
            return
        while size < needed:
            size *= 2
        del self.rows
        try:
            # The system moves the pages without touching what is in them.
            self._memory.resize(size)
        except (BufferError, OSError, SystemError, ValueError):
            before = self._memory
            self._memory = self._take(size)
            self._memory[: len(before)] = before[:]
        self.rows = self._view()

    @staticmethod
    def _take(size: int) -> mmap.mmap:
        # Private, or it could not grow.
        options: dict[str, Any] = {}
        if hasattr(mmap, "MAP_PRIVATE"):
            options["flags"] = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        memory = mmap.mmap(-1, size, **options)
        if hasattr(mmap, "MADV_HUGEPAGE"):
            # Rows are looked at in no order: fewer, larger pages are found faster.
            memory.madvise(mmap.MADV_HUGEPAGE)
        return memory

    def _view(self) -> Numbers:
        numbers = np.frombuffer(self._memory, dtype=np.int64)
        return numbers[: len(numbers) // self._width * self._width].reshape(-1, self._width)


def look_up(numbers: Mapping[K, int], keys: Sequence[K]) -> Numbers:
    """Return the number of each key, -1 for unknown ones."""
    if len(keys) > 1:
        # Nearly always all are known, and then one call finds them, in half the time.
        try:
            return np.array(itemgetter(*keys)(numbers), dtype=np.int64)
        except KeyError:
            pass
    # Said to be of one argument, because the types of `map` and of an overloaded `get` don't meet.
    get = cast("Any", numbers.get)
    return np.fromiter(map(get, keys, repeat(-1)), np.int64, len(keys))


def stretches(numbers: Numbers) -> Iterator[tuple[int, int, int]]:
    """Yield each number of an ascending sequence with where its stretch begins and ends."""
    if not len(numbers):
        return
    starts = [0, *(np.flatnonzero(numbers[1:] != numbers[:-1]) + 1).tolist(), len(numbers)]
    for start, end in pairwise(starts):
        yield int(numbers[start]), start, end
