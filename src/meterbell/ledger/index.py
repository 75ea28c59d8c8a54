"""What was counted before, found by key: recent keys in a table in memory, older ones in segments.

Keys are held as digests, and what is found is confirmed in the log. A table that is full is frozen
and written behind as a segment by a thread; segments of like size are merged there, so there are
few. Nothing here grows in one long step.
"""

import hashlib
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import repeat
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import structlog
import xxhash

from meterbell.ledger.recent import RecentKeys
from meterbell.ledger.segments import DIGEST_BITS, U64, Screened, Segment

K = TypeVar("K")

RECENT_MAX = 200_000
_SPAN_MAX = 2**31
_RECENT_MS = 3600 * 1000
# So many segments of like size become one; larger ones than the bound are not merged.
_MERGE_AT = 4
_MERGED_MAX = 16_000_000
_FRESH_MAX = 4000
_MODES = ((False, "test"), (True, "live"))

logger = structlog.get_logger(__name__)


class KeyIndex(Generic[K]):
    """A `SequenceIndex` for hundreds of millions of keys."""

    def __init__(
        self,
        folder: Path,
        encode: Callable[[K], bytes],
        *,
        secret: str,
        recent_max: int,
        behind: ThreadPoolExecutor,
    ) -> None:
        """Load the segments of a folder, which is made if there is none.

        Args:
            folder: Of this index alone.
            encode: Turns a key into bytes.
            secret: Keys the digests, so that nobody can aim at one.
            recent_max: How many keys are held in a table before it is frozen.
            behind: One thread, which writes behind; its owner ends it.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._encode = encode
        self._recent_max = recent_max
        digest = hashlib.blake2b(folder.name.encode(), key=secret.encode()[:64], digest_size=8)
        self._seed = int.from_bytes(digest.digest(), "little")
        # Keys that came one by one; by the thousand they are moved into the table.
        self._fresh: dict[K, int] = {}
        self._recent = RecentKeys(recent_max)
        self._spare: RecentKeys | None = None
        self._recent_since_ms = 0
        # What was looked for last is mostly what is added next.
        self._looked_for: tuple[Sequence[K], U64] = ((), np.zeros(0, dtype=np.uint64))
        # Replaced as a whole, never changed: the thread behind does so while others read. What it
        # moves stands in both for a moment, so `_frozen` is read first.
        self._frozen: tuple[_Frozen, ...] = ()
        self.segments: list[Segment] = _load(folder)
        self._frozen_until = self.sealed_until
        self._behind = behind
        self._work: Future[None] | None = None
        self._closing = threading.Event()

    @property
    def sealed_until(self) -> int:
        """The sequence up to which everything is in segments."""
        return self.segments[-1].until if self.segments else 0

    @property
    def keys(self) -> tuple[int, int]:
        """How many keys are held in memory, and how many in segments."""
        recent = self._recent_count + sum(part.keys.count for part in self._frozen)
        return recent, sum(len(segment) for segment in self.segments)

    @property
    def _recent_count(self) -> int:
        return len(self._fresh) + self._recent.count

    def suspects(self, keys: Sequence[K]) -> set[K]:
        """Return those of the keys that may be stored, or that come twice; usually none."""
        distinct = set(keys)
        found: set[K] = set()
        if len(distinct) < len(keys):
            found |= {key for key, times in Counter(keys).items() if times > 1}
        if self._fresh and not self._fresh.keys().isdisjoint(distinct):
            found |= self._fresh.keys() & distinct
        digests = self._digests(keys)
        self._looked_for = keys, digests
        frozen = self._frozen
        for part in (self._recent, *(part.keys for part in frozen)):
            if part.count:
                found |= {keys[place] for place in np.flatnonzero(part.may_hold(digests)).tolist()}
        segments = self.segments
        if segments:
            screened = Screened.of(digests)
            for segment in segments:
                found |= {keys[place] for place in segment.may_hold(screened)}
        return found

    def find(self, key: K, matches: Callable[[int], bool]) -> int | None:
        """Return the sequence stored for `key`, if `matches` confirms it."""
        fresh = self._fresh.get(key)
        if fresh is not None and matches(fresh):
            return fresh
        digest = self._digest(key)
        frozen = self._frozen
        for part in (self._recent, *(part.keys for part in reversed(frozen))):
            for candidate in part.find(digest) if part.count else ():
                if matches(candidate):
                    return candidate
        for segment in reversed(self.segments):
            for candidate in segment.find(digest):
                if matches(candidate):
                    return candidate
        return None

    def add(self, key: K, sequence: int) -> None:
        """Store where `key` stands; sequences come in ascending order."""
        if sequence > self._frozen_until:
            self._fresh[key] = sequence
            if len(self._fresh) >= _FRESH_MAX:
                self._settle_fresh()

    def add_run(self, keys: Sequence[K], sequence: int) -> None:
        """Store where keys stand that follow each other without a gap, the first at `sequence`."""
        if sequence <= self._frozen_until:
            skipped = self._frozen_until + 1 - sequence
            keys, sequence = keys[skipped:], self._frozen_until + 1
        looked_for, digests = self._looked_for
        if keys != looked_for:
            digests = self._digests(keys)
        sequences = np.arange(sequence, sequence + len(keys), dtype=np.uint64)
        self._recent.add(digests, sequences)

    def _settle_fresh(self) -> None:
        sequences = np.fromiter(self._fresh.values(), np.uint64, len(self._fresh))
        self._recent.add(self._digests(list(self._fresh)), sequences)
        self._fresh = {}

    def is_due(self, until: int, *, now_ms: int) -> bool:
        """Return whether recent keys should be frozen: they are many, or an hour old."""
        if not self._recent_count:
            self._recent_since_ms = now_ms
        return (
            self._recent_count >= self._recent_max
            or now_ms - self._recent_since_ms > _RECENT_MS
            or until - self._frozen_until > _SPAN_MAX
        )

    def freeze(self, until: int, *, now_ms: int) -> None:
        """Begin to write recent keys behind.

        Args:
            until: Everything up to this sequence is on stable storage.
            now_ms: The present.
        """
        if until == self._frozen_until:
            return
        self._settle_fresh()
        self._frozen = (*self._frozen, _Frozen(self._recent, self._frozen_until, until))
        self._recent, self._spare = self._spare or RecentKeys(self._recent_max), None
        self._recent_since_ms = now_ms
        self._frozen_until = until
        self._work = self._behind.submit(self._write_behind)

    def drop_before(self, sequence: int) -> None:
        """Forget whole segments of keys that stand before `sequence`."""
        self._behind.submit(self._drop, sequence)

    def require_since(self, sequence: int) -> None:
        """Forget all segments if keys from a sequence on are missing: they are read again."""
        if not self.segments or self.segments[0].after < max(sequence, 1):
            return
        for segment in self.segments:
            segment.path.unlink(missing_ok=True)
        self.segments = []
        self._frozen_until = 0

    def settle(self) -> None:
        """Wait until everything frozen is in segments."""
        if self._work is not None:
            self._work.result()

    def close(self) -> None:
        """Begin no more merges."""
        self._closing.set()

    def _write_behind(self) -> None:
        try:
            while self._frozen:
                self._seal(self._frozen[0])
            while not self._closing.is_set() and self._merge():
                pass
        except OSError:
            # The keys stay in memory and are tried again with the next ones.
            logger.exception("keys can't be written behind", folder=str(self._folder))

    def _seal(self, frozen: "_Frozen") -> None:
        digests, sequences = frozen.keys.contents()
        segment = Segment.write(self._folder, frozen.after, frozen.until, digests, sequences)
        self.segments = [*self.segments, segment]
        self._frozen = self._frozen[1:]
        # Whoever looks into it now looks into the segments afterwards, where its keys are.
        frozen.keys.clear()
        self._spare = frozen.keys

    def _merge(self) -> bool:
        """Make one of the newest segments of like size, if there are enough; return whether."""
        segments = self.segments
        newest = segments[-_MERGE_AT:]
        size = sum(map(len, newest))
        if (
            len(newest) < _MERGE_AT
            or size > _MERGED_MAX
            or len(newest[0]) > 2 * max(self._recent_max, len(newest[-1]))
        ):
            return False
        contents = [segment.contents() for segment in newest]
        merged = Segment.write(
            self._folder,
            newest[0].after,
            newest[-1].until,
            np.concatenate([digests for digests, _ in contents]),
            np.concatenate([sequences for _, sequences in contents]),
        )
        self.segments = [*segments[:-_MERGE_AT], merged]
        for segment in newest:
            segment.path.unlink(missing_ok=True)
        return True

    def _drop(self, sequence: int) -> None:
        dropped = [segment for segment in self.segments[:-1] if segment.until < sequence]
        self.segments = [segment for segment in self.segments if segment not in dropped]
        for segment in dropped:
            segment.path.unlink(missing_ok=True)

    def _digests(self, keys: Sequence[K]) -> U64:
        made = b"".join(map(xxhash.xxh3_64_digest, map(self._encode, keys), repeat(self._seed)))
        return np.frombuffer(made, dtype=">u8").astype(np.uint64) >> np.uint64(64 - DIGEST_BITS)

    def _digest(self, key: K) -> int:
        return xxhash.xxh3_64_intdigest(self._encode(key), self._seed) >> 64 - DIGEST_BITS


class _Frozen(NamedTuple):
    """Keys counted at sequences in (`after`, `until`] that are being written behind."""

    keys: RecentKeys
    after: int
    until: int


def _load(folder: Path) -> list[Segment]:
    """Return the segments that follow each other from the first on; others are removed."""
    found: list[Segment] = []
    for path in folder.iterdir():
        try:
            found.append(Segment.open(path))
        except ValueError as error:
            logger.warning("keys are read from the log again", error=str(error))
            path.unlink()
    # Where a merge was cut off, the large one and the small ones are there: the large one is kept.
    found.sort(key=lambda segment: (segment.after, -segment.until))
    kept: list[Segment] = []
    for segment in found:
        if segment.after == (kept[-1].until if kept else found[0].after):
            kept.append(segment)
        else:
            segment.path.unlink()
    return kept


def _as_it_is(key: bytes) -> bytes:
    return key


class KeyIndexes:
    """The indexes of one installation: identifiers and Idempotency-Keys, by mode.

    They are frozen together, so that all hold everything up to the same place in commit order.
    """

    def __init__(self, folder: Path, *, secret: str) -> None:
        """Load what is in a folder.

        Args:
            folder: Where each index has a folder of its own.
            secret: Of the installation.
        """
        # One for all: several would take turns with Python's lock while requests wait for it.
        self._behind = ThreadPoolExecutor(1, thread_name_prefix="meterbell-keys")
        common: dict[str, Any] = {
            "secret": secret,
            "recent_max": RECENT_MAX,
            "behind": self._behind,
        }
        self.identifiers = {
            livemode: KeyIndex(folder / f"identifiers-{mode}", str.encode, **common)
            for livemode, mode in _MODES
        }
        self.request_keys = {
            livemode: KeyIndex(folder / f"requests-{mode}", _as_it_is, **common)
            for livemode, mode in _MODES
        }

    @property
    def _all(self) -> list[KeyIndex[Any]]:
        return [*self.identifiers.values(), *self.request_keys.values()]

    @property
    def sealed_until(self) -> int:
        """The sequence up to which everything is in segments."""
        return min(index.sealed_until for index in self._all)

    @property
    def keys(self) -> tuple[int, int]:
        """How many keys are held in memory, and how many in segments."""
        counts = [index.keys for index in self._all]
        return sum(recent for recent, _ in counts), sum(sealed for _, sealed in counts)

    def require_since(self, *, identifiers: int, request_keys: int) -> None:
        """Forget indexes that lack keys from these sequences on: they are read from the log."""
        for index in self.identifiers.values():
            index.require_since(identifiers)
        for other in self.request_keys.values():
            other.require_since(request_keys)

    def freeze_if_due(self, until: int, *, now_ms: int) -> None:
        """Begin to write recent keys behind, if it is time; see `KeyIndex.is_due`."""
        if any(index.is_due(until, now_ms=now_ms) for index in self._all):
            self.freeze(until, now_ms=now_ms)

    def freeze(self, until: int, *, now_ms: int) -> None:
        """Begin to write recent keys behind; everything up to `until` is on stable storage."""
        for index in self._all:
            index.freeze(until, now_ms=now_ms)

    def drop_before(self, *, identifiers: int, request_keys: int) -> None:
        """Forget whole segments of keys that stand before these sequences."""
        for index in self.identifiers.values():
            index.drop_before(identifiers)
        for other in self.request_keys.values():
            other.drop_before(request_keys)

    def settle(self) -> None:
        """Wait until everything frozen is in segments."""
        for index in self._all:
            index.settle()

    def close(self) -> None:
        """End the thread behind; a merge that has begun is finished."""
        for index in self._all:
            index.close()
        self._behind.shutdown()
