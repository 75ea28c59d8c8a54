"""The embedded store: one SQLite file in write-ahead mode, the log first.

Each transaction appends to the log and is synced before it is acknowledged (C1). Nothing in it is
indexed by identifier: what was counted is found in memory, which the log rebuilds.
"""

import hashlib
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import apsw
import msgspec
import numpy as np

from meterbell.engine.counter import Counted
from meterbell.engine.model import LogEntry, Meter, MeterEvent
from meterbell.engine.rows import value_of
from meterbell.errors import StoreFailedError, StoreUnavailableError
from meterbell.ids import CustomerId
from meterbell.store.base import Checkpoint, Customers, StoredHours
from meterbell.store.log import LogReader, LogWriter
from meterbell.store.log_view import SqliteLogView
from meterbell.store.objects import Objects
from meterbell.store.sql import Connection, Row

_CHECKPOINT_SECONDS = 0.2
# The writer runs on the event loop, which must not stand still while another process writes.
_BUSY_MS = 20
_WAL_BYTES_MAX = 64 * 2**20
_GENERATIONS_KEPT = 2
_READ_CHECKPOINTS = (
    "SELECT name, sequence, checksum, data FROM checkpoint ORDER BY name, generation DESC"
)
# A million rows take longer one by one than as texts; by the primary key they come in its order.
_CUSTOMERS_AT_ONCE = 10_000
_READ_CUSTOMERS = (
    "SELECT json_group_array(id),"
    " json_group_array(number - 1) FILTER (WHERE livemode),"
    " json_group_array(number - 1) FILTER (WHERE deleted)"
    " FROM customer NOT INDEXED WHERE number > ? AND number <= ?"
)
_READ_HOURS = (
    "SELECT part, sequence, first_hour, last_hour, data FROM hour_part"
    " WHERE part = ? AND sequence > ? AND sequence <= ? AND last_hour >= ? AND first_hour <= ?"
    " ORDER BY sequence"
)

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


