"""One server on one data folder."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from meterbell.errors import SettingsError


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Own the data folder: two servers on one folder would not see each other's usage.

    Raises:
        SettingsError: The folder can't be made, or another process owns it.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (folder / "lock").open("a")
    except OSError as error:
        raise SettingsError(f"The data folder {folder} can't be used: {error}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SettingsError(
                f"Another meterbell server is using the data folder {folder}. Stop it first, or "
                "choose another folder with --data."
            ) from error
        yield
