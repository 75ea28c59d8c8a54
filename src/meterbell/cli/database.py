"""The data folder's database, beside a running server or without one."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import apsw

from meterbell.cli.output import CommandError
from meterbell.clock import SystemClock
from meterbell.ids import IdSource, RandomIds
from meterbell.records import ApiKey
from meterbell.settings import Settings
from meterbell.store import tables
from meterbell.store.migrations import is_current
from meterbell.store.objects import Objects
from meterbell.store.sql import Connection

_columns = tables.api_key.c


@dataclass(frozen=True, slots=True)
class AtDatabase:
    """The command line in a transaction: a `Moment`."""

    objects: Objects
    ids: IdSource
    now_ms: int


def find_key(objects: Objects, name: str) -> ApiKey:
    """Return a key by its id, or by its last four characters if they name one.

    Raises:
        CommandError: None or several have that name.
    """
    found = objects.find(ApiKey, (_columns.id == name) | (_columns.last4 == name))
    if len(found) != 1:
        count = "No key is" if not found else f"{len(found)} keys are"
        raise CommandError(f"{count} called {name}. `meterbell keys list` shows all ids.")
    return found[0]


def require_database(database: Path) -> None:
    """Refuse a folder without a database, or with an old one.

    Raises:
        CommandError: There is no up-to-date database.
    """
    if not is_current(database):
        raise CommandError(
            f"There is no up-to-date database at {database}. Start the server once with "
            "`meterbell serve`, which makes it, or name another folder with --data."
        )


@contextmanager
def at_database(folder: Path) -> Iterator[AtDatabase]:
    """Read and change control objects in one transaction.

    Raises:
        CommandError: There is no up-to-date database, or the server keeps it busy.
    """
    database = Settings(data=str(folder)).database
    require_database(database)
    connection = Connection(database)
    try:
        connection.run("BEGIN IMMEDIATE")
        yield AtDatabase(Objects(connection), RandomIds(), SystemClock().now_ms())
        connection.run("COMMIT")
    except apsw.BusyError as error:
        raise CommandError("The server is busy with its database; try again.") from error
    finally:
        connection.close()
