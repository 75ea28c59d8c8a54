"""Websockets of listeners: who may open one, and the ASGI messages behind it."""

from collections.abc import AsyncGenerator
from http import HTTPStatus

from starlette.types import Receive, Scope, Send

from meterbell.api.auth import Authenticator
from meterbell.api.http import JSON, headers_of
from meterbell.api.v1.cli_filters import requests_wanted
from meterbell.api.v1.stripecli import SUBSCRIBE_PATH
from meterbell.delivery.listener_sessions import digest_of
from meterbell.delivery.listener_streams import REQUESTS
from meterbell.delivery.listening import Closed
from meterbell.errors import AuthenticationError
from meterbell.records import Listener
from meterbell.requestlog.feed import RequestFeed
from meterbell.requestlog.filters import RequestFilter
from meterbell.services import Services
from meterbell.store import tables
from meterbell.wire.json import encode_json
from meterbell.wire.stripecli import SUBPROTOCOL, UNKNOWN_SESSION, render_request_log

_LOOK_SECONDS = 60.0
_listener = tables.listener.c


class Sockets:
    """Opens websockets for those who have begun a session."""

    def __init__(self, services: Services, authenticator: Authenticator) -> None:
        self._services = services
        self._authenticator = authenticator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, or refuse it with an HTTP answer."""
        await receive()  # `websocket.connect`
        if scope["path"] != SUBSCRIBE_PATH:
            await _refuse(send, HTTPStatus.NOT_FOUND, "There is no websocket at this URL.")
            return
        if self._services.listeners.is_stopping:
            await _refuse(send, HTTPStatus.SERVICE_UNAVAILABLE, "The server is stopping.")
            return
        token = headers_of(scope).get(b"websocket-id", b"").decode("latin-1")
        found = self._find(token)
        if found is None:
            await _refuse(send, HTTPStatus.UNAUTHORIZED, None)
            return
        subprotocol = SUBPROTOCOL if SUBPROTOCOL in scope["subprotocols"] else None
        await send({"type": "websocket.accept", "subprotocol": subprotocol})
        await self._services.listeners.serve(
            found.id,
            _AsgiSocket(receive, send),
            livemode=found.livemode,
            is_allowed=lambda: self._is_allowed(found),
            also=self._requests,
        )

    def _find(self, token: str) -> Listener | None:
        """Return the listener that a token stands for, if it may still connect."""
        if not token:
            return None
        found = self._services.store.reader.find(
            Listener, _listener.digest == digest_of(token), _listener.status == "open"
        )
        return found[0] if found and self._is_allowed(found[0]) else None

    def _is_allowed(self, listener: Listener) -> bool:
        try:
            self._authenticator.find(listener.key)
        except AuthenticationError:
            return False
        return True

    def _requests(self, listener: Listener) -> AsyncGenerator[bytes, None] | None:
        """Return the frames of requests that a listener wants to see, as these are answered."""
        if REQUESTS not in listener.features:
            return None
        wanted = requests_wanted(listener.filters)
        return _frames(self._services.requests.feed, wanted, livemode=listener.livemode)


class _AsgiSocket:
    """A websocket as ASGI messages."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send

    async def send(self, frame: bytes) -> None:
        """Send one message."""
        await self._send({"type": "websocket.send", "text": frame.decode()})

    async def receive(self) -> str | bytes | Closed:
        """Return the next message."""
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            return Closed(message.get("code", 1005), message.get("reason") or "")
        text: str | None = message.get("text")
        return text if text is not None else bytes(message["bytes"])

    async def close(self, code: int, reason: str) -> None:
        """End the connection."""
        await self._send({"type": "websocket.close", "code": code, "reason": reason})


async def _frames(
    feed: RequestFeed, wanted: RequestFilter, *, livemode: bool
) -> AsyncGenerator[bytes, None]:
    with feed.listening() as newest:
        cursor = newest
        while True:
            heard = await feed.wait_after(cursor, timeout_seconds=_LOOK_SECONDS)
            cursor = heard.cursor
            for entry in heard.entries:
                if wanted.matches(entry, livemode=livemode):
                    yield render_request_log(entry)


async def _refuse(send: Send, status: HTTPStatus, message: str | None) -> None:
    """Answer in place of opening a websocket.

    Args:
        send: Of ASGI.
        status: Of the answer.
        message: Why; None for a session that there is not, which its owner then begins anew.
    """
    error = UNKNOWN_SESSION if message is None else {"error": {"message": message}}
    body = encode_json(error)
    headers = [JSON, (b"content-length", str(len(body)).encode())]
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})
