"""Schema changes, run by Alembic before a store opens the database.

They use the standard library's SQLite. It must never have the file open beside apsw in one process,
so `migrate` closes everything before it returns.
"""

from pathlib import Path

import apsw
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, pool

_FOLDER = Path(__file__).parent
_BUSY_MS = 5000


def migrate(path: Path) -> None:
    """Create the database at `path`, or bring it up to date."""
    if is_current(path):
        return
    engine = create_engine(f"sqlite:///{path}", poolclass=pool.NullPool)
    try:
        with engine.begin() as connection:
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        engine.dispose()


def is_current(path: Path) -> bool:
    """Return whether the database exists and has the newest schema."""
    if not path.exists():
        return False
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    connection.set_busy_timeout(_BUSY_MS)
    try:
        rows = list(connection.execute("SELECT version_num FROM alembic_version"))
    except apsw.SQLError:
        return False
    finally:
        connection.close()
    return [row[0] for row in rows] == [ScriptDirectory.from_config(_config()).get_current_head()]


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    return config
