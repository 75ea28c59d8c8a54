"""Schema changes, run by Alembic before a store opens the database.

They use the standard library's SQLite. It must never have the file open beside apsw in one process,
so `migrate` closes everything before it returns.
"""

import re
from pathlib import Path

import apsw

from meterbell.errors import SettingsError

_VERSIONS = Path(__file__).parent / "versions"
_BUSY_MS = 5000
_PREDECESSOR = re.compile(r'^down_revision = "(\w+)"$', re.MULTILINE)


def migrate(path: Path) -> None:
    """Create the database at `path`, or bring it up to date.

    Raises:
        SettingsError: It is damaged, is no database, or was made by a newer meterbell.
    """
    if is_current(path):
        return
    # Alembic takes a fifth of a second to load, and most starts have no use for it.
    from meterbell.store.migrations.upgrade import upgrade  # noqa: PLC0415

    upgrade(path)


def is_current(path: Path) -> bool:
    """Return whether the database exists and has the newest schema.

    Raises:
        SettingsError: It is damaged, is no database, or was made by a newer meterbell.
    """
    if not path.exists():
        return False
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    connection.set_busy_timeout(_BUSY_MS)
    try:
        rows = list(connection.execute("SELECT version_num FROM alembic_version"))
    except apsw.SQLError:
        return False
    except (apsw.NotADBError, apsw.CorruptError) as error:
        raise SettingsError(
            f"{path} can't be read: {error}. Put a sound copy of the data folder in its place, or "
            "choose another folder with --data."
        ) from error
    finally:
        connection.close()
    found = [row[0] for row in rows]
    if unknown := set(found) - {file.name.partition("_")[0] for file in _files()}:
        raise SettingsError(
            f"{path} was made by a newer meterbell: this one does not know its schema "
            f"{', '.join(sorted(unknown))}. Install that version again, or start on a copy of the "
            "data folder from before the upgrade."
        )
    return found == [newest_version()]


def newest_version() -> str:
    """Return the newest schema's version: the one that no other comes after.

    Versions form a line, in which numbers may stand in any order; the names of their files begin
    with them.
    """
    files = _files()
    versions = {file.name.partition("_")[0] for file in files}
    (newest,) = versions.difference(*(_PREDECESSOR.findall(file.read_text()) for file in files))
    return newest


def _files() -> list[Path]:
    return list(_VERSIONS.glob("[0-9]*.py"))
