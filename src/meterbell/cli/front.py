"""The usual report of usage, read and answered with as little as it takes.

Nearly all requests report usage, and nearly all of these look alike: one meter event, or a batch on
the stream. They are read here, without the messages, tasks and coroutines that it takes elsewhere,
so that refusing too many costs little. The first request of a connection that is anything else is
handed to uvicorn, byte for byte, with all that follows on that connection.
"""

import asyncio
import re
from collections.abc import Mapping
from typing import Any, cast

from typing_extensions import override
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE
from uvicorn.server import ServerState

from meterbell.api.http import JSON, Answer, Headers, Report
from meterbell.app import REPORTS
from meterbell.cli.http_limits import REQUEST_SECONDS_MAX, LimitedHttp

REQUEST_BYTES_MAX = 64 * 1024
"""A longer request is handed over."""

_LINE_END = b"\r\n"
_END = b"\r\n\r\n"
# Header lines as RFC 9112 has them, each whole and none folded.
_HEAD = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*\r\n)+")
_LENGTH = re.compile(rb"[0-9]{1,5}")
# They change how a request is read, or what follows it.
_UNUSUAL = frozenset({b"expect", b"te", b"trailer", b"transfer-encoding", b"upgrade"})


class Front(asyncio.Protocol):
    """A connection, until a request on it is not the usual one."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Prepare; uvicorn makes one for each connection."""
        self._config, self._server_state, self._app_state = config, server_state, app_state
        self._loop = _loop or asyncio.get_running_loop()
        self._reports: Mapping[bytes, Report] = app_state.get(REPORTS, {})
        self._keep_alive_seconds = config.timeout_keep_alive
        self._buffer = b""
        self._is_answering = self._has_answered = self._is_stopping = False
        self._is_choked = self._is_paused = False

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        # Uvicorn asks of those that are in it no more than `shutdown`.
        self._server_state.connections.add(self)  # type: ignore[arg-type]
        self._since = self._loop.time()
        self._timer = self._loop.call_later(REQUEST_SECONDS_MAX, self._look)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        self._server_state.connections.discard(self)

    @override
    def data_received(self, data: bytes) -> None:
        if not self._buffer:
            self._since = self._loop.time()
        self._buffer += data
        if not self._is_answering:
            self._go_on()
        elif len(self._buffer) > REQUEST_BYTES_MAX and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    @override
    def pause_writing(self) -> None:
        """Read nothing more from a client that does not read its answers."""
        self._is_choked = self._is_paused = True
        self._transport.pause_reading()

    @override
    def resume_writing(self) -> None:
        self._is_choked = False
        self._go_on()

    def shutdown(self) -> None:
        """End the connection, after the answer that is being made."""
        self._is_stopping = True
        if not self._is_answering:
            self._transport.close()

    def _go_on(self) -> None:
        """Begin with the next request, if it is here."""
        if self._is_answering or self._is_choked or self._transport.is_closing():
            return
        if len(self._buffer) <= REQUEST_BYTES_MAX:
            self._resume()
        if not self._buffer:
            return
        line = self._buffer[: self._buffer.find(_LINE_END) + len(_LINE_END)]
        report = self._reports.get(line)
        head_end = self._buffer.find(_END)
        if report is None:
            self._hand_over()
        elif head_end < 0:
            self._wait_for_more()
        else:
            self._take(report, len(line), head_end)

    def _resume(self) -> None:
        if self._is_paused:
            self._is_paused = False
            self._transport.resume_reading()

    def _wait_for_more(self) -> None:
        if len(self._buffer) > REQUEST_BYTES_MAX:
            self._hand_over()

    def _take(self, report: Report, head_begin: int, head_end: int) -> None:
        headers = _read_head(self._buffer[head_begin : head_end + len(_LINE_END)])
        length = b"" if headers is None else headers.get(b"content-length", b"")
        if headers is None or not _LENGTH.fullmatch(length):
            self._hand_over()
            return
        begin = head_end + len(_END)
        end = begin + int(length)
        if len(self._buffer) < end:
            self._wait_for_more()
            return
        received = self._buffer
        self._buffer = received[end:]
        self._is_answering = True
        if not report(headers, received[begin:end], self._respond, self._since):
            self._is_answering = False
            self._buffer = received
            self._hand_over()

    def _respond(self, answer: Answer, more: tuple[tuple[bytes, bytes], ...]) -> None:
        self._is_answering = False
        self._has_answered = True
        transport = self._transport
        if transport.is_closing():
            return
        parts = [STATUS_LINE[answer.status]]
        for name, value in (*self._server_state.default_headers, JSON, *answer.headers, *more):
            parts += (name, b": ", value, b"\r\n")
        parts.append(b"content-length: %d\r\n" % len(answer.body))
        if self._is_stopping:
            parts.append(b"connection: close\r\n")
        parts += (b"\r\n", answer.body)
        transport.write(b"".join(parts))
        self._since = self._loop.time()
        if self._is_stopping:
            transport.close()
        elif self._buffer:
            self._loop.call_soon(self._go_on)

    def _hand_over(self) -> None:
        """Let uvicorn have the connection from the next request on."""
        self._timer.cancel()
        self._server_state.connections.discard(self)
        heir = LimitedHttp(
            config=self._config,
            server_state=self._server_state,
            app_state=self._app_state,
            _loop=self._loop,
        )
        self._transport.set_protocol(heir)
        heir.connection_made(self._transport)
        heir.data_received(self._buffer)
        self._resume()

    def _look(self) -> None:
        """Close the connection if nothing comes, or a request takes too long; look again later."""
        is_idle = self._has_answered and not self._buffer
        limit = self._keep_alive_seconds if is_idle else REQUEST_SECONDS_MAX
        left = self._since + limit - self._loop.time()
        if left <= 0 and not self._is_answering:
            self._transport.close()
        else:
            self._timer = self._loop.call_later(left if left > 0 else limit, self._look)


def _read_head(head: bytes) -> Headers | None:
    """Return the headers by lower-case name; None if any of them is not usual, or comes twice."""
    if not _HEAD.fullmatch(head):
        return None
    headers: Headers = {}
    for line in head[:-2].split(b"\r\n"):
        name, _, value = line.partition(b":")
        name = name.lower()
        if name in headers or name in _UNUSUAL:
            return None
        headers[name] = value.strip(b" \t")
    return headers if headers.get(b"connection", b"keep-alive").lower() == b"keep-alive" else None
