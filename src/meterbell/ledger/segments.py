"""What was counted before, found by digest: a small dictionary, and sorted arrays for the rest.

A key costs 16 bytes once it is in a segment. Segments hold 64-bit digests, so a hit is only a
candidate that the caller confirms in the log; the digest is keyed, so nobody can aim at one.
Segments follow each other in commit order without a gap.
"""

import hashlib
from array import array
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_RECENT_MAX = 100_000
# A segment stays below SQLite's limit for one value (16 bytes a key, 10^9 bytes).
_SEGMENT_MAX = 32_000_000


@dataclass(frozen=True, slots=True)
class Segment:
    """Keys counted at sequences in (`after`, `until`].

    Attributes:
        digests: Ascending.
        sequences: Where each key stands; same order as `digests`.
    """

    after: int
    until: int
    digests: NDArray[np.uint64]
    sequences: NDArray[np.int64]

    def to_bytes(self) -> bytes:
        """Return the arrays' bytes, digests first."""
        return self.digests.astype("<u8").tobytes() + self.sequences.astype("<i8").tobytes()

    @classmethod
    def from_bytes(cls, after: int, until: int, data: bytes) -> "Segment":
        """Return the segment that `to_bytes` wrote."""
        count = len(data) // 16
        return cls(
            after,
            until,
            np.frombuffer(data, dtype="<u8", count=count),
            np.frombuffer(data, dtype="<i8", offset=8 * count),
        )


class SegmentIndex:
    """A `SequenceIndex` for many millions of keys. Used by one thread at a time."""

    def __init__(self, digest_key: bytes) -> None:
        """Start empty.

        Args:
            digest_key: Secret of the installation; digests made with another are of no use.
        """
        self._digest_key = digest_key
        self._recent: dict[bytes, int] = {}
        self._recent_digests = array("Q")
        self._recent_sequences = array("q")
        self.segments: list[Segment] = []

    @property
    def sealed_until(self) -> int:
        """The sequence up to which everything is in segments."""
        return self.segments[-1].until if self.segments else 0

    def find(self, key: bytes, matches: Callable[[int], bool]) -> int | None:
        """Return the sequence stored for `key`, if `matches` confirms it."""
        sequence = self._recent.get(key)
        if sequence is not None:
            return sequence if matches(sequence) else None
        if self.segments:
            digest = np.uint64(self._digest(key))
            for segment in reversed(self.segments):
                index = int(np.searchsorted(segment.digests, digest))
                while index < len(segment.digests) and segment.digests[index] == digest:
                    candidate = int(segment.sequences[index])
                    if matches(candidate):
                        return candidate
                    index += 1
        return None

    def add(self, key: bytes, sequence: int) -> None:
        """Store where `key` stands; sequences must come in ascending order."""
        self._recent[key] = sequence
        self._recent_digests.append(self._digest(key))
        self._recent_sequences.append(sequence)

    def seal(self, until: int, *, drop_before: int = 0) -> None:
        """Move what has gathered into a segment, and merge segments of like size.

        Args:
            until: Nothing at or before this sequence will be added any more.
            drop_before: Keys before this sequence are not needed any more.
        """
        if until - self.sealed_until < _RECENT_MAX:
            return
        digests = np.frombuffer(self._recent_digests, dtype=np.uint64)
        sequences = np.frombuffer(self._recent_sequences, dtype=np.int64)
        self.segments.append(_sorted(self.sealed_until, until, digests, sequences))
        self.segments = [s for s in self.segments if s.until >= drop_before]
        self._recent = {}
        self._recent_digests = array("Q")
        self._recent_sequences = array("q")
        while len(self.segments) > 1:
            older, newer = self.segments[-2:]
            size = len(older.digests) + len(newer.digests)
            if len(older.digests) > 2 * len(newer.digests) or size > _SEGMENT_MAX:
                break
            digests = np.concatenate((older.digests, newer.digests))
            sequences = np.concatenate((older.sequences, newer.sequences))
            kept = sequences >= drop_before
            self.segments[-2:] = [_sorted(older.after, newer.until, digests[kept], sequences[kept])]

    def _digest(self, key: bytes) -> int:
        digest = hashlib.blake2b(key, digest_size=8, key=self._digest_key).digest()
        return int.from_bytes(digest, "little")


def _sorted(
    after: int, until: int, digests: NDArray[np.uint64], sequences: NDArray[np.int64]
) -> Segment:
    order = np.argsort(digests, kind="stable")
    return Segment(after, until, digests[order], sequences[order])
