"""Counters as bytes and back: the pieces of a checkpoint.

A piece holds a block of the counter table. It is written between two operations, so it stands for
exactly one place in commit order; different pieces may stand for different places.
"""

import msgspec
import numpy as np
import zstandard

from meterbell.engine.counter import Counter, Detail
from meterbell.engine.growing import Numbers
from meterbell.engine.hours import ENTRY_WIDTH
from meterbell.engine.state import State
from meterbell.engine.table import Block
from meterbell.ids import AlertId, MeterId

FORMAT = 5
"""Changes with the layout of the table; pieces of another format are ignored and replayed.

A log that was trimmed can't be replayed: a new format must come with a reader of the one before.
"""


class Rare(msgspec.Struct, array_like=True):
    """What few counters have; by place in the block. In JSON, for numbers past 64 bits."""

    details: dict[int, Detail]
    large: dict[int, Counter]


class Piece(msgspec.Struct, array_like=True):
    """A block of the table.

    Attributes:
        meters: Those that occur.
        who: For each counter, which of them it belongs to, and the customer's number. Here and
            below: 64-bit integers, lowest byte first.
        rows: As the table holds them.
        hours: The same of hours that are over and that the store does not keep yet.
        rare: See `Rare`.
    """

    version: int
    meters: list[MeterId]
    who: bytes
    rows: bytes
    hours: bytes
    rare: bytes


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Piece).decode
_encode_rare = msgspec.json.Encoder().encode
_decode_rare = msgspec.json.Decoder(Rare).decode


def encode_piece(state: State, block: int) -> bytes:
    """Return a block of the counter table as bytes."""
    found = state.table.block(block)
    meters, places = np.unique(found.meters, return_inverse=True)
    piece = Piece(
        version=FORMAT,
        meters=[state.meter_ids[meter] for meter in meters.tolist()],
        who=np.column_stack((places, found.customers)).astype("<i8", copy=False).tobytes(),
        rows=found.rows.astype("<i8", copy=False).tobytes(),
        hours=found.hours.astype("<i8", copy=False).tobytes(),
        rare=_encode_rare(Rare(found.details, found.large)),
    )
    return zstandard.ZstdCompressor(level=1).compress(_encode(piece))


def read_piece(data: bytes) -> Piece | None:
    """Return what `encode_piece` wrote; None if it is of another version's format."""
    try:
        piece = _decode(zstandard.ZstdDecompressor().decompress(data))
    except (msgspec.DecodeError, zstandard.ZstdError):
        return None
    return piece if piece.version == FORMAT else None


def load_piece(
    state: State, block: int, piece: Piece, *, sequence: int, names: dict[str, AlertId]
) -> None:
    """Put the counters of a piece into the table, whose blocks before it are loaded.

    Args:
        state: Knows the meters and the customers.
        block: Where they belong.
        piece: Decoded.
        sequence: The piece holds the effect of everything up to here.
        names: Alert ids seen so far: a million counters share them.
    """
    numbers = np.array([state.meter_numbers[meter] for meter in piece.meters], dtype=np.int64)
    who: Numbers = np.frombuffer(piece.who, dtype="<i8").reshape(-1, 2)
    rows: Numbers = np.frombuffer(piece.rows, dtype="<i8").reshape(len(who), -1)
    hours: Numbers = np.frombuffer(piece.hours, dtype="<i8").reshape(-1, ENTRY_WIDTH)
    rare = _decode_rare(piece.rare)
    for detail in rare.details.values():
        _share(detail, names)
    found = Block(numbers[who[:, 0]], who[:, 1], rows, hours, rare.details, rare.large)
    state.table.load_block(block, found, sequence=sequence)


def _share(detail: Detail, names: dict[str, AlertId]) -> None:
    """Let a detail refer to the one text of each alert's id, to save memory."""
    if detail.triggered:
        detail.triggered = frozenset(names.setdefault(name, name) for name in detail.triggered)
    if detail.watch:
        detail.watch = tuple(names.setdefault(name, name) for name in detail.watch)
    if detail.baselines:
        detail.baselines = {names.setdefault(n, n): b for n, b in detail.baselines.items()}


def block_of(name: str) -> int:
    """Return which block of the table a piece's name stands for."""
    return int(name.rpartition("/")[2])


def piece_name(block: int) -> str:
    """Return the name of the piece with a block of the table."""
    return f"counters/{block}"
