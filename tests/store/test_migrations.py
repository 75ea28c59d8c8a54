"""Schema changes: they end at the schema that the code is written against."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, pool

from meterbell.errors import SettingsError
from meterbell.records import TriggerRecord, WebhookEndpoint
from meterbell.store.migrations import is_current, migrate, newest_version
from meterbell.store.migrations.upgrade import alembic_config, upgrade
from meterbell.store.sqlite import SqliteStore
from meterbell.store.tables import metadata

Schema = dict[str, dict[str, Any]]


def schema_of(path: Path) -> Schema:
    """Return tables with their columns and indexes, in no particular order of columns."""
    with closing(sqlite3.connect(path)) as connection:
        tables = [
            (name, strict)
            for _, name, kind, _, _, strict in connection.execute("PRAGMA table_list")
            if kind == "table" and not name.startswith(("sqlite_", "alembic_"))
        ]
        return {
            name: {
                "strict": strict,
                "columns": sorted(
                    row[1:] for row in connection.execute(f"PRAGMA table_xinfo({name})")
                ),
                "indexes": sorted(_index(connection, row) for row in _indexes(connection, name)),
            }
            for name, strict in tables
        }


def _indexes(connection: sqlite3.Connection, table: str) -> list[tuple[Any, ...]]:
    return list(connection.execute(f"PRAGMA index_list({table})"))


def _index(connection: sqlite3.Connection, row: tuple[Any, ...]) -> tuple[Any, ...]:
    _, name, unique, origin, partial = row
    columns = tuple(r[2] for r in connection.execute(f"PRAGMA index_info({name})"))
    found = connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", (name,)).fetchone()
    shown = name if origin == "c" else ""
    return shown, columns, unique, origin, partial, " ".join(((found and found[0]) or "").split())


def test_migrations_give_the_schema_of_the_tables(tmp_path: Path) -> None:
    migrated, fresh = tmp_path / "migrated.db", tmp_path / "fresh.db"
    engine = create_engine(f"sqlite:///{fresh}", poolclass=pool.NullPool)
    metadata.create_all(engine)
    engine.dispose()

    migrate(migrated)

    assert schema_of(migrated) == schema_of(fresh)
    assert set(schema_of(migrated)) == set(metadata.tables)


def test_migrating_again_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "meterbell.db"
    assert not is_current(path)
    migrate(path)
    assert is_current(path)
    before = path.read_bytes()

    migrate(path)

    assert path.read_bytes() == before


def test_a_database_of_an_older_version_is_not_current(tmp_path: Path) -> None:
    path = tmp_path / "meterbell.db"
    migrate(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")

    assert not is_current(path)


def test_the_newest_version_is_the_one_that_alembic_brings_a_database_to() -> None:
    assert newest_version() == ScriptDirectory.from_config(alembic_config()).get_current_head()


def test_an_empty_file_is_migrated(tmp_path: Path) -> None:
    path = tmp_path / "meterbell.db"
    path.touch()

    migrate(path)

    assert is_current(path)


def test_a_folder_with_a_percent_sign_is_fine(tmp_path: Path) -> None:
    path = tmp_path / "100% mine" / "meterbell.db"
    path.parent.mkdir()

    migrate(path)

    assert is_current(path)


def test_webhook_endpoints_of_the_first_schema_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "meterbell.db"
    upgrade(path, "0001")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "INSERT INTO webhook_endpoint (id, livemode, created, url, enabled_events, metadata,"
            " status, secret) VALUES ('we_1', 0, 1, 'http://127.0.0.1/', '[\"*\"]', '{}',"
            " 'enabled', 'whsec_1')"
        )

    migrate(path)

    store = SqliteStore(path)
    (endpoint,) = store.reader.find(WebhookEndpoint)
    store.close()
    assert (endpoint.id, endpoint.enabled_events, endpoint.secret) == ("we_1", ["*"], "whsec_1")
    assert not endpoint.is_destination


def test_triggers_of_the_first_schema_are_kept_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "meterbell.db"
    upgrade(path, "0001")
    with closing(sqlite3.connect(path)) as connection, connection:
        for customer in ("cus_b", "cus_a"):
            connection.execute(
                "INSERT INTO trigger VALUES ('alrt_1', ?, 'lifetime', '10', 1, 2, 'evt_1')",
                (customer,),
            )

    migrate(path)

    store = SqliteStore(path)
    found = store.reader.find(TriggerRecord)
    store.close()
    assert [(record.number, record.customer) for record in found] == [(1, "cus_b"), (2, "cus_a")]


def test_a_database_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "meterbell.db"
    migrate(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    before = path.read_bytes()

    with pytest.raises(SettingsError, match=r"made by a newer meterbell: .* schema 9999\."):
        migrate(path)

    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "meterbell.db"
    path.write_bytes(b"not a database at all\n" * 100)

    with pytest.raises(SettingsError, match=r"meterbell\.db can't be read: .* sound copy"):
        migrate(path)

    assert path.read_bytes() == b"not a database at all\n" * 100
