"""The embedded store: one SQLite file in write-ahead mode, the log first.

Each transaction appends to the log and is synced before it is acknowledged (C1). Nothing in it is
indexed by identifier: what was counted is found in memory, which the log rebuilds.
"""

import hashlib
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import apsw
import msgspec

from meterbell.engine.model import (
    Alert,
    AlertChange,
    Cancellation,
    LogEntry,
    Meter,
    MeterEvent,
)
from meterbell.engine.value import SCALE, parse_value
from meterbell.errors import StoreFailedError, StoreUnavailableError
from meterbell.ids import CustomerId
from meterbell.store.base import Checkpoint
from meterbell.store.objects import Objects
from meterbell.store.sql import Connection, Row

_METER_EVENT, _CANCELLATION, _ALERT_CHANGE = 1, 2, 3
_LOG_COLUMNS = (
    "sequence, kind, received_at_ms, livemode, meter, customer, identifier, timestamp, payload,"
    " previous, request_key, request_digest"
)
_APPEND = f"INSERT INTO log ({_LOG_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)"  # noqa: S608
_READ_AFTER = f"SELECT {_LOG_COLUMNS} FROM log WHERE sequence > ? ORDER BY sequence"  # noqa: S608
_READ_CONTROL = (
    f"SELECT {_LOG_COLUMNS} FROM log"  # noqa: S608
    " WHERE kind <> 1 AND sequence <= ? ORDER BY sequence"
)
_READ_ONE = f"SELECT {_LOG_COLUMNS} FROM log WHERE sequence = ?"  # noqa: S608
_CHECKPOINT_SECONDS = 0.2
_WAL_BYTES_MAX = 64 * 2**20
_GENERATIONS_KEPT = 2

# After one of these nothing about the file is certain.
_FATAL = (
    apsw.IOError,
    apsw.FullError,
    apsw.CorruptError,
    apsw.NotADBError,
    apsw.ReadOnlyError,
    apsw.CantOpenError,
    apsw.NoMemError,
)

_encode_json = msgspec.json.Encoder().encode
_decode_payload = msgspec.json.Decoder(dict[str, str]).decode
_decode_alert = msgspec.json.Decoder(tuple[Alert, bool]).decode


