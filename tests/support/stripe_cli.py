"""The official Stripe CLI, unmodified, pointed at a server on this machine."""

import os
import platform
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.server import TEST_KEY, ServerProcess
from tests.support.waiting import wait_for

_PACKAGES = Path(__file__).parents[1] / "contract" / "node" / "node_modules" / "@stripe"
_SECONDS_MAX = 60


def find_binary() -> Path:
    """Return the program that npm installed; skips the test where it can't be."""
    if shutil.which("npm") is None:
        pytest.skip("npm is missing: the tests with the official Stripe CLI need it")
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        pytest.skip("the Stripe CLI is locked for Linux on x86-64 only")
    found = sorted(_PACKAGES.glob("cli-linux-x64/bin/stripe"))
    assert found, "run `make test`, which installs the Stripe CLI with npm"
    return found[0]


class StripeCli:
    """The program, kept away from everything but the server.

    Attributes:
        folder: Its home, and where outputs are written.
    """

    def __init__(
        self,
        server: ServerProcess,
        folder: Path,
        *,
        key: str = TEST_KEY,
        unix_socket: Path | None = None,
    ) -> None:
        """Prepare.

        Args:
            server: Whom to talk to.
            folder: For files.
            key: The API key to use.
            unix_socket: Talk through this socket file in place of the address.
        """
        self._binary = find_binary()
        self._server = server
        self._folder = folder
        self._unix_socket = unix_socket
        kept = {name: text for name, text in os.environ.items() if "PROXY" not in name.upper()}
        self._environment = {
            **kept,
            "HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder),
            "STRIPE_API_KEY": key,
            "STRIPE_CLI_TELEMETRY_OPTOUT": "1",
            "DO_NOT_TRACK": "1",
            "STRIPE_NO_AUTO_UPDATE": "1",
        }
        if unix_socket is None:
            # Everything but loopback fails at once.
            self._environment["HTTPS_PROXY"] = "http://127.0.0.1:9"
        else:
            self._environment["STRIPE_CLI_UNIX_SOCKET"] = str(unix_socket)

    def _command(self, arguments: tuple[str, ...]) -> list[str]:
        where = [] if self._unix_socket is not None else ["--api-base", self._server.url]
        return [str(self._binary), *arguments, *where]

    def run(self, *arguments: str, cwd: Path | None = None) -> str:
        """Run a command to its end and return its output; it must succeed."""
        done = subprocess.run(
            self._command(arguments),
            cwd=cwd,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS_MAX,
            check=False,
        )
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    @contextmanager
    def running(self, name: str, *arguments: str) -> Iterator["Running"]:
        """Run a command that is ready at the start of the block and interrupted at its end."""
        output = self._folder / f"{name}.log"
        with output.open("wb") as file:
            process = subprocess.Popen(
                self._command(arguments),
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        running = Running(process, output)
        try:
            running.wait_for("Ready!")
            yield running
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(_SECONDS_MAX)


class Running:
    """A command that goes on until it is interrupted."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        self.process = process
        self._output = output

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return self._output.read_text(errors="replace")

    def wait_for(self, text: str, count: int = 1) -> str:
        """Wait until it has printed something so many times, and return all it printed."""
        wait_for(
            lambda: self.output.count(text) >= count,
            lambda: f"{text!r} ({count} times):\n{self.output}",
            timeout_seconds=_SECONDS_MAX,
        )
        return self.output
