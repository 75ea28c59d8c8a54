"""HTTP with bounds that uvicorn has not: the size of a request's head, and the time for it all."""

import asyncio

from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES_MAX = 64 * 1024
REQUEST_SECONDS_MAX = 30


def _refusal(status: bytes, text: bytes) -> bytes:
    """Return an answer after which the connection is closed, byte by byte."""
    return (
        b"HTTP/1.1 %b\r\n"
        b"content-type: text/plain; charset=utf-8\r\n"
        b"content-length: %d\r\n"
        b"connection: close\r\n\r\n%b" % (status, len(text), text)
    )


_TOO_LARGE = _refusal(
    b"431 Request Header Fields Too Large", b"The request's headers are too large"
)
_NO_WEBSOCKET = _refusal(b"400 Bad Request", b"A websocket begins with a GET.")


class LimitedHttp(HttpToolsProtocol):
    """Uvicorn's protocol, which by itself reads headers without end and waits for ever.

    A connection has one timer, which is set anew only when it fires: most requests arrive whole,
    and setting a timer for each would take longer than reading it.
    """

    _head_bytes = 0
    _is_in_head = True
    _is_arriving = True
    _since = 0.0
    _timer: asyncio.TimerHandle | None = None

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._since = self.loop.time()
        self._timer = self.loop.call_later(REQUEST_SECONDS_MAX, self._look)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    @override
    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._is_in_head:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES_MAX and not self.transport.is_closing():
                self.transport.write(_TOO_LARGE)
                self.transport.close()

    @override
    def on_message_begin(self) -> None:
        self._is_in_head = self._is_arriving = True
        self._head_bytes = 0
        self._since = self.loop.time()
        super().on_message_begin()

    @override
    def on_headers_complete(self) -> None:
        self._is_in_head = False
        super().on_headers_complete()

    @override
    def on_message_complete(self) -> None:
        self._is_arriving = False
        super().on_message_complete()

    @override
    def handle_websocket_upgrade(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self.parser.get_method() != b"GET":
            self.transport.write(_NO_WEBSOCKET)
            self.transport.close()
            return
        super().handle_websocket_upgrade()

    def _look(self) -> None:
        """Close the connection if a request takes too long to arrive; look again later."""
        left = self._since + REQUEST_SECONDS_MAX - self.loop.time()
        if self._is_arriving and left <= 0:
            self.transport.close()
        else:
            wait = left if self._is_arriving else REQUEST_SECONDS_MAX
            self._timer = self.loop.call_later(wait, self._look)
