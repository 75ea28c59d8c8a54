"""Hours that are over, as the store keeps them."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import numpy as np

from meterbell.engine.hours import ENTRY_WIDTH
from meterbell.ledger.hours import read_entries, split_hours
from meterbell.store.base import Store, StoredHours

THREADS, ROUNDS = 4, 25


class _Rows:
    """A store that keeps the same rows for everybody."""

    def __init__(self, rows: list[StoredHours]) -> None:
        self._rows = rows

    def read_hours(
        self, parts: Iterable[tuple[int, int, int]], *, first: int, last: int
    ) -> Iterator[StoredHours]:
        assert list(parts)
        assert first < last
        yield from self._rows


def test_hours_are_read_in_several_threads_at_once() -> None:
    entries = np.arange(60_000, dtype=np.int64).reshape(-1, ENTRY_WIDTH) % 5003
    store = cast("Store", _Rows(list(split_hours(entries, 1))))

    def total(_round: int) -> int:
        read = read_entries(store, [(0, -1, 1)], first=0, last=2**40)
        return sum(int(found.sum()) for found in read)

    with ThreadPoolExecutor(THREADS) as pool:
        assert set(pool.map(total, range(THREADS * ROUNDS))) == {int(entries.sum())}
