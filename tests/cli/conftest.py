"""Commands as a user types them, against a real server."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from meterbell.cli.main import app
from tests.support.server import ServerProcess

SECONDS_MAX = 120

Run = Callable[..., subprocess.CompletedProcess[str]]


def clean_environment() -> dict[str, str]:
    """Return an environment without settings, in which output has no colors."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("METERBELL_")}
    return {**kept, "NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "100"}


def meterbell(
    *arguments: str | Path, cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "meterbell", *map(str, arguments)],
        cwd=cwd,
        env={**clean_environment(), **environment},
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that a module's tests share."""
    with ServerProcess(tmp_path_factory.mktemp("cli") / "data", key="sk_test_cli") as running:
        yield running


@pytest.fixture
def run(server: ServerProcess) -> Run:
    """Runs a command on the shared server; in this process, to be quick."""

    def run_command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        words = [str(argument) for argument in arguments]
        environment = {**clean_environment(), "METERBELL_DATA": str(server.data)}
        done = CliRunner().invoke(app, words, env=environment)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return subprocess.CompletedProcess(words, done.exit_code, done.stdout, done.stderr)

    return run_command
