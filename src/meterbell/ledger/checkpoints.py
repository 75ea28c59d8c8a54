"""Saving the state in memory behind the commits, so that the next start has little to replay.

A piece is saved as a command of the commit queue: it stands for that place in commit order. Pieces
without changes are not written again. The piece `positions` says from where on the log is needed.
"""

import asyncio
from functools import partial

import msgspec
import numpy as np
import structlog

from meterbell.clock import Clock
from meterbell.engine.decide import REQUEST_KEY_MS
from meterbell.engine.state import State
from meterbell.errors import OverloadedError, StoreUnavailableError
from meterbell.ledger.committer import Committer
from meterbell.ledger.hours import split_hours
from meterbell.ledger.index import KeyIndexes
from meterbell.ledger.pieces import encode_piece, piece_name
from meterbell.ledger.transaction import Transaction
from meterbell.store.base import Checkpoint, Store

POSITIONS = "positions"
_DAY_MS = 86_400_000
_HOURS_MS = 3_600_000
HOURS_MAX = 250_000
# A counter that got late events weighs as much as so many closed hours.
_LATE_WEIGHT = 16

logger = structlog.get_logger(__name__)


class Positions(msgspec.Struct, frozen=True):
    """How far the kept pieces hold.

    Attributes:
        sequence: The pieces together hold the effect of everything up to here.
        pieces: By name, the sequence at which each was saved last.
    """

    sequence: int
    pieces: dict[str, int]


class Checkpointer:
    """Saves pieces of one state at intervals, and once more at the end."""

    def __init__(
        self,
        *,
        store: Store,
        state: State,
        clock: Clock,
        indexes: KeyIndexes,
        saved: dict[str, int],
    ) -> None:
        """Prepare; nothing runs before `run`.

        Args:
            store: Where pieces are kept.
            state: What they are made of.
            clock: The present, for what may be dropped.
            indexes: The state's indexes.
            saved: By name, the sequence at which each kept piece was saved.
        """
        self._store = store
        self._state = state
        self._clock = clock
        self._indexes = indexes
        self._saved = dict(saved)
        self._saved_at = -1
        self._stored_hours_ms = clock.now_ms()

    async def run(self, committer: Committer, *, interval_seconds: int) -> None:
        """Save at intervals until cancelled."""
        while True:
            await asyncio.sleep(interval_seconds)
            try:
                await self.save(committer)
            except (StoreUnavailableError, OverloadedError) as error:
                logger.warning("checkpoint skipped", error=str(error))

    async def save(self, committer: Committer, *, again: bool = False) -> None:
        """Save what changed since the last time.

        Args:
            committer: Where pieces are saved in commit order.
            again: Whether to say again how far the pieces hold even if nothing changed.
        """
        sequence = self._state.sequence
        if sequence == self._saved_at and not again:
            return
        table = self._state.table
        blocks = set(np.flatnonzero(table.changed).tolist())
        storing = self._is_time_for_hours()
        if storing:
            blocks |= table.blocks_with_hours()
            self._stored_hours_ms = self._clock.now_ms()
        for block in sorted(blocks):
            await committer.execute(partial(self._save_piece, block, storing))
        if storing:
            table.hours.compact()
        positions = Positions(sequence, dict(self._saved))
        await committer.execute(partial(self._save_positions, positions))
        self._saved_at = sequence
        now_ms = self._clock.now_ms()
        self._indexes.drop_before(
            identifiers=self._store.first_sequence_since(
                now_ms - self._state.limits.identifier_days * _DAY_MS
            ),
            request_keys=self._store.first_sequence_since(now_ms - REQUEST_KEY_MS),
        )

    def _is_time_for_hours(self) -> bool:
        """Return whether closed hours go to the store now; else they stay in the pieces.

        Seldom, so that rows of the store hold many; soon, so that memory holds few.
        """
        table = self._state.table
        late = sum(map(len, table.late.values()))
        return (
            table.hours.count + _LATE_WEIGHT * late >= HOURS_MAX
            or self._clock.now_ms() - self._stored_hours_ms >= _HOURS_MS
        )

    def _save_piece(self, block: int, storing: bool, transaction: Transaction) -> None:  # noqa: FBT001
        state, sequence = self._state, self._state.sequence
        if storing:
            for hours in split_hours(state.table.leave_hours(block), sequence):
                self._store.save_hours(hours)
            transaction.after_commit(partial(state.table.hours.arrive, block, sequence))
        name = piece_name(block)
        self._saved[name] = sequence
        self._store.save_checkpoint(Checkpoint(name, sequence, encode_piece(state, block)))
        state.table.changed[block] = False

    def _save_positions(self, positions: Positions, _transaction: Transaction) -> None:
        data = msgspec.json.encode(positions)
        self._store.save_checkpoint(Checkpoint(POSITIONS, positions.sequence, data))
