"""The log's rows as bytes and back: runs of meter events, compressed; everything else by itself.

A run of events is one row, because a row for each costs several times as much; column by column,
because like beside like is quicker to write and compresses better. One event is found by the run
that holds its place in commit order.
"""

from bisect import bisect_left, bisect_right, insort
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import assert_never

import msgspec
import zstandard

from meterbell.engine.model import (
    Alert,
    AlertChange,
    Cancellation,
    EventRow,
    EventRun,
    LogEntry,
    More,
)
from meterbell.engine.tail import UsageRun
from meterbell.ids import CustomerId, MeterId
from meterbell.store.sql import Connection, Row

METER_EVENTS, CANCELLATION, ALERT_CHANGE = 1, 2, 3
# Long enough to compress well, short enough that reading one event reads little else.
_RUN_MAX = 500
_COMPRESS_FROM_BYTES = 200
_COMPRESSION_LEVEL = 1
# What was appended just now is not among them: so many objects that live a little longer push
# everything else out of the processor's cache, and cost each event more than a fifth.
_CACHED_RUNS = 100

_COLUMNS = "sequence, events, kind, received_at_ms, data"
_APPEND = f"INSERT INTO log ({_COLUMNS}) VALUES (?,?,?,?,?)"  # noqa: S608
_READ_CONTROL = (
    f"SELECT {_COLUMNS} FROM log"  # noqa: S608
    " WHERE kind <> 1 AND sequence <= ? ORDER BY sequence"
)
_READ_CANCELLATIONS = (
    "SELECT sequence, received_at_ms, data FROM log"
    " WHERE kind <> 1 AND kind = 2 AND sequence > ? AND sequence <= ? ORDER BY sequence"
)
_READ_FROM = f"SELECT {_COLUMNS} FROM log WHERE sequence >= ? ORDER BY sequence"  # noqa: S608
_READ_RUN = (
    f"SELECT {_COLUMNS} FROM log"  # noqa: S608
    " WHERE sequence <= ? ORDER BY sequence DESC LIMIT 1"
)

_READ_BACK = (
    f"SELECT {_COLUMNS} FROM log"  # noqa: S608
    " WHERE sequence < ? ORDER BY sequence DESC LIMIT ?"
)

_READ_OLD = (
    "SELECT sequence, events, kind FROM log"
    " WHERE sequence > ? AND sequence < ? AND kind <> 3 ORDER BY sequence LIMIT ?"
)

# Names of meters; which of them each event has; then the columns of `EventRun`.
_Columns = tuple[
    list[MeterId],
    list[int],
    list[CustomerId],
    list[str],
    list[int],
    list[str | None],
    list[int],
    dict[int, More],
]

# The same; what `find_link` needs.
_Links = tuple[
    msgspec.Raw,
    msgspec.Raw,
    msgspec.Raw,
    msgspec.Raw,
    list[int],
    list[str | None],
    list[int],
    msgspec.Raw,
]

# The same; what says which usage counts for whom.
_UsageColumns = tuple[
    list[MeterId],
    list[int],
    list[CustomerId],
    msgspec.Raw,
    list[int],
    list[str | None],
    msgspec.Raw,
    msgspec.Raw,
]

_encode = msgspec.msgpack.Encoder().encode
_decode_columns = msgspec.msgpack.Decoder(_Columns).decode
_decode_links = msgspec.msgpack.Decoder(_Links).decode
_decode_usage = msgspec.msgpack.Decoder(_UsageColumns).decode
_decode_number = msgspec.msgpack.Decoder(int).decode
_encode_json = msgspec.json.Encoder().encode
_decode_alert = msgspec.json.Decoder(tuple[Alert, bool]).decode


