"""Customers' numbers, found for thousands of names at once.

A dictionary waits for memory at each name, one after the other, as soon as it is larger than the
processor's cache. Here the names stand side by side in rows of fixed width, so that the waits of
all names overlap. The dictionary stays what counts: what the rows don't know, it is asked for, and
they learn it from there.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from meterbell.engine.growing import Growing, Numbers, look_up
from meterbell.ids import CustomerId

_WORDS = 5
_BYTES = _WORDS * 8
# The last byte of a row is the length, so that names that end in zeros stay apart.
_LENGTH_MAX = _BYTES - 1
_NUMBER = _WORDS
# Fewer are found in the dictionary as fast.
_NAMES_MIN = 64
_KNOWN_MIN = 2048
_SLOTS_EACH = 2
_PROBES_MAX = 64
# Odd, and otherwise of no meaning: each word of a name is to move the high bits.
_MIX = np.array(
    [
        0x9E3779B97F4A7C15,
        0xC2B2AE3D27D4EB4F,
        0x165667B19E3779F9,
        0xD6E8FEB86659FD93,
        0xA0761D6478BD642F,
    ],
    dtype=np.uint64,
)


class NameFinder:
    """Finds the customers of one mode; for one thread."""

    def __init__(self) -> None:
        """Begin without any; rows are taken when there are many customers."""
        self._rows: Growing | None = None
        self._count = 0
        self._slots: NDArray[np.int32] = np.zeros(2, dtype=np.int32)
        self._is_learning = True

    def find(self, known: Mapping[CustomerId, int], names: Sequence[CustomerId]) -> Numbers:
        """Return the number of each name, -1 for unknown ones.

        Args:
            known: All there are, with their numbers.
            names: Those that are looked for.
        """
        words = None
        if len(names) >= _NAMES_MIN and len(known) >= _KNOWN_MIN:
            words = words_of(names)
        if words is None:
            return look_up(known, names)
        rows = self._ready()
        found: Numbers = rows.rows[self._find_rows(words), _NUMBER]
        missing = np.flatnonzero(found < 0)
        if len(missing):
            found[missing] = look_up(known, [names[place] for place in missing.tolist()])
            learnt = missing[found[missing] >= 0]
            if self._is_learning and len(learnt):
                self._learn(words[learnt], found[learnt], len(known))
        return found

    def forget(self, name: CustomerId) -> None:
        """Take in that a name has no number any more."""
        if self._rows is None:
            return  # at a start there may be very many, and nothing was learnt yet
        words = words_of([name])
        if words is not None:
            self._rows.rows[self._find_rows(words), _NUMBER] = -1

    def _ready(self) -> Growing:
        if self._rows is None:
            self._rows = Growing(_WORDS + 1)
            # The first row is nobody: no name has its length.
            self._rows.rows[0, _NUMBER] = -1
            self._count = 1
        return self._rows

    def _find_rows(self, words: Numbers) -> Numbers:
        """Return the row of each name, 0 for none."""
        rows, mask = self._ready().rows, len(self._slots) - 1
        at = slots_of(words, len(self._slots))
        found = self._slots[at].astype(np.int64)
        others = np.flatnonzero((rows[found, :_WORDS] != words).any(axis=1) & (found > 0))
        for _ in range(_PROBES_MAX):
            if not len(others):
                return found
            at[others] = (at[others] + 1) & mask
            found[others] = self._slots[at[others]]
            is_other = (rows[found[others], :_WORDS] != words[others]).any(axis=1)
            others = others[is_other & (found[others] > 0)]
        found[others] = 0
        return found

    def _learn(self, words: Numbers, numbers: Numbers, known: int) -> None:
        """Keep names, of which some may be there more than once."""
        numbers, first = np.unique(numbers, return_index=True)
        words = words[first]
        table = self._ready()
        found = self._find_rows(words)
        table.rows[found, _NUMBER] = np.where(found > 0, numbers, -1)
        words, numbers = words[found == 0], numbers[found == 0]
        begin, self._count = self._count, self._count + len(words)
        table.reserve(self._count)
        table.rows[begin : self._count, :_WORDS] = words
        table.rows[begin : self._count, _NUMBER] = numbers
        if self._count * _SLOTS_EACH > len(self._slots):
            # For all who are known, that it need not be done again soon.
            size = 1 << (max(self._count, known) * _SLOTS_EACH - 1).bit_length()
            self._slots = np.zeros(size, dtype=np.int32)
            begin = 1
        self._place(begin)

    def _place(self, begin: int) -> None:
        """Let the rows from one on be found."""
        mask = len(self._slots) - 1
        waiting = np.arange(begin, self._count, dtype=np.int32)
        at = slots_of(self._ready().rows[begin : self._count, :_WORDS], len(self._slots))
        for _ in range(_PROBES_MAX):
            is_free = self._slots[at] == 0
            self._slots[at[is_free]] = waiting[is_free]
            is_left = self._slots[at] != waiting
            waiting, at = waiting[is_left], (at[is_left] + 1) & mask
            if not len(waiting):
                return
        # Names that were chosen to collide; they are found in the dictionary.
        self._is_learning = False


def words_of(names: Sequence[CustomerId]) -> Numbers | None:
    """Return names as rows of words; None where they are not short, plain, and equally long."""
    length, *others = set(map(len, names))
    text = "".join(names)
    if others or not 0 < length <= _LENGTH_MAX or not text.isascii():
        return None
    spread = np.zeros((len(names), _BYTES), dtype=np.uint8)
    spread[:, :length] = np.frombuffer(text.encode("ascii"), np.uint8).reshape(-1, length)
    spread[:, _LENGTH_MAX] = length
    return spread.view(np.int64)


def slots_of(words: Numbers, count: int) -> Numbers:
    """Return where each name is looked for first.

    Args:
        words: The names, by `words_of`.
        count: Slots there are, a power of two from 2 on.
    """
    mixed = (words.view(np.uint64) * _MIX).sum(axis=1, dtype=np.uint64)
    # A product carries upwards only: the highest bits hang on all of a word.
    slots: Numbers = (mixed >> np.uint64(65 - count.bit_length())).view(np.int64)
    return slots
