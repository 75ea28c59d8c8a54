"""One migrated database for all tests, and an API over a copy of it for each."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from meterbell.store.migrations import migrate
from tests.unit.api.running import Api, running_api


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "meterbell.db"
    migrate(path)
    return path


@pytest.fixture
async def api(tmp_path: Path, migrated: Path) -> AsyncIterator[Api]:
    async with running_api(tmp_path, migrated) as running:
        yield running
