"""A socket file beside the port, for programs of the same user on the same machine."""

import errno
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from meterbell.errors import SettingsError

_CONNECT_SECONDS_MAX = 1.0


@contextmanager
def unix_listener(path: Path) -> Iterator[socket.socket]:
    """Listen on a socket file while inside; only its owner may connect.

    A file that an earlier server left behind is replaced.

    Raises:
        SettingsError: The file can't be made, or something else is in its place.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_stale(path)
        # The mode must be right from the very first moment.
        before = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        made = path.stat().st_ino
    except OSError as error:
        listener.close()
        raise SettingsError(f"Can't listen on the socket file {path}: {error}") from error
    except BaseException:
        listener.close()
        raise
    try:
        yield listener
    finally:
        listener.close()
        if path.exists() and path.stat().st_ino == made:
            path.unlink()


def _remove_stale(path: Path) -> None:
    """Remove a socket file that nobody listens on.

    Raises:
        SettingsError: There is a server, or a file of another kind.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise SettingsError(f"Can't listen on {path}: there is a file that is no socket.")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_CONNECT_SECONDS_MAX)
        try:
            probe.connect(str(path))
        except OSError as error:
            if error.errno != errno.ECONNREFUSED:
                raise
            path.unlink()
            return
    raise SettingsError(f"Can't listen on the socket file {path}: another server does.")
