"""The state at start-up: the newest intact pieces, then the rest of the log through the engine.

Replay decides nothing anew about the outside world: triggers are compared with those on record, and
none is written.
"""

import gc
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import msgspec
import structlog

from meterbell.clock import Clock
from meterbell.engine.decide import REQUEST_KEY_MS, Group
from meterbell.engine.model import (
    AlertChange,
    Cancellation,
    EventRun,
    LogEntry,
    Meter,
    MeterEvent,
    Trigger,
)
from meterbell.engine.replay import replay_runs
from meterbell.engine.state import Limits, State
from meterbell.engine.value import format_value
from meterbell.engine.values import Values
from meterbell.ids import AlertId, IdSource
from meterbell.ledger.checkpoints import POSITIONS, Positions
from meterbell.ledger.hours import PARTS_IN_BLOCK
from meterbell.ledger.index import KeyIndexes
from meterbell.ledger.pieces import block_of, load_piece, read_piece
from meterbell.ledger.retention import Drop, load_retention, require_counters
from meterbell.records import TriggerRecord
from meterbell.store import tables
from meterbell.store.base import Checkpoint, Store
from meterbell.store.sealing import DIGEST_KEY, read_fact, store_fact
from meterbell.vault import Vault

_GROUP = 200
_EVENTS_AT_ONCE = 8000
_PROGRESS_EVERY = 2_000_000
_DAY_MS = 86_400_000

logger = structlog.get_logger(__name__)


class Recovered(msgspec.Struct):
    """A state equal to the one that was lost, and what the next checkpoint needs to know.

    Attributes:
        saved: By name, the sequence at which each kept piece was saved.
        replayed: How many log entries were read.
        mismatches: Triggers that replay found and the record lacks; 0 unless something is broken.
    """

    state: State
    indexes: KeyIndexes
    saved: dict[str, int]
    replayed: int
    mismatches: int


def recover(
    store: Store, folder: Path, *, limits: Limits, clock: Clock, ids: IdSource, vault: Vault
) -> Recovered:
    """Return the state that the log stands for.

    Args:
        store: Where the log is.
        folder: Where the indexes' files are.
        limits: The state's bounds.
        clock: The present, for identifiers that are too old to matter.
        ids: For the installation's secret, made at the first start.
        vault: Where that secret is safe.
    """
    # All that is made here stays: looking for garbage in it again and again takes most of a start.
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        indexes = KeyIndexes(folder, secret=_secret(store, ids, vault))
        return _recover(store, indexes, limits=limits, now_ms=clock.now_ms())
    finally:
        if was_enabled:
            gc.enable()


def _recover(store: Store, indexes: KeyIndexes, *, limits: Limits, now_ms: int) -> Recovered:
    indexes.require_since(
        identifiers=store.first_sequence_since(now_ms - limits.identifier_days * _DAY_MS),
        request_keys=store.first_sequence_since(now_ms - REQUEST_KEY_MS),
    )
    state = State(
        identifiers={mode: indexes.identifiers[mode] for mode in (False, True)},
        request_keys={mode: indexes.request_keys[mode] for mode in (False, True)},
        limits=limits,
    )
    retention = load_retention(store.reader)
    for meter in store.reader.find(Meter):
        state.put_meter(meter)
    with ThreadPoolExecutor(1) as thread:
        # The database is busy with it without holding Python's lock.
        customers = thread.submit(store.read_customers)
        start, saved = _load_counters(store, state)
        state.load_customers(*customers.result())
    recovered = Recovered(state, indexes, saved, replayed=0, mismatches=0)
    _drop_hours(store, saved)
    require_counters(retention.dropped, start)
    # Identifiers that are looked for stand behind what was dropped.
    start = min(start, max(indexes.sealed_until, retention.dropped.before - 1))
    state.drop_before(retention.dropped.before)
    for entry in store.read_control(start):
        if isinstance(entry, AlertChange):
            state.put_alert(entry.alert, sequence=entry.sequence)
        elif isinstance(entry, Cancellation) and entry.cancelled_sequence >= state.log_begins:
            state.cancelled.add(entry.cancelled_sequence)
    state.sequence = start
    _replay(store, recovered, retention.planned)
    recovered.replayed = state.sequence - start
    return recovered


