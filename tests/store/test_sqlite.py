"""What only the SQLite store promises: query plans, syncs, failures that end it."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from meterbell.ledger.deliveries import find_waiting
from meterbell.records import Attempt, Customer, Delivery, Event
from meterbell.store import tables
from meterbell.store.base import Store
from meterbell.store.dashboard_tables import customer_name
from meterbell.store.migrations import migrate
from meterbell.store.sqlite import SqliteStore
from tests.store.entries import add_meter, make_entry, make_event
from tests.support.waiting import wait_for

Statement = tuple[str, Any]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a migrated database."""
    path = tmp_path / "meterbell.db"
    migrate(path)
    return path


@pytest.fixture
def connections() -> Iterator[list[apsw.Connection]]:
    """Return the connections opened since: a store's writer, its reader, then others."""
    opened: list[apsw.Connection] = []
    apsw.connection_hooks.append(opened.append)
    yield opened
    apsw.connection_hooks.remove(opened.append)


@pytest.fixture
def store(path: Path, connections: list[apsw.Connection]) -> Iterator[SqliteStore]:
    """Return a store whose connections are in `connections`."""
    assert not connections
    store = SqliteStore(path)
    yield store
    store.close()


def read_last(store: Store) -> object:
    return store.last_sequence()


def read_tail(store: Store) -> object:
    return list(store.read_log(7))


def read_control(store: Store) -> object:
    return list(store.read_control(7))


def read_page(store: Store) -> object:
    return store.reader.page(Event, [tables.event.c.livemode == 1], limit=10, after=5)


def read_page_backwards(store: Store) -> object:
    return store.reader.page(Event, [tables.event.c.livemode == 1], limit=10, before=5)


def read_customer(store: Store) -> object:
    return store.reader.get(Customer, "cus_a", livemode=True)


def read_due(store: Store) -> object:
    return store.reader.deliveries_due("we_a", now_ms=7, limit=10)


def read_waiting(store: Store) -> object:
    return find_waiting(store.reader, "we_a", after=7)


def read_deliveries_of_event(store: Store) -> object:
    return store.reader.find(Delivery, tables.delivery.c.event == "evt_a")


def read_attempts(store: Store) -> object:
    return store.reader.find(Attempt, tables.attempt.c.delivery == 7)


def read_customers(store: Store) -> object:
    columns = tables.customer.c
    return store.reader.page(Customer, [columns.livemode == 1, columns.deleted == 0], limit=10)


def find_customer_by_name(store: Store) -> object:
    is_live = tables.customer.c.livemode == 1
    return store.reader.find(
        Customer, is_live, customer_name >= "a", customer_name < "b", order_by=customer_name
    )


@pytest.mark.parametrize(
    ("read", "plan"),
    [
        (read_last, "SEARCH log"),
        (read_tail, "SEARCH log USING INTEGER PRIMARY KEY (rowid>?)"),
        (read_control, "SEARCH log USING INDEX log_control (sequence<?)"),
        (read_page, "SEARCH event USING INTEGER PRIMARY KEY (rowid<?)"),
        (read_page_backwards, "SEARCH event USING INTEGER PRIMARY KEY (rowid>?)"),
        (read_customer, "SEARCH customer USING INDEX sqlite_autoindex_customer_1"),
        (read_customers, "SEARCH customer USING INDEX customer_by_mode (livemode=? AND deleted=?)"),
        (
            find_customer_by_name,
            "SEARCH customer USING INDEX customer_by_name (livemode=? AND <expr>>? AND <expr><?)",
        ),
        (
            read_due,
            "SEARCH delivery USING INDEX delivery_due (endpoint=? AND next_attempt_at_ms<?)",
        ),
        (
            read_waiting,
            "SEARCH delivery USING INDEX delivery_by_status (endpoint=? AND status=? AND number>?)",
        ),
        (read_deliveries_of_event, "SEARCH delivery USING INDEX sqlite_autoindex_delivery_1"),
        (read_attempts, "SEARCH attempt USING INDEX attempt_by_delivery (delivery=?)"),
    ],
)
def test_hot_reads_search_an_index(
    store: SqliteStore,
    connections: list[apsw.Connection],
    path: Path,
    read: Callable[[Store], object],
    plan: str,
) -> None:
    statements = record_statements(connections, lambda: read(store))

    plans = [plan_of(path, statement)[0] for statement in statements]
    assert all(found.startswith("SEARCH") for found in plans), plans
    assert plans[-1].startswith(plan), plans


