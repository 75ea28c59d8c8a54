"""A webhook endpoint for tests: keeps what it is sent, answers what it is told."""

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from typing_extensions import override

from tests.support.waiting import wait_for


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came in.

    Attributes:
        headers: By lower-case name.
        body: The raw bytes, which the signature covers.
        received_at: Unix seconds.
    """

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    received_at: float

    @property
    def signature(self) -> str:
        """The `Stripe-Signature` header."""
        return self.headers["stripe-signature"]


@dataclass(frozen=True, slots=True)
class Reply:
    """What to answer."""

    status: int = 200
    body: bytes = b"ok"
    headers: dict[str, str] = field(default_factory=dict)


class _Server(ThreadingHTTPServer):
    """Notes its connections.

    Attributes:
        taken: Where they came from.
        open: Those that have not ended.
    """

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(address, handler)
        self.taken: set[Any] = set()
        self.open: set[Any] = set()

    @override
    def process_request(self, request: Any, client_address: Any) -> None:
        self.open.add(id(request))
        self.taken.add(client_address)
        super().process_request(request, client_address)

    @override
    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        self.open.discard(id(request))


class WebhookReceiver:
    """An HTTP server on a loopback port of the system's choice; a context manager.

    Attributes:
        status: The status of the answers from now on.
        respond: Makes the answer instead, when set; may wait, as each request has its thread.
    """

    def __init__(self, *, status: int = 200) -> None:
        """Listen at once; requests are answered once the block is entered."""
        self.status = status
        self.respond: Callable[[Received], Reply] | None = None
        self._received: list[Received] = []
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), self._handler_type())
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )

    @property
    def url(self) -> str:
        """The endpoint's address."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/webhook"

    @property
    def received(self) -> list[Received]:
        """All requests so far, in order of arrival."""
        with self._lock:
            return list(self._received)

    def wait_for(self, count: int, *, timeout_seconds: float = 20) -> list[Received]:
        """Wait until at least `count` requests have come, and return all of them."""

        def look() -> list[Received] | None:
            received = self.received
            return received if len(received) >= count else None

        return wait_for(
            look,
            lambda: f"webhook number {count}; {len(self.received)} came",
            timeout_seconds=timeout_seconds,
        )

    def settle(self) -> None:
        """Wait until all that was sent before is answered; whoever sent it may be gone."""
        with socket.create_connection(("127.0.0.1", self._server.server_port)) as last:
            # Connections are taken in their order.
            wait_for(lambda: last.getsockname() in self._server.taken, "last connection")
        wait_for(lambda: not self._server.open, "end of the requests before")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _take(self, received: Received) -> Reply:
        with self._lock:
            self._received.append(received)
        return self.respond(received) if self.respond is not None else Reply(self.status)

    def _handler_type(self) -> type[BaseHTTPRequestHandler]:
        take = self._take

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", "0"))
                reply = take(
                    Received(
                        method=self.command,
                        path=self.path,
                        headers={name.lower(): value for name, value in self.headers.items()},
                        body=self.rfile.read(length),
                        received_at=time.time(),  # noqa: TID251 - the endpoint's own clock
                    )
                )
                try:
                    self.send_response(reply.status)
                    for name, value in reply.headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(reply.body)))
                    self.end_headers()
                    self.wfile.write(reply.body)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True  # the sender gave up, as it may

            do_GET = do_POST  # noqa: N815 - the name is the standard library's

            @override
            def log_message(self, format: str, *args: object) -> None:
                """Stay silent."""

        return Handler
