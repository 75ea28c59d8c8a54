"""What the demo runs: a meterbell server in a temporary folder, and a receiver of its webhooks."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import stripe
from typing_extensions import override

from meterbell.cli.output import CommandError
from meterbell.folder import read_server
from meterbell.settings import ENVIRONMENT_PREFIX

_START_SECONDS_MAX = 60.0
_STOP_SECONDS_MAX = 20.0
_PAUSE_SECONDS = 0.02
_BODY_BYTES_MAX = 1 << 20
_LOG_LINES = 5


@contextmanager
def demo_server(folder: Path, *, key: str) -> Iterator[str]:
    """Run a server on an empty folder and a port of the system's choice; yield its address.

    Raises:
        CommandError: It did not start.
    """
    data, log = folder / "data", folder / "server.log"
    command = [sys.executable, "-m", "meterbell", "serve", "--data", str(data)]
    command += ["--host", "127.0.0.1", "--port", "0", "--test-key", key]
    own = {
        name: text for name, text in os.environ.items() if not name.startswith(ENVIRONMENT_PREFIX)
    }
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and arguments
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=own
        )
    try:
        yield _wait_for_url(process, data, log)
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for_url(process: subprocess.Popen[bytes], data: Path, log: Path) -> str:
    deadline = time.monotonic() + _START_SECONDS_MAX
    while process.poll() is None and time.monotonic() < deadline:
        facts = read_server(data)
        if facts is not None and facts["pid"] == process.pid:
            return str(facts["url"])
        time.sleep(_PAUSE_SECONDS)
    tail = " / ".join(log.read_text(errors="replace").splitlines()[-_LOG_LINES:])
    raise CommandError(f"The demo's server did not start. It wrote: {tail or 'nothing'}")


class Webhook(NamedTuple):
    """An event whose signature the official SDK accepted; `arrived_at` is a `perf_counter`."""

    event: stripe.Event
    arrived_at: float


class Receiver:
    """A webhook endpoint that checks signatures with the official SDK.

    Attributes:
        secret: The endpoint's signing secret, once it is known.
        refused: How many requests had no valid signature.
    """

    def __init__(self, client: stripe.StripeClient) -> None:
        self.secret = ""
        self.refused = 0
        self._client = client
        self._webhooks: list[Webhook] = []
        self._arrival = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler_type())

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/webhook"

    @property
    def webhooks(self) -> list[Webhook]:
        """Everything that came with a valid signature, in order of arrival."""
        with self._arrival:
            return list(self._webhooks)

    def wait_for(
        self, is_it: Callable[[stripe.Event], bool], *, timeout_seconds: float
    ) -> Webhook | None:
        """Return the first webhook that fits, or None if none comes in time."""

        def find() -> Webhook | None:
            return next((found for found in self._webhooks if is_it(found.event)), None)

        with self._arrival:
            return self._arrival.wait_for(find, timeout_seconds)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Answer requests inside the block."""
        thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    def _take(self, body: bytes, signature: str) -> int:
        arrived_at = time.perf_counter()
        try:
            event = self._client.construct_event(body, signature, self.secret)
        except (ValueError, stripe.SignatureVerificationError):
            self.refused += 1
            return 400
        with self._arrival:
            self._webhooks.append(Webhook(event, arrived_at))
            self._arrival.notify_all()
        return 200

    def _handler_type(self) -> type[BaseHTTPRequestHandler]:
        take = self._take

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", "0"))
                body = self.rfile.read(min(length, _BODY_BYTES_MAX))
                self.send_response(take(body, self.headers.get("Stripe-Signature", "")))
                self.send_header("Content-Length", "0")
                self.end_headers()

            @override
            def log_message(self, format: str, *args: object) -> None:
                """Stay silent."""

        return Handler
