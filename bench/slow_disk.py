"""Runs the server on a store whose commits take longer, as if the disk were slower.

`python -m bench.slow_disk serve …` takes what `meterbell serve` takes; the delay in milliseconds
stands in the environment. It knows where meterbell commits: `SqliteStore.transaction`.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from meterbell.cli.main import main
from meterbell.store.sqlite import SqliteStore

DELAY = "BENCH_COMMIT_DELAY_MS"
_transaction = SqliteStore.transaction


@contextmanager
def _slow_transaction(store: SqliteStore) -> Iterator[None]:
    """Wait in the writer's thread, right before the commit."""
    with _transaction(store):
        yield
        time.sleep(float(os.environ[DELAY]) / 1000)


if __name__ == "__main__":
    setattr(SqliteStore, "transaction", _slow_transaction)  # noqa: B010 - mypy knows the other type
    main()
