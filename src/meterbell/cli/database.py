"""API keys in the data folder's database, beside a running server or without one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import apsw

from meterbell.cli.output import CommandError
from meterbell.clock import Clock
from meterbell.ids import IdSource, new_id
from meterbell.keys import digest_of, generate_key
from meterbell.records import ApiKey, Permission
from meterbell.store import tables
from meterbell.store.migrations import is_current
from meterbell.store.objects import Objects
from meterbell.store.sql import Connection

_columns = tables.api_key.c


class NewKey(NamedTuple):
    """A key that was just made; `text` is not kept anywhere."""

    text: str
    record: ApiKey


def create_key(
    objects: Objects,
    clock: Clock,
    ids: IdSource,
    *,
    livemode: bool,
    permission: Permission,
    name: str,
) -> NewKey:
    """Make a key and store its digest."""
    text = generate_key(ids, livemode=livemode, restricted=permission != "all")
    record = ApiKey(
        id=new_id(ids, "mk"),
        livemode=livemode,
        name=name,
        permission=permission,
        digest=digest_of(text),
        last4=text[-4:],
        created=clock.now_ms() // 1000,
        expires_at=None,
        revoked_at=None,
    )
    objects.insert(record)
    return NewKey(text, record)


def key_status(key: ApiKey, now: int) -> str:
    """Return `active`, `expiring`, `expired` or `revoked`."""
    if key.revoked_at is not None:
        return "revoked"
    if key.expires_at is not None:
        return "expired" if key.expires_at <= now else "expiring"
    return "active"


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


def change_key(objects: Objects, key: ApiKey, **changes: object) -> ApiKey:
    """Change a key's columns and return it as it is then."""
    objects.update(ApiKey, _columns.id == key.id, **changes)
    return objects.find(ApiKey, _columns.id == key.id)[0]


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
def open_objects(database: Path) -> Iterator[Objects]:
    """Read and change control objects in one transaction.

    Raises:
        CommandError: There is no up-to-date database, or the server keeps it busy.
    """
    require_database(database)
    connection = Connection(database)
    try:
        connection.run("BEGIN IMMEDIATE")
        yield Objects(connection)
        connection.run("COMMIT")
    except apsw.BusyError as error:
        raise CommandError("The server is busy with its database; try again.") from error
    finally:
        connection.close()
