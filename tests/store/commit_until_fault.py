"""A process that commits meter events until its disk fails: `commit_until_fault.py FAULT DATABASE`.

`full` limits the size of files; `sync` makes the fourth sync of a commit fail. Prints what happened
as JSON: the exception's name and text, and how many commits returned before it.
"""

import json
import os
import resource
import sys
from pathlib import Path

import apsw
from typing_extensions import override

sys.path.insert(0, str(Path(__file__).parents[2]))

from meterbell.errors import StoreUnavailableError
from meterbell.store.sqlite import SqliteStore
from tests.store.entries import add_meter, make_entry

COMMITS_MAX = 5000
SYNCS_BEFORE_FAILURE = 3
_SYSTEM = "unix"


class Faults:
    """How many syncs of the write-ahead log still succeed; None for all."""

    syncs_left: int | None = None


class FaultyFile(apsw.VFSFile):
    """A file whose sync may fail."""

    @override
    def xSync(self, flags: int) -> None:
        if Faults.syncs_left is not None:
            if Faults.syncs_left == 0:
                raise apsw.IOError("sync failed, as the test asked")
            Faults.syncs_left -= 1
        super().xSync(flags)


class FaultyVfs(apsw.VFS):
    """The system's files, but faulty."""

    def __init__(self) -> None:
        super().__init__("faulty", _SYSTEM, makedefault=True, iVersion=2)

    @override
    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        return FaultyFile(_SYSTEM, name, flags)


def main(fault: str, path: Path) -> None:
    """Commit until it fails and print what happened."""
    vfs = FaultyVfs() if fault == "sync" else None
    store = SqliteStore(path)
    add_meter(store)
    if fault == "full":
        largest = max(file.stat().st_size for file in path.parent.iterdir())
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest + 100_000, resource.RLIM_INFINITY))
    else:
        Faults.syncs_left = SYNCS_BEFORE_FAILURE
    acknowledged = 0
    told: dict[str, object] = {"failure": None, "message": ""}
    try:
        while acknowledged < COMMITS_MAX:
            with store.transaction():
                store.append([make_entry(acknowledged + 1)])
            acknowledged += 1
    except StoreUnavailableError as error:
        told = {"failure": type(error).__name__, "message": str(error)}
    print(json.dumps({**told, "acknowledged": acknowledged}), flush=True)
    del vfs
    os._exit(0)  # as after a power cut: nothing is closed or tidied up


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
