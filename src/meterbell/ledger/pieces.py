"""Counters as bytes and back: the pieces of a checkpoint.

A piece holds counters of one meter that were made one after the other. It is written between two
operations, so it stands for exactly one place in commit order; different pieces may stand for
different places.
"""

from collections.abc import Sequence

import msgspec
import zstandard

from meterbell.engine.counter import Counter
from meterbell.ids import AlertId, CustomerId, MeterId

COUNTERS_MAX = 1024
FORMAT = 2
"""Changes with the layout of counters; pieces of another format are ignored and replayed.

A log that was trimmed can't be replayed: a new format must come with a reader of the one before.
"""

Piece = tuple[int, MeterId, list[tuple[CustomerId, Counter]]]

# JSON, because MessagePack integers end at 64 bits and totals don't.
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Piece).decode
_compress = zstandard.ZstdCompressor(level=1).compress
_decompress = zstandard.ZstdDecompressor().decompress


def encode_piece(meter: MeterId, counters: Sequence[tuple[CustomerId, Counter]]) -> bytes:
    """Return counters of one meter as bytes."""
    return _compress(_encode((FORMAT, meter, counters)))


def decode_piece(data: bytes) -> tuple[MeterId, list[tuple[CustomerId, Counter]]]:
    """Return what `encode_piece` wrote."""
    _, meter, counters = _decode(_decompress(data))
    return meter, counters


def is_readable(data: bytes) -> bool:
    """Return whether a piece is of this version's format."""
    try:
        version: int = _decode(_decompress(data))[0]
    except (msgspec.DecodeError, zstandard.ZstdError):
        return False
    return version == FORMAT


def share_values(
    counters: Sequence[tuple[CustomerId, Counter]],
    numbers: dict[int, int],
    names: dict[str, AlertId],
) -> None:
    """Let all counters refer to the same numbers and names where they are equal, to save memory.

    Alerts were made or fired for a million customers at once, and most usage falls in one hour.

    Args:
        counters: Decoded just now.
        numbers: Those seen so far.
        names: Alert ids seen so far.
    """
    for _, counter in counters:
        counter.next_fire = numbers.setdefault(counter.next_fire, counter.next_fire)
        counter.armed = numbers.setdefault(counter.armed, counter.armed)
        counter.hour = numbers.setdefault(counter.hour, counter.hour)
        detail = counter.detail
        if detail is None:
            continue
        if detail.triggered:
            detail.triggered = frozenset(names.setdefault(n, n) for n in detail.triggered)
        if detail.watch:
            detail.watch = tuple(names.setdefault(name, name) for name in detail.watch)
        if detail.baselines:
            detail.baselines = {names.setdefault(n, n): b for n, b in detail.baselines.items()}
