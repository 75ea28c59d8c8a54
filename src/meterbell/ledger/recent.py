"""Digests of keys that were counted lately: found and added by the thousand, and never moved.

A table of buckets of fixed size, each found by a part of the digest. Nothing in it grows, so no
request ever waits for it to be arranged anew. What a full bucket can't take is kept beside it.
"""

import numpy as np
from numpy.typing import NDArray

from meterbell.ledger.segments import DIGEST_BITS, U64

_WIDTH = 16
# On average; that one of so many buckets gets more than its width is rare.
_KEYS_PER_BUCKET = 8


class RecentKeys:
    """Digests and the sequences at which their keys stand.

    Attributes:
        count: How many there are.
    """

    def __init__(self, keys_max: int) -> None:
        """Make an empty table.

        Args:
            keys_max: About how many keys it will hold; more are held too, but less quickly found.
        """
        bits = max(keys_max // _KEYS_PER_BUCKET, 1).bit_length()
        self._shift = np.uint64(DIGEST_BITS - bits)
        # Digests plus one, so that 0 stands for an empty place.
        self._digests: U64 = np.zeros((1 << bits, _WIDTH), dtype=np.uint64)
        self._sequences: U64 = np.zeros((1 << bits, _WIDTH), dtype=np.uint64)
        self._filled: NDArray[np.int64] = np.zeros(1 << bits, dtype=np.int64)
        self._overflow: dict[int, list[int]] = {}
        self.count = 0

    def clear(self) -> None:
        """Hold nothing any more; its memory is used again, which is cheaper than new memory."""
        self._digests[:] = 0
        self._filled[:] = 0
        self._overflow = {}
        self.count = 0

    def add(self, digests: U64, sequences: U64) -> None:
        """Add keys."""
        count = len(digests)
        if not count:
            return
        buckets = (digests >> self._shift).astype(np.int64)
        order = np.argsort(buckets, kind="stable")
        buckets, digests, sequences = buckets[order], digests[order], sequences[order]
        starts = np.flatnonzero(np.diff(buckets, prepend=-1))
        lengths = np.diff(starts, append=count)
        places = self._filled[buckets] + np.arange(count) - np.repeat(starts, lengths)
        fits = places < _WIDTH
        if not fits.all():
            for place in np.flatnonzero(~fits).tolist():
                found = self._overflow.setdefault(int(digests[place]), [])
                found.append(int(sequences[place]))
            buckets_in, places = buckets[fits], places[fits]
            digests, sequences = digests[fits], sequences[fits]
        else:
            buckets_in = buckets
        # Sequences first: others may look meanwhile.
        self._sequences[buckets_in, places] = sequences
        self._digests[buckets_in, places] = digests + np.uint64(1)
        firsts = buckets[starts]
        self._filled[firsts] = self._filled[firsts] + lengths
        self.count += count

    def may_hold(self, digests: U64) -> NDArray[np.bool_]:
        """Return which of the keys may be here; hardly ever one that is not."""
        buckets = (digests >> self._shift).astype(np.int64)
        found: NDArray[np.bool_] = (
            self._digests[buckets] == (digests + np.uint64(1))[:, np.newaxis]
        ).any(axis=1)
        if self._overflow:
            for place in np.flatnonzero(self._filled[buckets] > _WIDTH).tolist():
                found[place] |= int(digests[place]) in self._overflow
        return found

    def find(self, digest: int) -> list[int]:
        """Return the sequences at which keys with this digest stand, latest first."""
        bucket = digest >> int(self._shift)
        row = self._digests[bucket].tolist()
        found = list(self._overflow.get(digest, ())) if self._overflow else []
        if digest + 1 in row:
            sequences = self._sequences[bucket].tolist()
            found += [s for d, s in zip(row, sequences, strict=True) if d == digest + 1]
        return sorted(found, reverse=True)

    def contents(self) -> tuple[U64, U64]:
        """Return all digests and sequences."""
        # Taken rather than indexed: requests wait for Python's lock meanwhile, which this lets go.
        places = np.flatnonzero(self._digests)
        digests = self._digests.take(places) - np.uint64(1)
        sequences = self._sequences.take(places)
        if self._overflow:
            pairs = [(digest, place) for digest, s in self._overflow.items() for place in s]
            more = np.array(pairs, dtype=np.uint64)
            digests = np.concatenate([digests, more[:, 0]])
            sequences = np.concatenate([sequences, more[:, 1]])
        return digests, sequences