def _secret(store: Store, ids: IdSource, vault: Vault) -> str:
    """Return the installation's secret for digests, made at the first start."""
    found = read_fact(store.reader, vault, DIGEST_KEY)
    if found is None:
        found = ids.token(43)
        with store.transaction():
            store_fact(store.writer, vault, DIGEST_KEY, found)
    return found


def _load_counters(store: Store, state: State) -> tuple[int, dict[str, int]]:
    """Load the counters.

    Returns:
        The sequence up to which all of them hold everything, and by name the one at which each
        piece was saved.
    """
    kept: defaultdict[str, list[Checkpoint]] = defaultdict(list)
    for checkpoint in store.read_checkpoints():
        kept[checkpoint.name].append(checkpoint)
    if POSITIONS not in kept:
        return 0, {}
    positions = msgspec.json.decode(kept.pop(POSITIONS)[0].data, type=Positions)
    saved: dict[str, int] = {}
    alerts: dict[str, AlertId] = {}
    for name in sorted(kept, key=block_of):
        # Of a piece that is damaged, or of another format, the one before it is read.
        for _, sequence, data in kept[name]:
            piece = read_piece(data)
            if piece is not None:
                load_piece(state, block_of(name), piece, sequence=sequence, names=alerts)
                saved[name] = sequence
                break
    start = positions.sequence
    for name, sequence in positions.pieces.items():
        if saved.get(name, 0) < sequence:
            start = min(start, saved.get(name, 0))  # without any, the whole log
    return start, saved


def _drop_hours(store: Store, saved: dict[str, int]) -> None:
    """Forget hours that went to the store after the pieces that were loaded: they come again."""
    kept = {
        block_of(name) * PARTS_IN_BLOCK + part: sequence
        for name, sequence in saved.items()
        for part in range(PARTS_IN_BLOCK)
    }
    with store.transaction():
        store.drop_hours(kept)


def _replay(store: Store, recovered: Recovered, planned: Drop | None) -> None:
    """Take the rest of the log in; what was to be dropped is found no more from there on."""
    state = recovered.state

    def lookup(sequence: int) -> MeterEvent | None:
        event = store.find_event(sequence)
        assert event is not None, f"the log has no meter event {sequence}"
        return event

    last = store.last_sequence()
    values = Values()
    group = Group(state, lookup, now_ms=0)
    told = state.sequence
    for entries in _together(store.read_log(state.sequence)):
        first = entries[0]
        if planned is not None and first.sequence > planned.sequence:
            state.drop_before(planned.before)
            planned = None
        if isinstance(first, EventRun):
            replay_runs(group, cast("list[EventRun]", entries), values)
        else:
            group.replay(first)
        if state.sequence - told >= _PROGRESS_EVERY:
            told = state.sequence
            logger.info("replaying the log", sequence=told, last=last)
        if len(group.entries) >= _GROUP:
            recovered.indexes.freeze_if_due(state.sequence, now_ms=first.received_at_ms)
            recovered.mismatches += sum(not _is_on_record(store, t) for t in group.triggers)
            group = Group(state, lookup, now_ms=0)
    recovered.mismatches += sum(not _is_on_record(store, t) for t in group.triggers)
    if planned is not None:
        state.drop_before(planned.before)


def _together(entries: Iterable[LogEntry]) -> Iterator[list[LogEntry]]:
    """Yield the log's entries, runs of meter events that follow each other together."""
    runs: list[LogEntry] = []
    events = 0
    for entry in entries:
        if isinstance(entry, EventRun) and events < _EVENTS_AT_ONCE:
            runs.append(entry)
            events += len(entry)
            continue
        if runs:
            yield runs
        runs, events = [], 0
        if isinstance(entry, EventRun):
            runs, events = [entry], len(entry)
        else:
            yield [entry]
    if runs:
        yield runs


def _is_on_record(store: Store, trigger: Trigger) -> bool:
    columns = tables.trigger.c
    found = store.reader.find(
        TriggerRecord, columns.alert == trigger.alert.id, columns.customer == trigger.customer
    )
    value = format_value(trigger.value)
    if [(record.sequence, record.value) for record in found] == [(trigger.sequence, value)]:
        return True
    logger.error(
        "replay found a trigger that is not on record",
        alert=trigger.alert.id,
        customer=trigger.customer,
        sequence=trigger.sequence,
    )
    return False