def test_an_event_is_read_by_its_place_in_the_log(
    store: SqliteStore, connections: list[apsw.Connection], path: Path
) -> None:
    add_meter(store)
    with store.transaction():
        store.append([make_entry(1)])
    store.drop_log(after=0, before=0, rows_max=1)  # so that it is not at hand

    statements = record_statements(connections, lambda: store.find_event(1))

    assert plan_of(path, statements[0]) == ["SEARCH log USING INTEGER PRIMARY KEY (rowid<?)"]


def test_c1_each_commit_is_synced_and_moves_no_pages(
    store: SqliteStore, connections: list[apsw.Connection]
) -> None:
    assert store.last_sequence() == 0
    writer = connections[0]

    assert pragma(writer, "journal_mode") == "wal"
    assert pragma(writer, "synchronous") == 2  # FULL
    assert pragma(writer, "wal_autocheckpoint") == 0


def test_the_write_ahead_log_moves_to_the_file_behind_the_commits(
    store: SqliteStore, path: Path
) -> None:
    before = path.stat().st_size
    with store.transaction():
        for number in range(500):
            store.writer.insert(make_event(str(number)))

    wait_for(lambda: path.stat().st_size > before, "growth of the database file")


def test_c1_a_full_disk_stops_the_store_and_keeps_what_was_acknowledged(path: Path) -> None:
    told = run_against_a_fault("full", path)

    assert told["failure"] == "StoreFailedError"
    assert "The database can't" in told["message"]
    assert told["acknowledged"] > 0
    assert_readable(path, told["acknowledged"])


def test_c1_a_failed_sync_stops_the_store_and_keeps_what_was_acknowledged(path: Path) -> None:
    told = run_against_a_fault("sync", path)

    assert told["failure"] == "StoreFailedError"
    assert told["acknowledged"] == 3
    assert_readable(path, 3)


def record_statements(
    connections: list[apsw.Connection], action: Callable[[], object]
) -> list[Statement]:
    """Return what SQL `action` runs on the store's reader."""
    statements: list[Statement] = []
    reader = connections[1]

    def note(_cursor: apsw.Cursor, sql: str, bindings: object) -> bool:
        statements.append((sql, bindings))
        return True

    reader.exec_trace = note
    action()
    reader.exec_trace = None
    return statements


def plan_of(path: Path, statement: Statement) -> list[str]:
    """Return the steps of a statement's query plan."""
    connection = apsw.Connection(str(path))
    sql, bindings = statement
    rows = list(connection.execute(f"EXPLAIN QUERY PLAN {sql}", bindings))
    connection.close()
    return [str(row[3]) for row in rows]


def pragma(connection: apsw.Connection, name: str) -> object:
    return next(iter(connection.execute(f"PRAGMA {name}")))[0]


def run_against_a_fault(fault: str, path: Path) -> dict[str, Any]:
    """Commit meter events in another process until the fault strikes; return what it saw."""
    script = Path(__file__).with_name("commit_until_fault.py")
    done = subprocess.run(
        [sys.executable, str(script), fault, str(path)],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def assert_readable(path: Path, acknowledged: int) -> None:
    """Everything acknowledged is there, without a gap, and the file is sound."""
    store = SqliteStore(path)
    sequences = [entry.sequence for entry in store.read_log(0)]
    store.close()
    connection = apsw.Connection(str(path))

    assert sequences[:acknowledged] == list(range(1, acknowledged + 1))
    assert sequences == list(range(1, len(sequences) + 1))
    assert pragma(connection, "integrity_check") == "ok"
    connection.close()


def test_a_close_in_the_middle_of_a_wal_move_is_noticed(store: SqliteStore) -> None:
    """The mover had just looked whether it should end when `close` said so: it must look again."""
    mover = store._wal  # noqa: SLF001 - the moment can't be met from outside
    closing = mover._closing  # noqa: SLF001
    wait = closing.wait

    def wait_and_be_closed(timeout: float | None = None) -> bool:
        closing.wait = wait  # type: ignore[method-assign]
        is_closing = wait(timeout)
        closing.set()
        mover._work.set()  # noqa: SLF001
        return is_closing

    closing.wait = wait_and_be_closed  # type: ignore[method-assign]
    mover.wake()

    mover._thread.join(timeout=20)  # noqa: SLF001
    assert not mover._thread.is_alive()  # noqa: SLF001