class LogWriter:
    """Appends entries to the log through one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._compress = zstandard.ZstdCompressor(
            level=_COMPRESSION_LEVEL, write_checksum=True
        ).compress

    def drop(self, *, after: int, before: int, rows_max: int) -> tuple[int, int] | None:
        """Delete rows in (`after`, `before`) but alert changes; return last place and events."""
        rows = self._connection.run(_READ_OLD, (after, before, rows_max))
        if not rows:
            return None
        last = rows[-1][0]
        self._connection.run(
            "DELETE FROM log WHERE sequence > ? AND sequence <= ? AND kind <> 3", (after, last)
        )
        return last, sum(events for _, events, kind in rows if kind == METER_EVENTS)

    def append(self, entries: Sequence[LogEntry]) -> None:
        """Add entries inside the open transaction."""
        rows = [row for entry in entries for row in self._rows(entry)]
        if rows:
            self._connection.run_many(_APPEND, rows)

    def _rows(self, entry: LogEntry) -> Iterator[Row]:
        match entry:
            case EventRun():
                for start in range(0, len(entry), _RUN_MAX):
                    part = entry.part(start, start + _RUN_MAX)
                    data = _encode_run(part)
                    if len(data) >= _COMPRESS_FROM_BYTES:
                        data = self._compress(data)
                    yield part.sequence, len(part), METER_EVENTS, part.received_at_ms, data
            case Cancellation(sequence, cancelled_sequence, received_at_ms):
                yield sequence, 1, CANCELLATION, received_at_ms, _encode(cancelled_sequence)
            case AlertChange(sequence, changed, evaluated, received_at_ms):
                data = _encode_json((changed, evaluated))
                yield sequence, 1, ALERT_CHANGE, received_at_ms, data
            case _:
                assert_never(entry)


class LogReader:
    """Reads entries of the log through one connection; used by one thread at a time."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._decompress = zstandard.ZstdDecompressor().decompress
        # Runs that were read lately, by their first sequence, and these sequences in order.
        self._runs: OrderedDict[int, EventRun] = OrderedDict()
        self._firsts: list[int] = []
        self._links: tuple[int, list[int], list[str | None], list[int]] = (0, [], [], [])

    def forget(self) -> None:
        """Keep nothing at hand: rows were deleted."""
        self._runs.clear()
        self._firsts.clear()

    def find(self, sequence: int) -> tuple[EventRow, int] | None:
        """Return a meter event and when it was received; None if the log does not hold it."""
        run = self._at_hand(sequence)
        if run is not None:
            return run.row(sequence - run.sequence), run.received_at_ms
        found = self._connection.run(_READ_RUN, (sequence,))
        if not found or found[0][2] != METER_EVENTS or found[0][0] + found[0][1] <= sequence:
            return None
        run = self._run(found[0])
        self._runs[run.sequence] = run
        insort(self._firsts, run.sequence)
        if len(self._runs) > _CACHED_RUNS:
            gone, _ = self._runs.popitem(last=False)
            del self._firsts[bisect_left(self._firsts, gone)]
        return run.row(sequence - run.sequence), run.received_at_ms

    def received_at_ms(self, sequence: int) -> int | None:
        """Return when an entry was accepted; None if the log does not hold it."""
        found = self._connection.run(_READ_RUN, (sequence,))
        if not found or found[0][0] + found[0][1] <= sequence:
            return None
        return int(found[0][3])

    def find_link(self, sequence: int) -> tuple[int, str | None, int] | None:
        """Return a meter event's timestamp, its value, and the one before it in its hour.

        The texts of the other events around it are not even decoded, so this takes a fifth of
        `find`.
        """
        first, timestamps, values, previous = self._links
        if not first <= sequence < first + len(timestamps):
            found = self._connection.run(_READ_RUN, (sequence,))
            if not found or found[0][2] != METER_EVENTS or found[0][0] + found[0][1] <= sequence:
                return None
            first = found[0][0]
            _, _, _, _, timestamps, values, previous, _ = _decode_links(self._unpack(found[0][4]))
            self._links = first, timestamps, values, previous
        at = sequence - first
        return timestamps[at], values[at], previous[at]

    def _at_hand(self, sequence: int) -> EventRun | None:
        """Return the run with an event, if it need not be read."""
        at = bisect_right(self._firsts, sequence) - 1
        if at >= 0:
            run = self._runs[self._firsts[at]]
            if sequence < run.sequence + len(run):
                return run
        return None

    def after(self, sequence: int) -> Iterator[LogEntry]:
        """Yield the entries after a place in commit order; a run is cut where it has to be."""
        before = self._connection.run(_READ_RUN, (sequence,))
        first = before[0][0] if before else 0
        for row in self._connection.iterate(_READ_FROM, (first,)):
            if row[0] + row[1] <= sequence + 1:
                continue
            entry = self._entry(row)
            if isinstance(entry, EventRun) and entry.sequence <= sequence:
                entry = entry.part(sequence + 1 - entry.sequence, len(entry))
            yield entry

    def read_usage(self, after: int, *, rows_max: int) -> tuple[list[UsageRun | Cancellation], int]:
        """Return what follows a place in commit order, and how far that reaches.

        Alert changes are passed over. Texts that say nothing of usage are not even decoded.
        """
        before = self._connection.run(_READ_RUN, (after,))
        first = before[0][0] if before else 0
        entries: list[UsageRun | Cancellation] = []
        until = after
        for row in self._connection.run(f"{_READ_FROM} LIMIT ?", (first, rows_max)):
            sequence, events, kind, received_at_ms, data = row
            if sequence + events <= after + 1:
                continue
            until = sequence + events - 1
            if kind == METER_EVENTS:
                names, which, customers, _, timestamps, values, _, _ = _decode_usage(
                    self._unpack(data)
                )
                run = UsageRun(
                    sequence, received_at_ms, names, which, customers, timestamps, values
                )
                entries.append(run.part(max(after + 1 - sequence, 0), events))
            elif kind == CANCELLATION:
                entries.append(Cancellation(sequence, _decode_number(data), received_at_ms))
        return entries, until

    def read_back(self, before: int, *, rows_max: int) -> tuple[list[EventRun], int]:
        """Return the runs before a place where an entry begins, latest first, and how far back."""
        rows = self._connection.run(_READ_BACK, (before, rows_max))
        runs = [self._run(row) for row in rows if row[2] == METER_EVENTS]
        return runs, rows[-1][0] if rows else 1

    def cancellations(self, after: int, until: int) -> list[Cancellation]:
        """Return the cancellations after a place in commit order up to another."""
        rows = self._connection.run(_READ_CANCELLATIONS, (after, until))
        return [Cancellation(sequence, _decode_number(data), at) for sequence, at, data in rows]

    def control(self, until: int) -> Iterator[LogEntry]:
        """Yield cancellations and alert changes up to a place in commit order."""
        for row in self._connection.iterate(_READ_CONTROL, (until,)):
            yield self._entry(row)

    def last_sequence(self) -> int:
        """Return the place in commit order of the log's last entry; 0 for an empty log."""
        found = self._connection.run(
            "SELECT sequence + events - 1 FROM log WHERE sequence = (SELECT max(sequence) FROM log)"
        )
        return int(found[0][0]) if found else 0

    def begin_of_entry(self, sequence: int) -> int:
        """Return where the first entry at or after a sequence begins; past the end without one."""
        rows = self._connection.run(
            "SELECT sequence FROM log WHERE sequence >= ? ORDER BY sequence LIMIT 1", (sequence,)
        )
        return int(rows[0][0]) if rows else self.last_sequence() + 1

    def count_events(self, since: int) -> int:
        """Return how many meter events stand at or after a sequence where an entry begins."""
        others = self._connection.run(
            "SELECT count(*) FROM log WHERE kind <> 1 AND sequence >= ?", (since,)
        )
        return self.last_sequence() + 1 - since - int(others[0][0])

    def first_sequence_since(self, received_at_ms: int) -> int:
        """Return a sequence before which everything was received before an instant.

        A search by halves, because the log has no index by time; clocks that step back make it
        inexact by as much.
        """
        low, high = 1, self.last_sequence() + 1
        while low < high:
            middle = (low + high) // 2
            rows = self._connection.run(
                "SELECT sequence, received_at_ms FROM log WHERE sequence >= ?"
                " ORDER BY sequence LIMIT 1",
                (middle,),
            )
            if rows and rows[0][1] < received_at_ms:
                low = rows[0][0] + 1
            else:
                high = middle
        return low

    def _unpack(self, data: bytes) -> bytes:
        return self._decompress(data) if data[:4] == zstandard.FRAME_HEADER else data

    def _entry(self, row: Row) -> LogEntry:
        sequence, _, kind, received_at_ms, data = row
        if kind == METER_EVENTS:
            return self._run(row)
        if kind == CANCELLATION:
            return Cancellation(sequence, _decode_number(data), received_at_ms)
        changed, evaluated = _decode_alert(data)
        return AlertChange(sequence, changed, evaluated, received_at_ms)

    def _run(self, row: Row) -> EventRun:
        sequence, _, _, received_at_ms, data = row
        names, places, *columns = _decode_columns(self._unpack(data))
        return EventRun(sequence, received_at_ms, [names[place] for place in places], *columns)


def _encode_run(run: EventRun) -> bytes:
    names = list(set(run.meters))
    places = {name: place for place, name in enumerate(names)}
    return _encode(
        (
            names,
            [places[meter] for meter in run.meters],
            run.customers,
            run.identifiers,
            run.timestamps,
            run.values,
            run.previous,
            run.more,
        )
    )
