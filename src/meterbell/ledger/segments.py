"""Segments: many keys counted in a stretch of commit order, in files that the system maps.

A key costs 12 bytes: 6 of its digest, sorted; 4 for its place in commit order; 2 for a filter that
turns away nearly every key that is not here at the cost of one look into memory. Digests are made
with a secret, and a hit is only a candidate that the caller confirms in the log.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

U64 = NDArray[np.uint64]
U32 = NDArray[np.uint32]
U16 = NDArray[np.uint16]

DIGEST_BITS = 48

_MAGIC = b"meterbell keys 1"
_HEADER = np.dtype(
    [
        ("magic", "S16"),
        ("after", "<u8"),
        ("until", "<u8"),
        ("keys", "<u8"),
        ("words", "<u8"),
        ("checksum", "<u8"),
    ]
)
# 16 bits of filter for each key, of which it sets two: 1 of 60 foreign keys passes.
_KEYS_PER_WORD = 4


@dataclass(frozen=True, slots=True)
class Screened:
    """Keys made ready to be looked for in any number of segments.

    Attributes:
        high: The upper 32 of a digest's 48 bits.
        low: The lower 16.
        bits: The two bits of a filter's word that the key sets.
    """

    high: U64
    low: U16
    bits: U64

    @classmethod
    def of(cls, digests: U64) -> "Screened":
        """Return digests of 48 bits ready to be looked for."""
        low = digests & np.uint64(0xFFFF)
        one = np.uint64(1)
        bits = (one << (low & np.uint64(63))) | (one << ((low >> np.uint64(6)) & np.uint64(63)))
        return cls(digests >> np.uint64(16), low.astype(np.uint16), bits)


@dataclass(frozen=True, slots=True)
class Segment:
    """Keys counted at sequences in (`after`, `until`].

    Attributes:
        words: The filter.
        high: The digests' upper halves, ascending.
        low: The digests' lower bits, in the same order.
        offsets: Each key's sequence less `after`, in the same order.
        path: The file that holds it.
    """

    after: int
    until: int
    words: U64
    high: U32
    low: U16
    offsets: U32
    path: Path

    @classmethod
    def write(cls, folder: Path, after: int, until: int, digests: U64, sequences: U64) -> "Segment":
        """Write a segment to stable storage and return it.

        Args:
            folder: Where its file goes.
            after: See the class.
            until: See the class.
            digests: 48 bits each, in any order.
            sequences: Where each key stands.
        """
        # Sorting and taking let go of Python's lock, which indexing with an array would hold.
        order = np.argsort(digests)
        keys = Screened.of(digests.take(order))
        words = np.zeros(len(digests) // _KEYS_PER_WORD + 1, dtype=np.uint64)
        word_of = _word_of(keys.high, len(words))
        firsts = np.flatnonzero(np.diff(word_of, prepend=-1))
        if len(firsts):
            words[word_of[firsts]] = np.bitwise_or.reduceat(keys.bits, firsts)
        offsets = sequences.take(order) - np.uint64(after)
        columns: tuple[Any, ...] = (
            words,
            keys.high.astype(np.uint32),
            offsets.astype(np.uint32),
            keys.low,
        )
        checksum = xxhash.xxh3_64()
        for column in columns:
            checksum.update(column)
        facts = (_MAGIC, after, until, len(digests), len(words), checksum.intdigest())
        path = folder / f"{after}-{until}.keys"
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            file.write(np.array([facts], dtype=_HEADER).tobytes())
            for column in columns:
                file.write(column)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        _sync_folder(folder)
        return cls.open(path, is_trusted=True)

    @classmethod
    def open(cls, path: Path, *, is_trusted: bool = False) -> "Segment":
        """Return the segment in a file.

        Args:
            path: The file.
            is_trusted: Whether it was written just now and need not be read through.

        Raises:
            ValueError: The file is damaged.
        """
        data: Any = np.asarray(np.memmap(path, dtype=np.uint8, mode="r"))
        if len(data) < _HEADER.itemsize:
            raise ValueError(f"{path} is too short")
        header = data[: _HEADER.itemsize].view(_HEADER)[0]
        body = data[_HEADER.itemsize :]
        keys, words = int(header["keys"]), int(header["words"])
        if header["magic"] != _MAGIC or len(body) != 8 * words + 10 * keys:
            raise ValueError(f"{path} holds no keys")
        if not is_trusted and xxhash.xxh3_64_intdigest(body) != int(header["checksum"]):
            raise ValueError(f"{path} is damaged")
        low_at = 8 * words + 8 * keys
        return cls(
            after=int(header["after"]),
            until=int(header["until"]),
            words=body[: 8 * words].view(np.uint64),
            high=body[8 * words : 8 * words + 4 * keys].view(np.uint32),
            offsets=body[8 * words + 4 * keys : low_at].view(np.uint32),
            low=body[low_at:].view(np.uint16),
            path=path,
        )

    def __len__(self) -> int:
        return len(self.high)

    def may_hold(self, keys: Screened) -> list[int]:
        """Return the positions of the keys that may be here; hardly ever one that is not."""
        words = self.words[_word_of(keys.high, len(self.words))]
        passing = np.flatnonzero((words & keys.bits) == keys.bits)
        if len(passing) == 0:
            return []
        high = keys.high[passing].astype(np.uint32)
        starts = np.searchsorted(self.high, high)
        starts[starts == len(self.high)] = 0
        return [
            int(position)
            for position in passing[self.high[starts] == high]
            if self._candidates(int(keys.high[position]), int(keys.low[position]))
        ]

    def find(self, digest: int) -> list[int]:
        """Return the sequences at which keys with this digest stand, latest first."""
        high, low = digest >> 16, digest & 0xFFFF
        word = int(self.words[high * len(self.words) >> 32])
        bits = 1 << (low & 63) | 1 << (low >> 6 & 63)
        return self._candidates(high, low) if word & bits == bits else []

    def _candidates(self, high: int, low: int) -> list[int]:
        index = int(np.searchsorted(self.high, np.uint32(high)))
        found = []
        while index < len(self.high) and self.high[index] == high:
            if self.low[index] == low:
                found.append(self.after + int(self.offsets[index]))
            index += 1
        return sorted(found, reverse=True)

    def contents(self) -> tuple[U64, U64]:
        """Return all digests and sequences."""
        digests = self.high.astype(np.uint64) << np.uint64(16) | self.low
        return digests, self.offsets.astype(np.uint64) + np.uint64(self.after)


def _word_of(high: U64, words: int) -> NDArray[np.int64]:
    """Return which word of a filter the keys belong to: its share of their range."""
    return ((high * np.uint64(words)) >> np.uint64(32)).astype(np.int64)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
