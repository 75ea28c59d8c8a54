"""One HTTP/1.1 connection by hand: requests are ready-made bytes, of answers little is read."""

import asyncio
import socket
from typing import Protocol, cast

from typing_extensions import override

from bench.load.traffic import Block

_STATUS = slice(9, 12)
_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


class Owner(Protocol):
    """Who is told what a connection gets."""

    def answered(self, connection: "Connection", status: int, body: bytes) -> None:
        """Take the answer to the request that is on its way."""

    def lost(self, connection: "Connection") -> None:
        """Take note that the connection ended."""


class Connection(asyncio.Protocol):
    """A connection with at most one request on its way.

    Attributes:
        block: The request's block; None if there is no request on its way.
        index: The request's place in its block.
        since: When the request was sent, or was due.
    """

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._rest = b""
        self.block: Block | None = None
        self.index = 0
        self.since = 0.0
        self.stamp = 0

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        found = self._transport.get_extra_info("socket")
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, data: bytes) -> None:
        """Send a request."""
        self._transport.write(data)

    def close(self) -> None:
        """End the connection."""
        self._transport.close()

    @override
    def data_received(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
        head_end = data.find(_HEAD_END)
        if head_end < 0:
            self._rest = data
            return
        head = data[:head_end].lower()
        at = head.find(_LENGTH)
        if at < 0:
            self._transport.abort()  # chunked answers are not what any of these servers sends
            return
        line_end = head.find(b"\r", at)
        length = int(head[at + len(_LENGTH) : line_end if line_end > 0 else None])
        body_start = head_end + len(_HEAD_END)
        if len(data) < body_start + length:
            self._rest = data
            return
        self._rest = b""
        self._owner.answered(self, int(head[_STATUS]), data[body_start:])

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._owner.lost(self)
