"""Running Alembic."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, pool

_FOLDER = Path(__file__).parent


def upgrade(path: Path, version: str = "head") -> None:
    """Bring the database at `path` to a version."""
    engine = create_engine(f"sqlite:///{path}", poolclass=pool.NullPool)
    try:
        with engine.begin() as connection:
            config = alembic_config()
            config.attributes["connection"] = connection
            command.upgrade(config, version)
    finally:
        engine.dispose()


def alembic_config() -> Config:
    """Return where Alembic finds the schema changes."""
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    return config
