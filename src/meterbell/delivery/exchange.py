"""One request and its answer on one connection, of which only so much is read.

Bytes are counted as they come off the connection, so nothing gets around the limits: neither a long
head, nor one interim answer after the other, nor a body in very small pieces. What is packed stays
packed. Once enough has come, or the answer has ended, the connection is of no more use.
"""

import asyncio
from typing import cast

import httptools
from typing_extensions import override

from meterbell.delivery.outcome import KEPT_BYTES_MAX, READ_BYTES_MAX

HEAD_BYTES_MAX = 32 * 1024
HEADERS_MAX = 100
_FINAL = 200


class BadAnswerError(Exception):
    """What came is no HTTP answer, or not one within the limits."""


class Exchange(asyncio.Protocol):
    """Sends a request as soon as it is connected, and takes the answer.

    Attributes:
        status: Of the answer; 0 before there is one.
        retry_after: Its `Retry-After` header.
        body: Its first bytes.
        ended: Done once no more is to be expected; an error tells that there is no answer.
    """

    def __init__(self, request: bytes) -> None:
        """Prepare.

        Args:
            request: All of it.
        """
        self.status = 0
        self.retry_after: str | None = None
        self.body = bytearray()
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._request = request
        # It refers back here, so it lives as long as the connection and no longer.
        self._parser: httptools.HttpResponseParser | None = None
        self._read = 0
        self._headers = 0

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._parser = httptools.HttpResponseParser(self)
        # uvloop's transports are none of asyncio's classes.
        cast("asyncio.Transport", transport).write(self._request)

    @override
    def data_received(self, data: bytes) -> None:
        data = data[: READ_BYTES_MAX - self._read]
        room = 0 if self.status else HEAD_BYTES_MAX - self._read
        self._read += len(data)
        if room > 0:
            self._feed(data[:room])
            if not self.status and self._read >= HEAD_BYTES_MAX:
                self._end(BadAnswerError("its head is too long"))
            data = data[room:]
        self._feed(data)
        if self._read >= READ_BYTES_MAX:
            self._end()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc or ConnectionResetError("closed without an answer"))
        self._parser = None

    def _feed(self, data: bytes) -> None:
        if not data or self.ended.done():
            return
        assert self._parser is not None, "data comes on a connection"
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._end(BadAnswerError(repr(error)))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header."""
        self._headers += 1
        if self._headers > HEADERS_MAX:
            self._end(BadAnswerError("it has too many headers"))
        elif name.lower() == b"retry-after":
            self.retry_after = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Take the status; one below 200 only says that the answer is still to come."""
        assert self._parser is not None, "headers come on a connection"
        status = self._parser.get_status_code()
        if status >= _FINAL and not self.ended.done():
            self.status = status

    def on_body(self, data: bytes) -> None:
        """Take a part of the body."""
        self.body += data[: KEPT_BYTES_MAX - len(self.body)]

    def on_message_complete(self) -> None:
        """Take the end of the answer."""
        if self.status:
            self._end()

    def _end(self, error: Exception | None = None) -> None:
        """Expect no more; an answer that goes wrong after its head counts by its status."""
        if self.ended.done():
            return
        if error is None or self.status:
            self.ended.set_result(None)
        else:
            self.ended.set_exception(error)
