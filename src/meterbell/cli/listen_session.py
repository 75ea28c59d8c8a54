"""The other end of a listener's websocket, with a session that survives restarts of the server.

It is the Stripe CLI's protocol, with two differences: events are acknowledged only when they are
done, so none is lost here either; and a session says where it begins.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import aiohttp
import msgspec
from msgspec import Struct, field

from meterbell.cli.connection import Target, UnreachableError, refused, unreachable
from meterbell.cli.output import CommandError
from meterbell.wire.stripecli import AGAIN, SUBPROTOCOL

GOODBYE = b"Connection Done"
START, NOW = "start", "now"

_CONNECT_SECONDS_MAX = 5
_ANSWER_SECONDS_MAX = 30
_PING_SECONDS = 10
_CLOSE_SECONDS_MAX = 1.0
_MESSAGE_BYTES_MAX = 64 * 2**20
_WAITING_MAX = 1000
_KNOWN_MAX = 5000
_PAUSE_SECONDS_MIN = 0.1
_PAUSE_SECONDS_MAX = 2.0
_RETRIED = frozenset({409, 429})


class Begun(Struct, frozen=True):
    """What the server says to a new session.

    Attributes:
        since: Id of the event after which it begins, or `start`.
        thin_since: The same for thin events.
    """

    websocket_id: str
    websocket_url: str
    secret: str
    since: str = START
    thin_since: str = START


class _SnapshotFrame(Struct, frozen=True, tag="webhook_event", tag_field="type"):
    webhook: str = field(name="webhook_id")
    payload: str = field(name="event_payload")
    conversation: str = field(name="webhook_conversation_id")


class _ThinFrame(Struct, frozen=True, tag="v2_event", tag_field="type"):
    webhook: str = field(name="destination_id")
    payload: str
    conversation: str = ""


class _Event(Struct, frozen=True):
    id: str
    type: str
    created: int | str


_decoder: msgspec.json.Decoder[_SnapshotFrame | _ThinFrame] = msgspec.json.Decoder(
    _SnapshotFrame | _ThinFrame
)


class Received(NamedTuple):
    """An event that came in.

    Attributes:
        created: Unix seconds, or a time in words for thin events.
        body: What a webhook would hold.
        is_thin: Whether it is one of v2.
        is_again: Whether somebody had it sent again.
        conversation: What to call it by to the server; empty for thin events.
        webhook: Whom the server sent it to.
    """

    id: str
    type: str
    created: int | str
    body: bytes
    is_thin: bool
    is_again: bool
    conversation: str
    webhook: str

    @property
    def key(self) -> str:
        """What tells it from other events, and from the same one sent again on purpose."""
        return self.conversation or self.id


class Answered(NamedTuple):
    """What a local server answered to an event."""

    url: str
    status: int
    body: str


Handle = Callable[[Received], Awaitable[Answered | None]]
"""Does everything there is to do with an event."""


class Wishes(NamedTuple):
    """What to listen to.

    Attributes:
        features: Which kinds of events.
        forward_to: Where events are posted to; None for nowhere.
        thin_forward_to: Where thin events are posted to; None for nowhere.
        types: Of events; empty for all.
        device_name: For people to read.
    """

    features: list[str]
    forward_to: str | None
    thin_forward_to: str | None
    types: list[str]
    device_name: str

    def form(self, since: str, thin_since: str) -> list[tuple[str, str]]:
        """Return the parameters that begin a session after certain events."""
        form = [("device_name", self.device_name), ("since", since), ("thin_since", thin_since)]
        form += [("websocket_features[]", feature) for feature in self.features]
        form += [("types[]", name) for name in self.types]
        if self.forward_to is not None:
            form.append(("forward_to_url", self.forward_to))
        if self.thin_forward_to is not None:
            form.append(("forward_thin_to_url", self.thin_forward_to))
        return form


class AwayError(UnreachableError):
    """The server is not there now; `str` is fit for people who just started the command."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(str(unreachable(url, reason)))
        self.url = url
        self.reason = reason


