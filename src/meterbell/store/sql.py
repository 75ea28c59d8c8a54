"""One connection to SQLite through apsw, speaking SQLAlchemy Core statements.

SQLAlchemy builds statements, apsw runs them: two copies of SQLite with the same file open in one
process would drop each other's locks.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import apsw
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql import ClauseElement

_DIALECT = sqlite.dialect(paramstyle="named")
_BUSY_MS = 5000

Row = tuple[Any, ...]


def compile_statement(statement: ClauseElement) -> tuple[str, dict[str, Any]]:
    """Return a statement's SQL with named parameters, and the values bound so far."""
    compiled = statement.compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True})
    return str(compiled), dict(compiled.params)


class Connection:
    """A connection to one database file; used by one thread at a time."""

    def __init__(self, path: Path, *, readonly: bool = False, busy_ms: int = _BUSY_MS) -> None:
        """Open `path`, which must exist and hold meterbell's tables.

        Args:
            path: The database file.
            readonly: Whether it is only read.
            busy_ms: How long to wait for another process that writes.
        """
        flags = apsw.SQLITE_OPEN_READONLY if readonly else apsw.SQLITE_OPEN_READWRITE
        self.apsw = apsw.Connection(str(path), flags=flags)
        self.apsw.set_busy_timeout(busy_ms)
        self.run("PRAGMA foreign_keys = ON")
        if not readonly:
            # FULL: each commit is synced before it returns (C1). Moving the WAL into the database
            # file is the store's own business, off the commit path.
            self.run("PRAGMA journal_mode = WAL")
            self.run("PRAGMA synchronous = FULL")
            self.run("PRAGMA wal_autocheckpoint = 0")

    def run(self, sql: str, params: Mapping[str, Any] | Row = ()) -> list[Row]:
        """Run SQL text and return all its rows."""
        return list(self.apsw.execute(sql, params))

    def run_many(self, sql: str, rows: Sequence[Row] | Sequence[Mapping[str, Any]]) -> None:
        """Run one statement for each row of parameters."""
        self.apsw.executemany(sql, rows)

    def iterate(self, sql: str, params: Mapping[str, Any] | Row = ()) -> Iterator[Row]:
        """Run SQL text and yield its rows as they are read."""
        yield from self.apsw.execute(sql, params)

    def execute(self, statement: ClauseElement) -> list[Row]:
        """Run a SQLAlchemy statement and return all its rows."""
        return self.run(*compile_statement(statement))

    @property
    def last_number(self) -> int:
        """The `number` given to the row inserted last."""
        return int(self.apsw.last_insert_rowid())

    @property
    def changes(self) -> int:
        """How many rows the last statement changed."""
        return int(self.apsw.changes())

    def close(self) -> None:
        """Close the connection; an open transaction is rolled back."""
        self.apsw.close()
