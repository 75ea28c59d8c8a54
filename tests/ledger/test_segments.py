"""An index finds what a plain dictionary finds, however its keys are spread over segments."""

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from meterbell.ledger import index as index_module
from meterbell.ledger.index import KeyIndex
from meterbell.ledger.recent import RecentKeys
from meterbell.ledger.segments import Segment

keys = st.lists(st.binary(min_size=1, max_size=6), unique=True, max_size=120)


@pytest.fixture(autouse=True)
def _few_fresh_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "_FRESH_MAX", 3)


class Index(KeyIndex[bytes]):
    """An index with a thread of its own."""

    def __init__(self, folder: Path, recent_max: int) -> None:
        self._own = ThreadPoolExecutor(1)
        super().__init__(folder, bytes, secret="secret", recent_max=recent_max, behind=self._own)

    @override
    def close(self) -> None:
        super().close()
        self._own.shutdown()


def open_index(folder: Path, recent_max: int = 5) -> Index:
    return Index(folder / "keys", recent_max)


@given(
    keys=keys,
    freezes=st.sets(st.integers(0, 120)),
    absent=st.binary(min_size=7, max_size=9),
    runs=st.booleans(),
)
def test_c2_an_index_finds_exactly_what_was_added(
    keys: list[bytes], freezes: set[int], absent: bytes, *, runs: bool
) -> None:
    with TemporaryDirectory() as folder:
        index = open_index(Path(folder))
        begin = 0
        for position in sorted({*freezes, len(keys)}):
            some = keys[begin:position]
            assert not index.suspects(some)
            if runs:
                index.add_run(some, begin + 1)
            else:
                for offset, key in enumerate(some):
                    index.add(key, begin + 1 + offset)
            begin = max(begin, min(position, len(keys)))
            if position in freezes:
                index.freeze(begin, now_ms=0)
        check(index, keys, absent)
        index.freeze(len(keys), now_ms=0)
        index.settle()
        check(index, keys, absent)
        assert index.keys == (0, len(keys))
        index.close()

        again = open_index(Path(folder))
        check(again, keys, absent)
        assert again.sealed_until == len(keys)
        assert all(a.until == b.after for a, b in pairwise(again.segments))
        again.close()


def check(index: KeyIndex[bytes], keys: list[bytes], absent: bytes) -> None:
    for sequence, key in enumerate(keys, start=1):
        assert index.find(key, sequence.__eq__) == sequence
        assert index.find(key, lambda _: False) is None
        assert index.suspects([absent, key]) == {key}
    assert index.find(absent, lambda _: True) is None
    assert not index.suspects([absent])
    assert index.suspects([absent, absent]) == {absent}


def test_c2_a_full_bucket_loses_no_key() -> None:
    recent = RecentKeys(8)
    digests = np.concatenate(
        [
            np.full(20, 7, dtype=np.uint64),
            np.arange(100, dtype=np.uint64),
            np.full(1, 2**48 - 1, dtype=np.uint64),
        ]
    )
    sequences = np.arange(1, 122, dtype=np.uint64)
    for start in (0, 20, 30):
        end = {0: 20, 20: 30, 30: 121}[start]
        recent.add(digests[start:end], sequences[start:end])

    assert recent.count == 121
    assert recent.find(7) == [28, *range(20, 0, -1)]
    assert [recent.find(digest) for digest in range(90, 100)] == [[n + 21] for n in range(90, 100)]
    assert recent.find(2**48 - 1) == [121]
    assert recent.may_hold(digests).all()
    assert not recent.may_hold(np.array([100, 2**47], dtype=np.uint64)).any()
    assert recent.find(100) == []
    found_digests, found_sequences = recent.contents()
    assert sorted(zip(found_sequences.tolist(), found_digests.tolist(), strict=True)) == list(
        zip(sequences.tolist(), digests.tolist(), strict=True)
    )


