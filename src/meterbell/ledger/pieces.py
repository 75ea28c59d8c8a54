"""Counters as bytes and back: the pieces of a checkpoint.

Counters are split into parts by customer. A part is written between two groups, so it stands for
exactly one place in commit order; different parts may stand for different places.
"""

import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from meterbell.engine.counter import Baseline, Bucket, Counted, Counter
from meterbell.engine.state import CounterKey
from meterbell.ids import AlertId, CustomerId, MeterId

PARTS = 64
FORMAT = 1
"""Changes with the layout below; pieces of another format are ignored and the log is replayed."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode
_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1


def part_of(customer: CustomerId) -> int:
    """Return the part that a customer's counters belong to."""
    return zlib.crc32(customer.encode()) % PARTS


def encode_part(counters: Iterable[tuple[CounterKey, Counter]]) -> bytes:
    """Return the counters of one part as bytes."""
    return _encode((FORMAT, [_pack_counter(key, counter) for key, counter in counters]))


def decode_part(data: bytes) -> Iterator[tuple[CounterKey, Counter]]:
    """Yield the counters that `encode_part` wrote."""
    _, counters = _decode(data)
    for packed in counters:
        yield _unpack_counter(packed)


def is_readable(data: bytes) -> bool:
    """Return whether a piece is of this version's format."""
    try:
        decoded = _decode(data)
    except msgspec.DecodeError:
        return False
    return isinstance(decoded, list) and bool(decoded) and decoded[0] == FORMAT


def _pack(number: int) -> int | str:
    # MessagePack integers end at 64 bits; totals don't.
    return number if _INT64_MIN <= number <= _INT64_MAX else str(number)


def _pack_counted(counted: Counted | None) -> Any:  # noqa: ANN401
    if counted is None:
        return None
    return counted.timestamp, counted.sequence, _pack(counted.value)


def _unpack_counted(packed: Any) -> Counted | None:  # noqa: ANN401
    return None if packed is None else Counted(packed[0], packed[1], int(packed[2]))


def _pack_counter(key: CounterKey, counter: Counter) -> Any:  # noqa: ANN401
    assert counter.origin is None, "only committed counters are kept"
    slots, baselines = counter.slots, counter.baselines
    return (
        key,
        _pack(counter.total),
        _pack_counted(counter.newest),
        _pack(counter.peak),
        counter.armed,
        _pack(counter.next_fire),
        [
            (hour, _pack(b.value), b.events, _pack_counted(b.newest), b.head)
            for hour, b in counter.buckets.items()
        ],
        None if slots is None else [(slot, _pack_counted(c)) for slot, c in slots.items()],
        None
        if baselines is None
        else [
            (alert, b.created_sequence, _pack(b.value), _pack_counted(b.since))
            for alert, b in baselines.items()
        ],
        counter.watch,
        sorted(counter.triggered),
    )


def _unpack_counter(packed: Any) -> tuple[CounterKey, Counter]:  # noqa: ANN401
    key, total, newest, peak, armed, next_fire, buckets, slots, baselines, watch, triggered = packed
    counter = Counter(
        total=int(total),
        newest=_unpack_counted(newest),
        peak=int(peak),
        armed=armed,
        next_fire=int(next_fire),
        buckets={
            hour: Bucket(int(value), events, _unpack_counted(newest_in_hour), head)
            for hour, value, events, newest_in_hour, head in buckets
        },
        slots=None
        if slots is None
        else {slot: c for slot, p in slots if (c := _unpack_counted(p)) is not None},
        baselines=None
        if baselines is None
        else {
            AlertId(alert): Baseline(sequence, int(value), _unpack_counted(since))
            for alert, sequence, value, since in baselines
        },
        watch=tuple(AlertId(alert) for alert in watch),
        triggered=frozenset(AlertId(alert) for alert in triggered),
    )
    return (MeterId(key[0]), CustomerId(key[1])), counter
