"""The state at start-up: the newest intact pieces, then the rest of the log through the engine.

Replay decides nothing anew about the outside world: triggers are compared with those on record, and
none is written.
"""

import gc

import msgspec
import structlog

from meterbell.engine.decide import Group
from meterbell.engine.model import AlertChange, Cancellation, Meter, Trigger
from meterbell.engine.state import Limits, State
from meterbell.engine.value import format_value
from meterbell.ids import CustomerId, IdSource
from meterbell.ledger.checkpoints import (
    IDENTIFIERS,
    POSITIONS,
    REQUEST_KEYS,
    Positions,
    part_name,
    segment_name,
)
from meterbell.ledger.pieces import PARTS, decode_part, is_readable, part_of
from meterbell.ledger.segments import Segment, SegmentIndex
from meterbell.records import TriggerRecord
from meterbell.store import tables
from meterbell.store.base import Checkpoint, Store

_GROUP = 2000
_PROGRESS_EVERY = 500_000

logger = structlog.get_logger(__name__)


class Recovered(msgspec.Struct):
    """A state equal to the one that was lost, and what the next checkpoint needs to know.

    Attributes:
        piece_sequences: By name, the sequence of each kept part.
        changed_parts: Parts that replay changed after their piece.
        replayed: How many log entries were read.
        mismatches: Triggers that replay found and the record lacks; 0 unless something is broken.
    """

    state: State
    identifiers: SegmentIndex
    request_keys: SegmentIndex
    piece_sequences: dict[str, int]
    changed_parts: set[int]
    replayed: int
    mismatches: int


def recover(store: Store, *, limits: Limits, ids: IdSource) -> Recovered:
    """Return the state that the log stands for."""
    # All that is made here stays: looking for garbage in it again and again takes most of a start.
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return _recover(store, limits=limits, ids=ids)
    finally:
        if was_enabled:
            gc.enable()


def _recover(store: Store, *, limits: Limits, ids: IdSource) -> Recovered:
    digest_key = _digest_key(store, ids)
    pieces = store.load_checkpoints(_is_usable)
    positions = Positions({}, {})
    if POSITIONS in pieces:
        positions = msgspec.msgpack.decode(pieces[POSITIONS].data, type=Positions)
    identifiers = _load_index(IDENTIFIERS, positions, pieces, digest_key)
    request_keys = _load_index(REQUEST_KEYS, positions, pieces, digest_key)
    state = State(identifiers=identifiers, request_keys=request_keys, limits=limits)
    _load_objects(store, state)
    covered_until = _load_parts(state, positions, pieces)
    start = min(*covered_until, identifiers.sealed_until, request_keys.sealed_until)
    for entry in store.read_control(start):
        if isinstance(entry, AlertChange):
            state.put_alert(entry.alert, sequence=entry.sequence)
        elif isinstance(entry, Cancellation):
            state.cancelled.add(entry.cancelled_sequence)
    state.sequence = start
    recovered = Recovered(
        state=state,
        identifiers=identifiers,
        request_keys=request_keys,
        piece_sequences={
            name: pieces[name].sequence for name in map(part_name, range(PARTS)) if name in pieces
        },
        changed_parts=set(),
        replayed=0,
        mismatches=0,
    )
    _replay(store, recovered, covered_until)
    return recovered


def _digest_key(store: Store, ids: IdSource) -> bytes:
    """Return the installation's secret for digests, made at the first start."""
    found = store.reader.get_meta("digest_key")
    if found is None:
        found = ids.token(43)
        with store.transaction():
            store.writer.set_meta("digest_key", found)
    return found.encode()


def _is_usable(piece: Checkpoint) -> bool:
    return is_readable(piece.data) if piece.name.startswith("part/") else True


def _load_index(
    name: str, positions: Positions, pieces: dict[str, Checkpoint], digest_key: bytes
) -> SegmentIndex:
    """Load an index up to the first segment that is missing or damaged."""
    index = SegmentIndex(digest_key)
    for after, until in positions.segments.get(name, ()):
        piece = pieces.get(segment_name(name, (after, until)))
        if piece is None:
            break
        index.segments.append(Segment.from_bytes(after, until, piece.data))
    return index


def _load_objects(store: Store, state: State) -> None:
    for meter in store.reader.find(Meter):
        state.put_meter(meter)
    for livemode, customer, deleted in store.reader.customer_ids():
        if deleted:
            state.remove_customer(customer, livemode=livemode)
        else:
            state.add_customer(customer, livemode=livemode)


def _load_parts(state: State, positions: Positions, pieces: dict[str, Checkpoint]) -> list[int]:
    """Load the counters; return the sequence that each part stands for."""
    covered_until = []
    for name in map(part_name, range(PARTS)):
        piece = pieces.get(name)
        if piece is None:
            covered_until.append(0)
            continue
        for key, counter in decode_part(piece.data):
            state.counters[key] = counter
        of_piece, until = positions.parts.get(name, (0, 0))
        covered_until.append(until if of_piece == piece.sequence else piece.sequence)
    return covered_until


def _replay(store: Store, recovered: Recovered, covered_until: list[int]) -> None:
    """Take the rest of the log in."""
    state = recovered.state

    def covered(customer: CustomerId, sequence: int) -> bool:
        return sequence <= covered_until[part_of(customer)]

    def finish(group: Group) -> None:
        group.merge()
        recovered.changed_parts |= {part_of(key[1]) for key in group.counter_keys}
        recovered.mismatches += sum(not _is_on_record(store, t) for t in group.triggers)

    last = store.last_sequence()
    group = Group(state, store.lookup_event, now_ms=0)
    for entry in store.read_log(state.sequence):
        group.replay(entry, covered)
        recovered.replayed += 1
        if len(group.entries) == _GROUP:
            finish(group)
            group = Group(state, store.lookup_event, now_ms=0)
        if recovered.replayed % _PROGRESS_EVERY == 0:
            logger.info("replaying the log", sequence=entry.sequence, last=last)
    finish(group)


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
