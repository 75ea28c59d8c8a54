"""Runs the server on a store whose commits take longer, as if the disk were slower.

`python -m bench.slow_disk serve …` takes what `meterbell serve` takes; the delay in milliseconds
stands in the environment. It knows where meterbell commits: `SqliteStore.commit`.
"""

import os
import time

from meterbell.cli.main import main
from meterbell.store.sqlite import SqliteStore

DELAY = "BENCH_COMMIT_DELAY_MS"
_commit = SqliteStore.commit


def _slow_commit(store: SqliteStore) -> None:
    """Wait in the writer's thread, right before the commit."""
    time.sleep(float(os.environ[DELAY]) / 1000)
    _commit(store)


if __name__ == "__main__":
    setattr(SqliteStore, "commit", _slow_commit)  # noqa: B010 - mypy knows the other type
    main()
