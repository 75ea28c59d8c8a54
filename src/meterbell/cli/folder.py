"""The data folder as the command line sees it: keys in its database, facts about its server."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import apsw

from meterbell.clock import Clock
from meterbell.errors import SettingsError
from meterbell.ids import IdSource, new_id
from meterbell.keys import digest_of, generate_key
from meterbell.records import ApiKey, Permission
from meterbell.store.migrations import is_current
from meterbell.store.objects import Objects
from meterbell.store.sql import Connection

SERVER_FILE = "server.json"
TEST_KEY_FILE = "test-key"


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


@contextmanager
def open_objects(database: Path) -> Iterator[Objects]:
    """Read and change control objects in one transaction, beside a running server or without one.

    Raises:
        SettingsError: There is no up-to-date database.
    """
    if not is_current(database):
        raise SettingsError(
            f"There is no up-to-date database at {database}. Start the server once with "
            "`meterbell serve`, which makes it, or name another folder with --data."
        )
    connection = Connection(database)
    try:
        connection.run("BEGIN IMMEDIATE")
        yield Objects(connection)
        connection.run("COMMIT")
    except apsw.BusyError as error:
        raise SettingsError("The server is busy with its database; try again.") from error
    finally:
        connection.close()


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    draft = path.with_name(f"{path.name}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    draft.replace(path)


def read_server(folder: Path) -> dict[str, Any] | None:
    """Return the facts a running server wrote: its `url` and `pid`."""
    try:
        facts: dict[str, Any] = json.loads((folder / SERVER_FILE).read_text())
    except (OSError, ValueError):
        return None
    return facts


def read_test_key(folder: Path) -> str | None:
    """Return the test key that the first start left for local commands."""
    try:
        return (folder / TEST_KEY_FILE).read_text().strip() or None
    except OSError:
        return None