class ListenSession:
    """A session with one server; goes on after restarts and broken connections."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        wishes: Wishes,
        *,
        find_target: Callable[[], Target],
        say: Callable[[str], None],
    ) -> None:
        """Prepare.

        Args:
            http: To connect with.
            wishes: What to listen to.
            find_target: Finds the server; a restarted one may have another port.
            say: Tells people what happens.
        """
        self._http = http
        self._wishes = wishes
        self._find_target = find_target
        self._say = say
        self._target = find_target()
        self._begun: Begun | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._waiting: asyncio.Queue[Received] = asyncio.Queue(_WAITING_MAX)
        # What waits, and what was done lately: the server sends again what it has no word of.
        self._known: dict[str, bool] = {}
        self.cursor = self.thin_cursor = NOW

    async def begin(self, since: str, thin_since: str) -> Begun:
        """Begin a session after certain events.

        Raises:
            AwayError: The server is not there, or asks to try again.
            CommandError: It refuses.
        """
        target = self._target
        try:
            async with self._http.post(
                f"{target.url}/v1/stripecli/sessions",
                data=self._wishes.form(since, thin_since),
                headers={"Authorization": f"Bearer {target.key}"},
                timeout=aiohttp.ClientTimeout(
                    total=_ANSWER_SECONDS_MAX, sock_connect=_CONNECT_SECONDS_MAX
                ),
            ) as answer:
                body = await answer.read()
                status = answer.status
                request_id = answer.headers.get("Request-Id")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise AwayError(target.url, reason_of(error)) from error
        if status in _RETRIED or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise AwayError(target.url, f"it answered {status}")
        try:
            if status != HTTPStatus.OK:
                raise refused(status, msgspec.json.decode(body), request_id=request_id)
            self._begun = msgspec.json.decode(body, type=Begun)
        except msgspec.MsgspecError as error:
            raise CommandError(
                f"What answers at {target.url} is no meterbell server (status {status})."
            ) from error
        self.cursor, self.thin_cursor = self._begun.since, self._begun.thin_since
        return self._begun

    async def run(self, handle: Handle) -> None:
        """Handle events one after the other, until cancelled.

        Raises:
            CommandError: The server refuses to go on.
        """
        tasks = [
            asyncio.create_task(self._stay_connected()),
            asyncio.create_task(self._handle_all(handle)),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _stay_connected(self) -> None:
        pause = _PAUSE_SECONDS_MIN
        is_lost = False
        while True:
            try:
                if self._begun is None:
                    await self.begin(self.cursor, self.thin_cursor)
                async with await self._connect() as socket:
                    if is_lost:
                        self._say(f"Found the server again, at {self._target.url}.")
                    pause, is_lost = _PAUSE_SECONDS_MIN, False
                    await self._read(socket)
                reason = "the connection broke"
            except AwayError as error:
                reason = error.reason
            if not is_lost:
                self._say(f"Lost the server at {self._target.url}: {reason}. Trying again …")
                is_lost = True
            await asyncio.sleep(pause)
            pause = min(2 * pause, _PAUSE_SECONDS_MAX)
            with suppress(CommandError):
                self._target = self._find_target()

    async def _connect(self) -> aiohttp.ClientWebSocketResponse:
        """Open the session's websocket.

        Raises:
            AwayError: It can't be opened now.
        """
        assert self._begun is not None, "a session was begun"
        target = self._target
        try:
            return await self._http.ws_connect(
                target.url + urlsplit(self._begun.websocket_url).path,
                protocols=(SUBPROTOCOL,),
                headers={"Websocket-Id": self._begun.websocket_id},
                heartbeat=_PING_SECONDS,
                max_msg_size=_MESSAGE_BYTES_MAX,
                timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_SECONDS_MAX),
            )
        except aiohttp.WSServerHandshakeError as error:
            if error.status == HTTPStatus.UNAUTHORIZED:
                self._begun = None  # it is not known any more; another one is begun
            raise AwayError(target.url, f"it answered {error.status}") from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise AwayError(target.url, reason_of(error)) from error

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Take events in until the connection ends; the local server is never waited for here."""
        self._socket = socket
        try:
            async for message in socket:
                event = _event_in(message.data)
                if event is None:
                    continue
                if event.key not in self._known:
                    self._known[event.key] = False
                    await self._waiting.put(event)
                elif self._known[event.key]:
                    await self._acknowledge(event)
        except asyncio.CancelledError:
            await socket.close(message=GOODBYE)
            raise
        finally:
            self._socket = None

    async def _handle_all(self, handle: Handle) -> None:
        while True:
            event = await self._waiting.get()
            answered = await handle(event)
            if answered is not None:
                await self._tell(
                    {
                        "type": "webhook_response",
                        "webhook_id": event.webhook,
                        "webhook_conversation_id": event.conversation,
                        "notification_id": event.id,
                        "forward_url": answered.url,
                        "status": answered.status,
                        "body": answered.body,
                    }
                )
            self._known[event.key] = True
            for key in list(self._known)[: max(len(self._known) - _KNOWN_MAX, 0)]:
                del self._known[key]
            await self._acknowledge(event)

    async def _acknowledge(self, event: Received) -> None:
        await self._tell(
            {
                "type": "event_ack",
                "event_id": event.id,
                "webhook_conversation_id": event.conversation,
                "webhook_id": event.webhook,
            }
        )

    async def _tell(self, message: dict[str, Any]) -> None:
        """Tell the server, if it is there; if not, it sends the event again and asks so."""
        if self._socket is not None:
            with suppress(aiohttp.ClientError, ConnectionError):
                await self._socket.send_str(msgspec.json.encode(message).decode())


def _event_in(message: str | bytes) -> Received | None:
    """Return the event in a frame; None for what is none."""
    try:
        frame = _decoder.decode(message)
        event = msgspec.json.decode(frame.payload, type=_Event)
    except (msgspec.MsgspecError, TypeError):
        return None
    return Received(
        id=event.id,
        type=event.type,
        created=event.created,
        body=frame.payload.encode(),
        is_thin=isinstance(frame, _ThinFrame),
        is_again=frame.webhook == AGAIN,
        conversation=frame.conversation,
        webhook=frame.webhook,
    )


def reason_of(error: Exception) -> str:
    """Return in a few words why there is no answer."""
    if isinstance(error, aiohttp.ClientConnectorError):
        number = error.os_error.errno
        return os.strerror(number).lower() if number else "no connection"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return "the connection broke"
