"""A real meterbell server in a process of its own, and the official SDK pointed at it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

import stripe

from tests.support.waiting import wait_for

TEST_KEY = "sk_test_meterbell0000000000000000"

SECONDS_MAX = 30.0


class ServerProcess:
    """`meterbell serve` on a data folder; knows its address once `start` has returned.

    As a context manager it starts, and ends whatever still runs at the end of the block.

    Attributes:
        data: The data folder.
        key: The test-mode secret key that the server accepts.
        url: Where it listens, without a slash at the end.
        port: The port in `url`; 0 before the first start lets the system choose.
    """

    def __init__(
        self,
        data: Path,
        *,
        key: str = TEST_KEY,
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        module: str = "meterbell",
        seconds_max: float = SECONDS_MAX,
    ) -> None:
        """Prepare; nothing runs before `start`.

        Args:
            data: The data folder, made by the server if it does not exist.
            key: The test-mode secret key to accept.
            arguments: More arguments of `meterbell serve`.
            environment: More environment variables.
            module: What to run; benchmarks run the server with parts of it replaced.
            seconds_max: How long a start or a stop may take; long for one with a long log.
        """
        self.data = data
        self.key = key
        self.url = ""
        self.port = 0
        self._module = module
        self._seconds_max = seconds_max
        self._arguments = tuple(arguments)
        self._environment = dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._log = data.parent / f"{data.name}.log"

    def start(self) -> None:
        """Start the server and wait until it is ready; a second start uses the same port."""
        assert not self.running, "the server runs already"
        facts_file = self.data / "server.json"
        facts_file.unlink(missing_ok=True)
        command = [sys.executable, "-m", self._module, "serve", "--data", str(self.data)]
        command += ["--port", str(self.port), "--test-key", self.key, *self._arguments]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self._environment},
            )
        try:
            seconds = self._seconds_max
            self.url = wait_for(
                self._announced_url, self._what("server.json"), timeout_seconds=seconds
            )
            self.port = urlsplit(self.url).port or 0
            wait_for(self.is_ready, self._what("/readyz"), timeout_seconds=seconds)
        except BaseException:
            self.kill()
            raise

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The id of the process that was started last."""
        assert self._process is not None, "the server was never started"
        return self._process.pid

    @property
    def output(self) -> str:
        """Everything the server has written so far, over all its starts."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    @property
    def client(self) -> stripe.StripeClient:
        """The official SDK's client for this server."""
        return client(self.url, self.key)

    def is_ready(self) -> bool:
        """Return whether `/readyz` answers 200; fails if the server has ended instead."""
        self._require_alive()
        try:
            with urlopen(f"{self.url}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False

    def kill(self) -> None:
        """End the server at once, as a power cut would (SIGKILL)."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(self._seconds_max)

    def stop(self) -> int:
        """Ask the server to end (SIGTERM) and return its exit status."""
        assert self._process is not None, "the server was never started"
        self._process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """Wait until the server has ended by itself and return its exit status."""
        assert self._process is not None, "the server was never started"
        try:
            return self._process.wait(self._seconds_max)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(self._what("end of the server")()) from None

    def restart(self) -> None:
        """Stop the server if it runs, and start it again on the same port."""
        if self.running:
            self.stop()
        self.start()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.running:
            self.stop()

    def _announced_url(self) -> str | None:
        self._require_alive()
        try:
            facts = json.loads((self.data / "server.json").read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        return str(facts["url"]).rstrip("/") if facts["pid"] == self.pid else None

    def _require_alive(self) -> None:
        assert self._process is not None
        status = self._process.poll()
        assert status is None, f"the server ended with status {status}:\n{self.output}"

    def _what(self, missing: str) -> "_Missing":
        return _Missing(self, missing)


class _Missing:
    """Names what did not come, together with the output until then."""

    def __init__(self, server: ServerProcess, missing: str) -> None:
        self._server = server
        self._missing = missing

    def __call__(self) -> str:
        return f"{self._missing}. The server wrote:\n{self._server.output}"


def client(url: str, key: str) -> stripe.StripeClient:
    """Return the official SDK's client with every base address pointed at `url`.

    It does not repeat requests by itself, so a test sees every answer.
    """
    return stripe.StripeClient(
        key,
        base_addresses={"api": url, "connect": url, "files": url, "meter_events": url},
        max_network_retries=0,
    )
