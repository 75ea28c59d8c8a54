"""Saving the state in memory behind the commits, so that the next start has little to replay.

A piece is saved as a command of the commit queue: it sees the state between two groups and stands
for that place in commit order. Parts without changes are not written again; the piece `positions`
says how far each of them holds, and which segments belong together.
"""

import asyncio
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from functools import partial

import msgspec
import structlog

from meterbell.clock import Clock
from meterbell.engine.decide import REQUEST_KEY_MS, Group
from meterbell.engine.state import CounterKey, State
from meterbell.errors import OverloadedError, StoreUnavailableError
from meterbell.ledger.committer import Committer
from meterbell.ledger.pieces import PARTS, encode_part, part_of
from meterbell.ledger.segments import SegmentIndex
from meterbell.ledger.transaction import Transaction
from meterbell.store.base import Checkpoint, Store

POSITIONS = "positions"
IDENTIFIERS = "identifiers"
REQUEST_KEYS = "request_keys"
_DAY_MS = 86_400_000

logger = structlog.get_logger(__name__)


class Positions(msgspec.Struct, frozen=True):
    """How far the kept pieces hold.

    Attributes:
        parts: By name, the sequence in the piece and the sequence up to which nothing changed it.
        segments: By index, the spans of all its segments in commit order.
    """

    parts: dict[str, tuple[int, int]]
    segments: dict[str, list[tuple[int, int]]]


def part_name(part: int) -> str:
    """Return the name of the piece with one part's counters."""
    return f"part/{part:02}"


class Checkpointer:
    """Saves pieces of one state at intervals, and once more at the end."""

    def __init__(
        self,
        *,
        store: Store,
        state: State,
        clock: Clock,
        identifiers: SegmentIndex,
        request_keys: SegmentIndex,
        piece_sequences: Mapping[str, int],
        changed_parts: AbstractSet[int],
    ) -> None:
        """Prepare; nothing runs before `run`.

        Args:
            store: Where pieces are kept.
            state: What they are made of.
            clock: The present, for what may be dropped.
            identifiers: The state's index of identifiers.
            request_keys: The state's index of Idempotency-Keys.
            piece_sequences: By name, the sequence of each kept part.
            changed_parts: Parts that replay changed after their piece.
        """
        self._store = store
        self._state = state
        self._clock = clock
        self._indexes = {IDENTIFIERS: identifiers, REQUEST_KEYS: request_keys}
        self._keys: list[dict[CounterKey, None]] = [{} for _ in range(PARTS)]
        for key in state.counters:
            self._keys[part_of(key[1])][key] = None
        self._piece_sequences = dict(piece_sequences)
        self._changed = {part for part in range(PARTS) if part_name(part) not in piece_sequences}
        self._changed |= changed_parts
        self._saved_at = -1
        self._saved_segments = {
            name: {(s.after, s.until) for s in index.segments}
            for name, index in self._indexes.items()
        }

    def note(self, group: Group) -> None:
        """Remember which parts a committed group changed."""
        for key in group.counter_keys:
            part = part_of(key[1])
            self._keys[part][key] = None
            self._changed.add(part)

    async def run(self, committer: Committer, *, interval_seconds: int) -> None:
        """Save at intervals until cancelled."""
        while True:
            await asyncio.sleep(interval_seconds)
            try:
                await self.save(committer)
            except (StoreUnavailableError, OverloadedError) as error:
                logger.warning("checkpoint skipped", error=str(error))

    async def save(self, committer: Committer) -> None:
        """Save what changed since the last time."""
        sequence = self._state.sequence
        if sequence == self._saved_at:
            return
        for part in sorted(self._changed):
            await committer.execute(partial(self._save_part, part))
        now_ms = self._clock.now_ms()
        oldest = {
            IDENTIFIERS: now_ms - self._state.limits.identifier_days * _DAY_MS,
            REQUEST_KEYS: now_ms - REQUEST_KEY_MS,
        }
        for name in self._indexes:
            drop_before = self._store.first_sequence_since(oldest[name])
            await committer.execute(partial(self._save_index, name, drop_before))
        await committer.execute(self._save_positions)
        self._saved_at = sequence

    def _save_part(self, part: int, _transaction: Transaction) -> None:
        """Write one part as it is between two groups; the writer's thread."""
        counters = self._state.counters
        data = encode_part((key, counters[key]) for key in self._keys[part])
        name = part_name(part)
        self._changed.discard(part)
        self._piece_sequences[name] = self._state.sequence
        self._store.save_checkpoint(Checkpoint(name, self._state.sequence, data))

    def _save_index(self, name: str, drop_before: int, _transaction: Transaction) -> None:
        """Seal what has gathered and write new segments; the writer's thread."""
        index = self._indexes[name]
        index.seal(self._state.sequence, drop_before=drop_before)
        for segment in index.segments:
            span = (segment.after, segment.until)
            if span not in self._saved_segments[name]:
                piece = Checkpoint(segment_name(name, span), segment.until, segment.to_bytes())
                self._store.save_checkpoint(piece)

    def _save_positions(self, _transaction: Transaction) -> None:
        """Write what holds how far, and forget segments that were merged or dropped."""
        now = self._state.sequence
        spans = {
            name: [(s.after, s.until) for s in index.segments]
            for name, index in self._indexes.items()
        }
        positions = Positions(
            parts={
                name: (sequence, sequence if part in self._changed else now)
                for part in range(PARTS)
                if (sequence := self._piece_sequences.get(name := part_name(part))) is not None
            },
            segments=spans,
        )
        self._store.save_checkpoint(Checkpoint(POSITIONS, now, msgspec.msgpack.encode(positions)))
        for name, saved in self._saved_segments.items():
            stale = [segment_name(name, span) for span in saved if span not in spans[name]]
            self._store.delete_checkpoints(stale)
            self._saved_segments[name] = set(spans[name])


def segment_name(index: str, span: tuple[int, int]) -> str:
    """Return the name of the piece with one segment."""
    return f"{index}/{span[0]}-{span[1]}"
