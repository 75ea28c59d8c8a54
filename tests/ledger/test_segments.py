"""Digest segments find what a plain dictionary finds; counters survive their bytes exactly."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterbell.engine.counter import Baseline, Bucket, Counted, Counter
from meterbell.ids import AlertId, CustomerId, MeterId
from meterbell.ledger import segments
from meterbell.ledger.pieces import decode_part, encode_part, is_readable, part_of
from meterbell.ledger.segments import Segment, SegmentIndex

keys = st.lists(st.binary(min_size=1, max_size=6), unique=True, max_size=120)


@given(keys=keys, seals=st.sets(st.integers(0, 120)), absent=st.binary(min_size=7, max_size=9))
def test_segments_find_exactly_what_was_added(
    keys: list[bytes], seals: set[int], absent: bytes
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segments, "_RECENT_MAX", 5)
        index = SegmentIndex(b"secret")
        for sequence, key in enumerate(keys, start=1):
            index.add(key, sequence)
            if sequence in seals:
                index.seal(sequence)

    stored = [
        Segment.from_bytes(segment.after, segment.until, segment.to_bytes())
        for segment in index.segments
    ]
    index.segments = stored
    for sequence, key in enumerate(keys, start=1):
        assert index.find(key, sequence.__eq__) == sequence
        assert index.find(key, lambda _: False) is None
    assert index.find(absent, lambda _: True) is None
    assert all(a.until == b.after for a, b in pairwise(stored))


def test_segments_drop_what_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "_RECENT_MAX", 10)
    index = SegmentIndex(b"secret")
    for sequence in range(1, 101):
        index.add(b"key %d" % sequence, sequence)
        if sequence % 10 == 0:
            index.seal(sequence, drop_before=sequence - 35)

    assert index.find(b"key 100", lambda _: True) == 100
    assert index.find(b"key 1", lambda _: True) is None
    assert sum(len(segment.digests) for segment in index.segments) < 80


def test_c3_counters_survive_a_checkpoint_past_64_bits() -> None:
    huge = 10**40 + 7
    counted = Counted(1_700_000_000, 12, -huge)
    counter = Counter(
        total=huge,
        newest=counted,
        peak=huge + 1,
        armed=3,
        next_fire=huge * 2,
        buckets={472_222: Bucket(huge, 4, counted, 12), 472_223: Bucket(-5, 1, None, 9)},
        slots={7: counted},
        baselines={AlertId("alrt_1"): Baseline(5, -huge, counted)},
        watch=(AlertId("alrt_1"), AlertId("alrt_0")),
        triggered=frozenset({AlertId("alrt_2"), AlertId("alrt_3")}),
    )
    key = (MeterId("mtr_1"), CustomerId("cus_ü"))
    data = encode_part([(key, counter), (key, Counter())])

    assert is_readable(data)
    assert list(decode_part(data)) == [(key, counter), (key, Counter())]
    assert not is_readable(data[:-1])
    assert 0 <= part_of(key[1]) < 64