class SqliteStore:
    """The store on one SQLite file. See `store.base.Store` for what each call promises."""

    def __init__(self, path: Path) -> None:
        """Open the database at `path`, which migrations have brought up to date."""
        self._path = path
        self._writer_connection = Connection(path)
        self._reader_connection = Connection(path, readonly=True)
        self.writer = Objects(self._writer_connection)
        self.reader = Objects(self._reader_connection)
        self._meters: dict[int, Meter] = {}
        self._meter_numbers: dict[str, int] = {}
        self._wal = _WalMover(path)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Write everything done inside, or nothing."""
        connection = self._writer_connection
        try:
            connection.run("BEGIN IMMEDIATE")
        except apsw.BusyError as error:
            raise StoreUnavailableError(f"Another process locks the database: {error}") from error
        except apsw.Error as error:
            raise StoreFailedError(f"The database can't begin a transaction: {error}") from error
        try:
            yield
            connection.run("COMMIT")
        except apsw.Error as error:
            # After a failed sync SQLite would go on as if nothing had happened, and what it
            # acknowledges then may be lost. Whoever gets this must stop.
            raise StoreFailedError(f"The database can't commit: {error}") from error
        finally:
            if connection.apsw.in_transaction:
                try:
                    connection.run("ROLLBACK")
                except apsw.Error:
                    connection.close()
        self._wal.wake()

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo what was done inside if it raises, and nothing before it."""
        connection = self._writer_connection
        connection.run("SAVEPOINT command")
        try:
            yield
        except _FATAL as error:
            raise StoreFailedError(f"The database can't be written: {error}") from error
        except BaseException:
            connection.run("ROLLBACK TO command")
            connection.run("RELEASE command")
            raise
        connection.run("RELEASE command")

    def append(self, entries: Sequence[LogEntry]) -> None:
        """Add entries to the log inside the open transaction."""
        self._writer_connection.run_many(_APPEND, [self._to_row(entry) for entry in entries])

    def lookup_event(self, sequence: int) -> MeterEvent:
        """Return a committed meter event; the writer's."""
        return self._event(self._writer_connection, sequence)

    def read_event(self, sequence: int) -> MeterEvent:
        """Return a committed meter event; the reader's."""
        return self._event(self._reader_connection, sequence)

    def read_log(self, after: int) -> Iterator[LogEntry]:
        """Yield the log's entries after a sequence, in commit order."""
        connection = self._reader_connection
        for row in connection.iterate(_READ_AFTER, (after,)):
            yield self._from_row(connection, row)

    def read_control(self, until: int) -> Iterator[LogEntry]:
        """Yield cancellations and alert changes up to a sequence, in commit order."""
        for row in self._reader_connection.iterate(_READ_CONTROL, (until,)):
            yield self._from_row(self._reader_connection, row)

    def first_sequence_since(self, received_at_ms: int) -> int:
        """Return the sequence of the first entry received at or after an instant.

        A search by halves, because the log has no index by time; clocks that step back make it
        inexact by as much.
        """
        low, high = 1, self.last_sequence() + 1
        while low < high:
            middle = (low + high) // 2
            rows = self._reader_connection.run(
                "SELECT received_at_ms FROM log WHERE sequence >= ? ORDER BY sequence LIMIT 1",
                (middle,),
            )
            if rows[0][0] < received_at_ms:
                low = middle + 1
            else:
                high = middle
        return low

    def last_sequence(self) -> int:
        """Return the place in commit order of the log's last entry; 0 for an empty log."""
        found = self._reader_connection.run("SELECT max(sequence) FROM log")[0][0]
        return int(found or 0)

    def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Keep a piece of the state and the one before it."""
        connection = self._writer_connection
        name, sequence, data = checkpoint
        newest = connection.run("SELECT max(generation) FROM checkpoint WHERE name = ?", (name,))
        generation = int(newest[0][0] or 0) + 1
        connection.run(
            "INSERT INTO checkpoint (name, generation, sequence, checksum, data)"
            " VALUES (?, ?, ?, ?, ?)",
            (name, generation, sequence, _checksum(name, sequence, data), data),
        )
        connection.run(
            "DELETE FROM checkpoint WHERE name = ? AND generation <= ?",
            (name, generation - _GENERATIONS_KEPT),
        )

    def load_checkpoints(self, usable: Callable[[Checkpoint], bool]) -> dict[str, Checkpoint]:
        """Return by name the newest piece that is intact and that `usable` accepts."""
        found: dict[str, Checkpoint] = {}
        rows = self._reader_connection.iterate(
            "SELECT name, sequence, checksum, data FROM checkpoint ORDER BY name, generation DESC"
        )
        for name, sequence, checksum, data in rows:
            if name not in found and checksum == _checksum(name, sequence, data):
                checkpoint = Checkpoint(name, sequence, data)
                if usable(checkpoint):
                    found[name] = checkpoint
        return found

    def delete_checkpoints(self, names: Collection[str] | None = None) -> None:
        """Forget pieces by name; all of them by default, so that the next start replays all."""
        if names is None:
            self._writer_connection.run("DELETE FROM checkpoint")
        for name in names or ():
            self._writer_connection.run("DELETE FROM checkpoint WHERE name = ?", (name,))

    def close(self) -> None:
        """Close everything."""
        self._wal.close()
        self._reader_connection.close()
        self._writer_connection.close()

    def _event(self, connection: Connection, sequence: int) -> MeterEvent:
        rows = connection.run(_READ_ONE, (sequence,))
        assert rows, f"the log has no entry {sequence}"
        entry = self._from_row(connection, rows[0])
        assert isinstance(entry, MeterEvent), f"log entry {sequence} is no meter event"
        return entry

    def _to_row(self, entry: LogEntry) -> Row:
        match entry:
            case MeterEvent():
                return (
                    entry.sequence,
                    _METER_EVENT,
                    entry.received_at_ms,
                    entry.livemode,
                    self._meter_number(entry.meter),
                    entry.customer,
                    entry.identifier,
                    entry.timestamp,
                    _encode_json(entry.payload).decode(),
                    entry.previous,
                    entry.request_key,
                    entry.request_digest,
                )
            case Cancellation(sequence, cancelled_sequence, received_at_ms):
                head: Row = (sequence, _CANCELLATION, received_at_ms)
                return (*head, *(None,) * 6, cancelled_sequence, None, None)
            case AlertChange(sequence, changed, evaluated, received_at_ms):
                text = _encode_json((changed, evaluated)).decode()
                head = (sequence, _ALERT_CHANGE, received_at_ms)
                return (*head, *(None,) * 5, text, None, None, None)

    def _from_row(self, connection: Connection, row: Row) -> LogEntry:
        sequence, kind, received_at_ms = row[:3]
        if kind == _CANCELLATION:
            return Cancellation(sequence, row[9], received_at_ms)
        if kind == _ALERT_CHANGE:
            changed, evaluated = _decode_alert(row[8])
            return AlertChange(sequence, changed, evaluated, received_at_ms)
        meter = self._meters.get(row[4]) or self._meter(connection, row[4])
        payload = _decode_payload(row[8])
        return MeterEvent(
            sequence=sequence,
            livemode=bool(row[3]),
            meter=meter.id,
            customer=CustomerId(row[5]),
            identifier=row[6],
            timestamp=row[7],
            value=SCALE
            if meter.formula == "count"
            else parse_value(payload[meter.value_key], param=meter.value_key),
            payload=payload,
            previous=row[9],
            received_at_ms=received_at_ms,
            request_key=row[10],
            request_digest=row[11],
        )

    def _meter_number(self, meter_id: str) -> int:
        number = self._meter_numbers.get(meter_id)
        if number is None:
            rows = self._writer_connection.run("SELECT number FROM meter WHERE id = ?", (meter_id,))
            number = self._meter_numbers[meter_id] = int(rows[0][0])
        return number

    def _meter(self, connection: Connection, number: int) -> Meter:
        """Return a meter for its immutable parts: formula and payload keys."""
        meter_id = connection.run("SELECT id, livemode FROM meter WHERE number = ?", (number,))[0]
        meter = Objects(connection).get(Meter, meter_id[0], livemode=bool(meter_id[1]))
        assert meter is not None, "meters are never deleted"
        self._meters[number] = meter
        return meter


class _WalMover:
    """A thread that moves the write-ahead log into the database file, off the commit path."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._wal_path = path.with_name(path.name + "-wal")
        self._work = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="meterbell-wal", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Say that there is something to move."""
        self._work.set()

    def close(self) -> None:
        """End the thread."""
        self._closing.set()
        self._work.set()
        self._thread.join()

    def _run(self) -> None:
        connection = Connection(self._path)
        while True:
            self._work.wait()
            # Cleared before `_closing` is looked at: a `close` in between is then still seen.
            self._work.clear()
            if self._closing.wait(_CHECKPOINT_SECONDS):
                break
            # PASSIVE never waits for the writer; past the bound, waiting a little beats growing.
            mode = "PASSIVE" if self._wal_bytes() < _WAL_BYTES_MAX else "RESTART"
            try:
                connection.run(f"PRAGMA wal_checkpoint({mode})")
            except apsw.BusyError:
                self._work.set()
            except apsw.Error:
                # The writer meets the same fault at its next commit and stops the process.
                break
        connection.close()

    def _wal_bytes(self) -> int:
        try:
            return self._wal_path.stat().st_size
        except FileNotFoundError:
            return 0


def _checksum(name: str, sequence: int, data: bytes) -> bytes:
    digest = hashlib.blake2b(f"{name}\n{sequence}\n".encode(), digest_size=16)
    digest.update(data)
    return digest.digest()
