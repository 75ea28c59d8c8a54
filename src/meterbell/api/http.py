"""Requests and answers as ASGI messages: read a body within bounds, send an answer."""

from collections.abc import Callable
from typing import NamedTuple

from starlette.types import Message, Receive, Scope, Send

from meterbell.errors import BodyTooLargeError, UnsupportedMediaTypeError
from meterbell.wire.form import BODY_BYTES_MAX

_FORM = b"application/x-www-form-urlencoded"
JSON = (b"content-type", b"application/json; charset=utf-8")

Headers = dict[bytes, bytes]


class Answer(NamedTuple):
    """What to send back."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    content_type: bytes = b""


Respond = Callable[[Answer, tuple[tuple[bytes, bytes], ...]], None]
"""Takes an answer, and headers besides its own."""

Report = Callable[[Headers, bytes, Respond, float], bool]
"""Takes a request's headers by lower-case name, its whole body, where the answer goes, now or once
the usage is durable, and when it began to come, in the loop's time. False if it is a request for
the usual way: nothing happened then."""


class ClientGoneError(Exception):
    """The client closed the connection before its request was whole."""


def headers_of(scope: Scope) -> Headers:
    """Return the request's headers by lower-case name; of repeated ones, the last."""
    return dict(scope["headers"])


async def read_body(
    receive: Receive, headers: Headers, *, bytes_max: int = BODY_BYTES_MAX
) -> bytes:
    """Return the request's body, of at most `bytes_max` bytes.

    How long it may take to arrive is the HTTP server's business.

    Raises:
        BodyTooLargeError: It passes the bound.
        ClientGoneError: The client went away.
    """
    length = headers.get(b"content-length", b"")
    if length.isdigit() and (len(length) > 10 or int(length) > bytes_max):  # noqa: PLR2004
        raise _too_large(bytes_max)
    message = await receive()
    body: bytes = message.get("body", b"")
    if message.get("more_body"):
        body, message = await _read_rest(receive, bytearray(body), bytes_max)
    if message["type"] == "http.disconnect":
        raise ClientGoneError
    if len(body) > bytes_max:
        raise _too_large(bytes_max)
    return body


async def _read_rest(receive: Receive, body: bytearray, bytes_max: int) -> tuple[bytes, Message]:
    """Return the whole body that begins with `body`, and the message that it ended with."""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > bytes_max:
            raise _too_large(bytes_max)
        if not message.get("more_body"):
            return bytes(body), message


def require_form(headers: Headers, body: bytes) -> None:
    """Refuse a body that is not a form.

    Raises:
        UnsupportedMediaTypeError: Its content type says that it is something else.
    """
    kind = headers.get(b"content-type", _FORM).partition(b";")[0].strip().lower()
    if body and kind != _FORM:
        shown = kind.decode("latin-1")[:80]
        raise UnsupportedMediaTypeError(
            f"The v1 API reads form bodies, not {shown}. Send the parameters as "
            "application/x-www-form-urlencoded, as the SDKs do."
        )


async def send_answer(
    send: Send, answer: Answer, extra: tuple[tuple[bytes, bytes], ...] = ()
) -> None:
    """Send an answer with its headers."""
    kind = (b"content-type", answer.content_type) if answer.content_type else JSON
    length = (b"content-length", str(len(answer.body)).encode())
    headers = [kind, length, *answer.headers, *extra]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


def _too_large(bytes_max: int) -> BodyTooLargeError:
    return BodyTooLargeError(
        f"The request's body is too large: at most {bytes_max} bytes are read."
    )
