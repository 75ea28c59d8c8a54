"""Raw meter events leave the log by whole days of receipt; what they added to counters stays.

A drop has two steps, so that a start finds what the running server found. First a *plan*, at its
place in commit order: from there on nothing finds the events any more. Then, when both kept
checkpoints hold everything up to the plan, the rows are deleted, a few at a time. A start therefore
never counts anew what could have found them. Indexes need less: no identifier that still counts
once stands among what is dropped.
"""

import asyncio
from datetime import UTC, datetime
from functools import partial

import msgspec
import structlog

from meterbell.clock import Clock
from meterbell.engine.state import State
from meterbell.errors import OverloadedError, SettingsError, StoreUnavailableError
from meterbell.ledger.checkpoints import POSITIONS, Checkpointer, Positions
from meterbell.ledger.committer import Committer
from meterbell.ledger.pieces import read_piece
from meterbell.ledger.transaction import Transaction
from meterbell.store.base import Store
from meterbell.store.objects import Objects

ROWS_MAX = 200
"""Rows of the log that one command deletes at most, so that no commit waits for long."""

_META_KEY = "retention"
_DAY_MS = 86_400_000

logger = structlog.get_logger(__name__)


class Drop(msgspec.Struct, frozen=True):
    """What is dropped, or to be dropped.

    Attributes:
        before: Meter events before this place in commit order are dropped.
        sequence: The drop's own place: entries after it find none of them.
        received_before_ms: They were received before this UTC midnight.
    """

    before: int = 1
    sequence: int = 0
    received_before_ms: int = 0


class Retention(msgspec.Struct, frozen=True):
    """What an installation has dropped so far, as its `meta` facts tell.

    Attributes:
        dropped: The latest drop of which rows are deleted.
        planned: The next one, of which no row is deleted yet.
    """

    dropped: Drop = Drop()
    planned: Drop | None = None


def load_retention(objects: Objects) -> Retention:
    """Return what has been dropped so far."""
    found = objects.get_meta(_META_KEY)
    return Retention() if found is None else msgspec.json.decode(found, type=Retention)


def _store_retention(objects: Objects, retention: Retention) -> None:
    objects.set_meta(_META_KEY, msgspec.json.encode(retention).decode())


def require_counters(dropped: Drop, sequence: int) -> None:
    """Refuse to start with counters that lack what only dropped events could tell.

    Args:
        dropped: What the log lacks.
        sequence: The counters hold everything up to here.

    Raises:
        SettingsError: They lack usage that can't be counted again.
    """
    if sequence >= dropped.sequence:
        return
    day = datetime.fromtimestamp(dropped.received_before_ms / 1000, UTC).date()
    raise SettingsError(
        "The saved counters in meterbell.db are missing or damaged, and they can't be counted "
        f"again: raw meter events received before {day} were dropped (retention_days), so the log "
        f"begins at {dropped.before}. Starting would lose all usage and alert state of that time. "
        "Restore the data folder from a backup, as a whole, and report again what came after it "
        "was made: identifiers count once."
    )


def verified_until(store: Store) -> int:
    """Return the place up to which both kept checkpoints hold everything; 0 if one is not intact.

    Reads every piece; call it in a thread.
    """
    positions: list[Positions] = []
    pieces: dict[str, int] = {}
    for piece in store.read_checkpoints():
        if piece.name == POSITIONS:
            positions.append(msgspec.json.decode(piece.data, type=Positions))
        elif piece.name not in pieces and read_piece(piece.data) is not None:
            pieces[piece.name] = piece.sequence
    if len(positions) < 2:  # noqa: PLR2004 - the newest and the one before it
        return 0
    for place in positions:
        if any(pieces.get(name, -1) < sequence for name, sequence in place.pieces.items()):
            return 0
    return min(place.sequence for place in positions)


class Retainer:
    """Drops raw meter events of one installation at intervals."""

    def __init__(
        self,
        *,
        store: Store,
        state: State,
        clock: Clock,
        checkpointer: Checkpointer,
        retention_days: int | None,
    ) -> None:
        """Prepare; nothing runs before `run`.

        Args:
            store: Where the log is.
            state: Must not find what is dropped.
            clock: The present.
            checkpointer: Must have saved everything up to a drop twice.
            retention_days: Days of receipt that are kept; None for ever.
        """
        self._store = store
        self._state = state
        self._clock = clock
        self._checkpointer = checkpointer
        self._retention_days = retention_days
        # A deletion that was cut off is finished after the next start.
        self._is_deleting = load_retention(store.reader).dropped.before > 1

    async def run(self, committer: Committer, *, interval_seconds: int) -> None:
        """Drop what is too old, at intervals, until cancelled."""
        while True:
            await asyncio.sleep(interval_seconds)
            try:
                await self.drop(committer)
            except (StoreUnavailableError, OverloadedError) as error:
                logger.warning("retention skipped", error=str(error))

    async def drop(self, committer: Committer) -> None:
        """Do the next step of what is due: plan, or delete behind the checkpoints."""
        retention = load_retention(self._store.reader)
        if self._is_deleting:
            await self._delete(committer, retention.dropped)
        if retention.planned is not None:
            await self._begin(committer, retention.planned)
        elif self._retention_days is not None:
            midnight_ms = self._clock.now_ms() - self._retention_days * _DAY_MS
            midnight_ms -= midnight_ms % _DAY_MS
            since = self._store.first_sequence_since(midnight_ms)
            before = self._store.begin_of_entry(max(since, retention.dropped.before))
            if before > retention.dropped.before:
                await committer.execute(partial(self._plan, before, midnight_ms))

    def _plan(self, before: int, midnight_ms: int, transaction: Transaction) -> None:
        """Let nothing find the events any more."""
        retention = load_retention(transaction.objects)
        drop = Drop(before, self._state.sequence, midnight_ms)
        _store_retention(transaction.objects, Retention(retention.dropped, drop))
        self._state.drop_before(before)

    async def _begin(self, committer: Committer, planned: Drop) -> None:
        """Begin to delete, if everything up to the plan is saved; else see to it that it will."""
        if await asyncio.to_thread(verified_until, self._store) < planned.sequence:
            await self._checkpointer.save(committer, again=True)
            return

        def command(transaction: Transaction) -> None:
            _store_retention(transaction.objects, Retention(planned))

        await committer.execute(command)
        self._is_deleting = True
        await self._delete(committer, planned)

    async def _delete(self, committer: Committer, drop: Drop) -> None:
        place = events = 0
        while True:
            deleted = await committer.execute(partial(self._delete_some, place, drop.before))
            if deleted is None:
                break
            place = deleted[0]
            events += deleted[1]
        self._is_deleting = False
        if place:
            kept, size = self._store.count_events(drop.before), self._store.size_bytes()
            logger.info(
                "raw meter events dropped",
                events=events,
                received_before=datetime.fromtimestamp(
                    drop.received_before_ms / 1000, UTC
                ).isoformat(),
                events_kept=kept,
                size_bytes=size,
                bytes_per_event=round(size / max(kept, 1)),
            )

    def _delete_some(
        self, after: int, before: int, _transaction: Transaction
    ) -> tuple[int, int] | None:
        return self._store.drop_log(after=after, before=before, rows_max=ROWS_MAX)
