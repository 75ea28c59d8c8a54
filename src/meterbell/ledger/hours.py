"""Hours that are over, as the store keeps them: written once, read for summaries.

A row of the store holds what was put away together for a few counters whose rows in the table stand
side by side, so the hours of one counter's month are some hundred rows that stand side by side too.
"""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import zstandard

from meterbell.engine import table
from meterbell.engine.growing import Numbers
from meterbell.engine.hours import ENTRY_WIDTH, HOUR, SLOT, Hours, add_parts, parts_of
from meterbell.errors import StoreUnavailableError
from meterbell.store.base import Store, StoredHours

_PART_SLOTS = 128
PARTS_IN_BLOCK = table.BLOCK // _PART_SLOTS
"""So many parts of a block of the table are rows by themselves."""


def split_hours(entries: Numbers, sequence: int) -> Iterator[StoredHours]:
    """Yield entries as rows of the store.

    Args:
        entries: See `ClosedHours`.
        sequence: They hold the effect of everything up to here.
    """
    entries = entries[np.lexsort((entries[:, HOUR], entries[:, SLOT]))]
    parts = _part(entries[:, SLOT])
    # With a checksum, so that damage is noticed. Threads can't share one.
    compress = zstandard.ZstdCompressor(level=1, write_checksum=True).compress
    for part in np.unique(parts).tolist():
        found = entries[parts == part]
        # Column by column: numbers that resemble each other stand together.
        data = compress(np.ascontiguousarray(found.T, dtype="<i8").tobytes())
        hours = found[:, HOUR]
        yield StoredHours(part, sequence, int(hours.min()), int(hours.max()), data)


def read_hours(
    store: Store, slot: int, *, until: int, first: int, last: int, after: int = -1
) -> Hours:
    """Return what the store keeps of a counter's hours; in any thread.

    Args:
        store: Where they are.
        slot: The counter's row.
        until: Sequence up to which they are wanted; the state holds the rest.
        first: UTC hour since 1970, inclusive.
        last: UTC hour since 1970, inclusive.
        after: Sequence; what was put away before, and so ended before, is left out.

    Raises:
        StoreUnavailableError: A row is damaged.
    """
    found: Hours = {}
    for entries in read_entries(store, [(_part_of(slot), after, until)], first=first, last=last):
        add_parts(found, parts_of(entries[entries[:, SLOT] == slot]))
    return found


def add_stored(
    store: Store, until: Mapping[int, int], into: Mapping[int, Hours], *, first: int, last: int
) -> None:
    """Add what the store keeps of some counters' hours to what the state has of them.

    Args:
        store: Where they are.
        until: By row, the sequence up to which they are wanted; 0 for nothing.
        into: By row.
        first: UTC hour since 1970, inclusive.
        last: UTC hour since 1970, inclusive.

    Raises:
        StoreUnavailableError: A row is damaged.
    """
    rows: dict[int, list[int]] = {}
    for slot, place in until.items():
        if place:
            rows.setdefault(_part_of(slot), []).append(slot)
    # Those of a part were put away together.
    wanted = [(part, -1, until[slots[0]]) for part, slots in rows.items()]
    for entries in read_entries(store, wanted, first=first, last=last):
        for slot in rows[_part_of(int(entries[0, SLOT]))]:
            add_parts(into[slot], parts_of(entries[entries[:, SLOT] == slot]))


def read_entries(
    store: Store, parts: Iterable[tuple[int, int, int]], *, first: int, last: int
) -> Iterator[Numbers]:
    """Yield what the store keeps of the hours of parts of blocks, as entries; in any thread.

    Whole rows, so that a few hours may lie outside of the range. See `Store.read_hours`, and for
    damage `read_hours`.
    """
    # One for each reading: threads can't share it.
    decompress = zstandard.ZstdDecompressor().decompress
    for stored in store.read_hours(parts, first=first, last=last):
        try:
            columns = np.frombuffer(decompress(stored.data), dtype="<i8").reshape(ENTRY_WIDTH, -1)
        except (zstandard.ZstdError, ValueError) as error:
            raise StoreUnavailableError(
                "The closed hours of counters in meterbell.db are damaged (hour_part "
                f"{stored.part}, {stored.sequence}). Restore the data folder from a backup, as a "
                "whole."
            ) from error
        yield columns.T


def _part_of(slot: int) -> int:
    return int(_part(np.array([slot]))[0])


def _part(slots: Numbers) -> Numbers:
    block, place = np.divmod(slots, table.BLOCK)
    part: Numbers = block * PARTS_IN_BLOCK + place // _PART_SLOTS
    return part