class SqliteStore:
    """The store on one SQLite file. See `store.base.Store` for what each call promises."""

    def __init__(self, path: Path) -> None:
        """Open the database at `path`, which migrations have brought up to date."""
        self._path = path
        self._writer_connection = Connection(path, busy_ms=_BUSY_MS)
        self._reader_connection = Connection(path, readonly=True)
        self.writer = Objects(self._writer_connection)
        self.reader = Objects(self._reader_connection)
        self._log_writer = LogWriter(self._writer_connection)
        self._log = LogReader(self._reader_connection)
        self._view = SqliteLogView(self._log, self.reader)
        self._wal = _WalMover(path)

    @contextmanager
    def reading(self) -> Iterator[Objects]:
        """Read control objects over a connection of its own."""
        connection = Connection(self._path, readonly=True)
        try:
            yield Objects(connection)
        finally:
            connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Write everything done inside, or nothing."""
        with self.writing():
            yield
        self.commit()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Open a transaction and leave it open; undo it if what is done inside raises."""
        try:
            self._writer_connection.run("BEGIN IMMEDIATE")
        except apsw.BusyError as error:
            raise StoreUnavailableError(f"Another process locks the database: {error}") from error
        except apsw.Error as error:
            raise StoreFailedError(f"The database can't begin a transaction: {error}") from error
        try:
            yield
        except apsw.Error as error:
            self._rollback()
            raise StoreFailedError(f"The database can't be written: {error}") from error
        except BaseException:
            self._rollback()
            raise

    def append(self, entries: Sequence[LogEntry]) -> None:
        """Add entries to the log inside the open transaction."""
        try:
            self._log_writer.append(entries)
        except apsw.Error as error:
            self._rollback()
            raise StoreFailedError(f"The database can't be written: {error}") from error

    def commit(self) -> None:
        """Bring the open transaction to stable storage."""
        try:
            self._writer_connection.run("COMMIT")
        except apsw.Error as error:
            # After a failed sync SQLite would go on as if nothing had happened, and what it
            # acknowledges then may be lost. Whoever gets this must stop.
            self._rollback()
            raise StoreFailedError(f"The database can't commit: {error}") from error
        self._wal.wake()

    def _rollback(self) -> None:
        connection = self._writer_connection
        if connection.apsw.in_transaction:
            try:
                connection.run("ROLLBACK")
            except apsw.Error:
                connection.close()

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

    def find_event(self, sequence: int) -> MeterEvent | None:
        """Return a committed meter event; None if the log holds it no more."""
        return self._view.find_event(sequence)

    def received_at_ms(self, sequence: int) -> int | None:
        """Return when an entry of the log was accepted; None if the log does not hold it."""
        return self._log.received_at_ms(sequence)

    def read_chain(self, meter: Meter, head: int) -> Iterator[tuple[Counted, int]]:
        """Yield a meter's event and those before it in its counter and hour, latest first."""
        connection = Connection(self._path, readonly=True)
        try:
            log = LogReader(connection)
            while head and (found := log.find_link(head)) is not None:
                timestamp, text, previous = found
                yield Counted(timestamp, head, value_of(meter, text)), previous
                head = previous
        finally:
            connection.close()

    @contextmanager
    def view_log(self) -> Iterator[SqliteLogView]:
        """Open a view of the log, and close it at the end."""
        connection = Connection(self._path, readonly=True)
        try:
            yield SqliteLogView(LogReader(connection), Objects(connection))
        finally:
            connection.close()

    def read_log(self, after: int) -> Iterator[LogEntry]:
        """Yield the log's entries after a sequence, in commit order."""
        return self._log.after(after)

    def read_control(self, until: int) -> Iterator[LogEntry]:
        """Yield cancellations and alert changes up to a sequence, in commit order."""
        return self._log.control(until)

    def first_sequence_since(self, received_at_ms: int) -> int:
        """Return a sequence before which everything was received before an instant."""
        return self._log.first_sequence_since(received_at_ms)

    def last_sequence(self) -> int:
        """Return the place in commit order of the log's last entry; 0 for an empty log."""
        return self._log.last_sequence()

    def begin_of_entry(self, sequence: int) -> int:
        """Return where the first entry at or after a sequence begins; past the end without one."""
        return self._log.begin_of_entry(sequence)

    def drop_log(self, *, after: int, before: int, rows_max: int) -> tuple[int, int] | None:
        """Delete meter events and cancellations from the log's left; alert changes stay."""
        self._log.forget()
        return self._log_writer.drop(after=after, before=before, rows_max=rows_max)

    def count_events(self, since: int) -> int:
        """Return how many meter events the log holds from a sequence on."""
        return self._log.count_events(since)

    def version(self) -> int:
        """Return a number that is another one whenever something was committed."""
        return int(self._reader_connection.run("PRAGMA data_version")[0][0])

    def size_bytes(self) -> int:
        """Return how much of the database file is in use; SQLite fills the rest again."""
        (facts,) = self._reader_connection.run(
            "SELECT page_count, freelist_count, page_size"
            " FROM pragma_page_count, pragma_freelist_count, pragma_page_size"
        )
        pages, unused, page_bytes = facts
        return int((pages - unused) * page_bytes)

    def read_customers(self) -> Customers:
        """Return all customers, over a connection of its own."""
        connection = Connection(self._path, readonly=True)
        try:
            ((last,),) = connection.run("SELECT coalesce(max(number), 0) FROM customer")
            names: list[CustomerId] = []
            live, deleted = np.zeros(last, dtype=np.bool_), np.zeros(last, dtype=np.bool_)
            for first in range(0, last, _CUSTOMERS_AT_ONCE):
                range_ = (first, first + _CUSTOMERS_AT_ONCE)
                (texts,) = connection.run(_READ_CUSTOMERS, range_)
                names += msgspec.json.decode(texts[0], type=list[CustomerId])
                for flags, text in zip((live, deleted), texts[1:], strict=True):
                    flags[msgspec.json.decode(text, type=list[int])] = True
        finally:
            connection.close()
        if len(names) != last:
            raise StoreFailedError(
                f"meterbell.db holds {len(names)} customers, but numbered up to {last}: rows were "
                "removed by hand. Restore the data folder from a backup."
            )
        return Customers(names, live, deleted)

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

    def read_checkpoints(self) -> Iterator[Checkpoint]:
        """Yield all intact generations of all pieces, over a connection of its own."""
        connection = Connection(self._path, readonly=True)
        try:
            for name, sequence, checksum, data in connection.iterate(_READ_CHECKPOINTS):
                if checksum == _checksum(name, sequence, data):
                    yield Checkpoint(name, sequence, data)
        finally:
            connection.close()

    def delete_checkpoints(self, names: Collection[str] | None = None) -> None:
        """Forget pieces by name; all of them by default, so that the next start replays all."""
        if names is None:
            self._writer_connection.run("DELETE FROM checkpoint")
        for name in names or ():
            self._writer_connection.run("DELETE FROM checkpoint WHERE name = ?", (name,))

    def save_hours(self, hours: StoredHours) -> None:
        """Keep hours of counters, for ever."""
        self._writer_connection.run("INSERT INTO hour_part VALUES (?, ?, ?, ?, ?)", hours)

    def read_hours(
        self, parts: Iterable[tuple[int, int, int]], *, first: int, last: int
    ) -> Iterator[StoredHours]:
        """Yield the hours of some counters over a connection of its own."""
        connection = Connection(self._path, readonly=True)
        try:
            for part, after, until in parts:
                for row in connection.iterate(_READ_HOURS, (part, after, until, first, last)):
                    yield StoredHours(*row)
        finally:
            connection.close()

    def drop_hours(self, kept: Mapping[int, int]) -> None:
        """Forget hours that the counters do not hold."""
        connection = self._writer_connection
        newest = connection.run("SELECT part, max(sequence) FROM hour_part GROUP BY part")
        rows: list[Row] = [
            (part, kept.get(part, 0)) for part, sequence in newest if sequence > kept.get(part, 0)
        ]
        connection.run_many("DELETE FROM hour_part WHERE part = ? AND sequence > ?", rows)

    def close(self) -> None:
        """Close everything."""
        self._wal.close()
        self._reader_connection.close()
        self._writer_connection.close()


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
            mode = "PASSIVE" if self.size_bytes() < _WAL_BYTES_MAX else "RESTART"
            try:
                connection.run(f"PRAGMA wal_checkpoint({mode})")
            except apsw.BusyError:
                self._work.set()
            except apsw.Error:
                # The writer meets the same fault at its next commit and stops the process.
                break
        connection.close()

    def size_bytes(self) -> int:
        """Return the size of the write-ahead log."""
        try:
            return self._wal_path.stat().st_size
        except FileNotFoundError:
            return 0


def _checksum(name: str, sequence: int, data: bytes) -> bytes:
    digest = hashlib.blake2b(f"{name}\n{sequence}\n".encode(), digest_size=16)
    digest.update(data)
    return digest.digest()