def test_segments_of_like_size_become_one(tmp_path: Path) -> None:
    index = open_index(tmp_path, recent_max=100)
    for start in range(0, 6400, 100):
        index.add_run([b"key %d" % number for number in range(start, start + 100)], start + 1)
        assert index.is_due(start + 100, now_ms=0)
        index.freeze(start + 100, now_ms=0)
        index.settle()

    assert [len(segment) for segment in index.segments] == [6400]
    assert [path.name for path in (tmp_path / "keys").iterdir()] == ["0-6400.keys"]
    assert all(index.find(b"key %d" % n, lambda _: True) == n + 1 for n in range(6400))
    assert not index.suspects([b"absent %d" % number for number in range(2000)])
    index.close()


def test_c2_keys_are_found_while_they_are_written_behind(tmp_path: Path) -> None:
    index = open_index(tmp_path, recent_max=1000)
    all_keys = [b"key %d" % number for number in range(20_000)]
    added = threading.Event()
    missed: list[bytes] = []
    known = 0

    def look() -> None:
        while not added.is_set():
            missed.extend(
                key
                for key in all_keys[: known : max(known // 50, 1)]
                if index.find(key, lambda _: True) is None or not index.suspects([key])
            )

    looking = threading.Thread(target=look)
    looking.start()
    try:
        for start in range(0, len(all_keys), 500):
            index.add_run(all_keys[start : start + 500], start + 1)
            known = start + 500
            if index.is_due(known, now_ms=0):
                index.freeze(known, now_ms=0)
    finally:
        added.set()
        looking.join(timeout=60)
    assert missed == []
    index.close()


def test_keys_are_due_when_they_are_many_or_an_hour_old(tmp_path: Path) -> None:
    index = open_index(tmp_path, recent_max=3)
    assert not index.is_due(0, now_ms=1000)
    index.add(b"a", 1)
    assert not index.is_due(1, now_ms=3_601_000)
    assert index.is_due(1, now_ms=3_601_001)
    index.add_run([b"b", b"c"], 2)
    assert index.is_due(3, now_ms=1000)
    index.close()


def test_whole_segments_that_are_too_old_are_dropped(tmp_path: Path) -> None:
    index = open_index(tmp_path, recent_max=10)
    for sequence in range(1, 31):
        index.add(b"key %d" % sequence, sequence)
        if sequence % 10 == 0:
            index.freeze(sequence, now_ms=0)
    index.drop_before(25)
    index.close()
    again = open_index(tmp_path)

    assert [(segment.after, segment.until) for segment in again.segments] == [(20, 30)]
    assert again.find(b"key 20", lambda _: True) is None
    assert again.find(b"key 21", lambda _: True) == 21
    again.require_since(21)
    assert again.sealed_until == 30
    again.require_since(20)
    assert again.sealed_until == 0
    assert list((tmp_path / "keys").iterdir()) == []
    again.close()


def test_what_a_crash_leaves_of_a_merge_is_tidied_up(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    folder.mkdir()
    for after, until in ((0, 10), (10, 20), (0, 20), (30, 40)):
        sequences = np.arange(after + 1, until + 1, dtype=np.uint64)
        Segment.write(folder, after, until, sequences * np.uint64(2**40), sequences)
    (folder / "40-50.keys").write_bytes(b"short")
    (folder / "0-20.partial").write_bytes(b"cut off")
    index = open_index(tmp_path)

    assert [(segment.after, segment.until) for segment in index.segments] == [(0, 20)]
    assert [path.name for path in folder.iterdir()] == ["0-20.keys"]
    index.close()


@pytest.mark.parametrize("offset", [-1, 60, 3])
def test_a_damaged_segment_is_noticed(tmp_path: Path, offset: int) -> None:
    sequences = np.arange(1, 100, dtype=np.uint64)
    segment = Segment.write(tmp_path, 0, 99, sequences * np.uint64(2**41), sequences)
    data = bytearray(segment.path.read_bytes())
    data[offset] ^= 1
    segment.path.write_bytes(data)

    with pytest.raises(ValueError, match="keys"):
        Segment.open(segment.path)


def test_keys_with_one_digest_are_all_candidates(tmp_path: Path) -> None:
    digests = np.array([7, 2**47, 7, 7 + 2**16], dtype=np.uint64)
    sequences = np.array([11, 12, 13, 14], dtype=np.uint64)
    segment = Segment.write(tmp_path, 10, 14, digests, sequences)

    assert segment.find(7) == [13, 11]
    assert segment.find(2**47) == [12]
    assert segment.find(8) == []
