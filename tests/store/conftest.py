"""Opens each kind of store on a fresh database; another database is one more entry in `OPENERS`."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from meterbell.store.base import Store
from meterbell.store.migrations import migrate
from meterbell.store.sqlite import SqliteStore

OpenStore = Callable[[], Store]


def _open_sqlite(folder: Path) -> Store:
    path = folder / "meterbell.db"
    migrate(path)
    return SqliteStore(path)


OPENERS: dict[str, Callable[[Path], Store]] = {"sqlite": _open_sqlite}


@pytest.fixture(params=sorted(OPENERS))
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenStore]:
    """Return a function that opens the test's database; the one opened before is closed first."""
    opened: list[Store] = []

    def close_all() -> None:
        while opened:
            opened.pop().close()

    def open_again() -> Store:
        close_all()
        opened.append(OPENERS[request.param](tmp_path))
        return opened[-1]

    yield open_again
    close_all()


@pytest.fixture
def store(open_store: OpenStore) -> Store:
    """Return a fresh store."""
    return open_store()
