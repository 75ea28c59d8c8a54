"""PostgreSQL and Redis for the baselines: processes of their own, in temporary folders."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.waiting import wait_for

_USER = "postgres"
_STOP_SECONDS = 30


class MissingError(Exception):
    """Something is not installed; the message says what to install."""


@contextmanager
def postgres() -> Iterator[Path]:
    """Run PostgreSQL with its own settings, durable; yield the folder of its socket.

    Raises:
        MissingError: It is not installed.
    """
    programs = _postgres_programs()
    with _folder("bench-pg-") as folder:
        as_user = _become_user(folder)
        data = folder / "data"
        _check([programs / "initdb", "-D", data, "-U", _USER, "-A", "trust"], as_user)
        command: list[str | Path]
        command = [programs / "postgres", "-D", data, "-k", folder, "-c", "listen_addresses="]
        with _running(command, signal.SIGINT, as_user):
            ready: list[str | Path] = [programs / "pg_isready", "-q", "-h", folder]
            wait_for(lambda: subprocess.run(ready, check=False).returncode == 0, "PostgreSQL")
            yield folder


@contextmanager
def redis() -> Iterator[int]:
    """Run Redis, which syncs its log at every write; yield its port.

    Raises:
        MissingError: It is not installed.
    """
    program = shutil.which("redis-server")
    if program is None:
        raise MissingError("Redis is missing: apt-get install redis-server")
    with _folder("bench-redis-") as folder:
        port = free_port()
        command: list[str | Path]
        command = [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", folder]
        command += ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
        with _running(command, signal.SIGTERM, {}):
            wait_for(lambda: _is_listening(port), "Redis")
            yield port


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _postgres_programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    on_path = shutil.which("postgres")
    if found:
        return found[-1].parent
    if on_path:
        return Path(on_path).parent
    raise MissingError("PostgreSQL is missing: apt-get install postgresql")


def _become_user(folder: Path) -> dict[str, Any]:
    """Return how to start PostgreSQL, which refuses to run as root."""
    if os.geteuid():
        return {}
    try:
        user = pwd.getpwnam(_USER)
    except KeyError:
        raise MissingError(f"PostgreSQL needs a user {_USER}: adduser --system {_USER}") from None
    os.chown(folder, user.pw_uid, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "cwd": folder}


def _check(command: Sequence[str | Path], options: dict[str, Any]) -> None:
    subprocess.run(command, check=True, capture_output=True, **options)


@contextmanager
def _folder(prefix: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=prefix) as folder:
        yield Path(folder)


@contextmanager
def _running(
    command: Sequence[str | Path], end: signal.Signals, options: dict[str, Any]
) -> Iterator[None]:
    """Run a process; end it, and only it, by its id."""
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options
    )
    try:
        yield
    finally:
        process.send_signal(end)
        process.wait(_STOP_SECONDS)


def _is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
