"""One connection of a listener: frames go out, acknowledgements and answers come in.

What is acknowledged is written down together, so that a listener which comes back, to this process
or to the next, is told of nothing twice.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
from contextlib import aclosing, suppress
from functools import partial
from typing import Any, NamedTuple, Protocol

import structlog

from meterbell.clock import Clock
from meterbell.delivery.listener_sessions import Progress, store_progress
from meterbell.delivery.listener_streams import open_streams
from meterbell.errors import OverloadedError, StoreUnavailableError
from meterbell.ledger.committer import Committer
from meterbell.records import Listener, ListenerAnswer
from meterbell.store.base import Store
from meterbell.wire.stripecli import EventAck, WebhookResponse, bare_address, parse_told

GOODBYE = "Connection Done"
"""Why a listener closes the connection that is not going to come back."""

_STOPPED = 1012
_NOT_ALLOWED = 1008
_FAILED = 1011
# News come in bursts; looking for each of them would cost more than they are worth.
_PAUSE_SECONDS = 0.02
_LOOK_SECONDS = 5.0
_LAST_ACKS_SECONDS = 1.0
_RECORD_AGAIN_SECONDS = 0.2
_UNRECORDED_MAX = 500
_RESPONSE_BYTES_MAX = 5000

logger = structlog.get_logger(__name__)


class Closed(NamedTuple):
    """The connection is over."""

    code: int
    reason: str


class Socket(Protocol):
    """A websocket, once it is open."""

    async def send(self, frame: bytes) -> None:
        """Send one message.

        Raises:
            OSError: The connection is over.
        """

    async def receive(self) -> str | bytes | Closed:
        """Return the next message."""

    async def close(self, code: int, reason: str) -> None:
        """End the connection, which `receive` then tells.

        Raises:
            OSError: It is over already.
        """


class Listening:
    """A listener while it is connected."""

    def __init__(
        self,
        listener: Listener,
        socket: Socket,
        *,
        store: Store,
        committer: Committer,
        clock: Clock,
        secret: str,
        is_allowed: Callable[[], bool],
    ) -> None:
        """Prepare.

        Args:
            listener: As stored last; nobody else changes it while this runs.
            socket: Its connection.
            store: Where events are read.
            committer: Where progress is written.
            clock: The present.
            secret: What events are signed with.
            is_allowed: Asked again and again: whether its key is still valid.
        """
        self._listener = listener
        self._socket = socket
        self._committer = committer
        self._clock = clock
        self._is_allowed = is_allowed
        self._streams = open_streams(listener, store.reader, clock=clock, secret=secret)
        self._answers: list[ListenerAnswer] = []
        self._news = asyncio.Event()
        self._unrecorded = asyncio.Event()
        self._recorded = asyncio.Event()
        self._stop_at: float | None = None
        self._has_said_goodbye = False
        self._receiving: asyncio.Task[None] | None = None
        self.ended = asyncio.Event()

    def wake(self) -> None:
        """Look for what there is to send."""
        self._news.set()

    def stop(self) -> None:
        """Send nothing more, give acknowledgements a moment, and close."""
        if self._stop_at is None:
            self._stop_at = asyncio.get_running_loop().time() + _LAST_ACKS_SECONDS
        self._news.set()

    def drop(self) -> None:
        """End at once: the connection is dead, whatever the network says."""
        if self._receiving is not None:
            self._receiving.cancel()

    async def run(self, also: AsyncGenerator[bytes, None] | None = None) -> None:
        """Serve the connection until it is over.

        Args:
            also: Frames to be sent as they come, of which no acknowledgement matters.
        """
        work = [self._guarded(self._send_events()), self._record()]
        if also is not None:
            work.append(self._guarded(self._send_also(also)))
        tasks = [asyncio.create_task(job) for job in work]
        self._receiving = asyncio.create_task(self._receive())
        tasks.append(self._receiving)
        self._unrecorded.set()  # it was seen
        try:
            await asyncio.wait([self._receiving])
        finally:
            for task in tasks:
                task.cancel()
            _log_failures(await asyncio.gather(*tasks, return_exceptions=True))
            await self._store_progress()
            self.ended.set()

    async def _receive(self) -> None:
        while True:
            message = await self._socket.receive()
            if isinstance(message, Closed):
                self._has_said_goodbye = message.reason == GOODBYE
                return
            match parse_told(message):
                case EventAck() as ack:
                    self._acknowledge(ack.webhook_conversation_id or ack.event_id)
                case WebhookResponse() as answer:
                    await self._answer(answer)
                case None:
                    pass

    def _acknowledge(self, key: str) -> None:
        now = asyncio.get_running_loop().time()
        if any(stream.window.acknowledge(key, now=now) for stream in self._streams):
            self._unrecorded.set()
            self._news.set()

    async def _answer(self, answer: WebhookResponse) -> None:
        for stream in self._streams:
            stream.window.answer(answer.webhook_conversation_id or answer.notification_id)
        self._news.set()
        self._answers.append(
            ListenerAnswer(
                listener=self._listener.id,
                livemode=self._listener.livemode,
                event=answer.notification_id,
                created_ms=self._clock.now_ms(),
                url=bare_address(answer.forward_url),
                status_code=answer.status,
                response=answer.body.encode(errors="replace")[:_RESPONSE_BYTES_MAX],
            )
        )
        self._unrecorded.set()
        while len(self._answers) > _UNRECORDED_MAX:
            self._recorded.clear()
            await self._recorded.wait()  # no more is read meanwhile

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        """Do some work; close the connection if it fails."""
        try:
            await work
        except OSError:
            pass  # it is over, as `receive` tells too
        except Exception:
            logger.exception("a listener can't be served", listener=self._listener.id)
            await self._close(_FAILED, "The server failed; its log tells more")

    async def _send_events(self) -> None:
        while self._stop_at is None:
            self._news.clear()
            if not self._is_allowed():
                await self._close(_NOT_ALLOWED, "The API key is not valid any more")
                return
            loop = asyncio.get_running_loop()
            for stream in self._streams:
                async for frame in stream.frames(now=loop.time()):
                    await self._socket.send(frame)
            await asyncio.sleep(_PAUSE_SECONDS)
            times = [at for s in self._streams if (at := s.window.room_at()) is not None]
            await self._wait(min([loop.time() + _LOOK_SECONDS, *times]))
        while any(stream.window.is_waiting for stream in self._streams):
            self._news.clear()
            if not await self._wait(self._stop_at):
                break
        await self._close(_STOPPED, "The server is stopping")

    async def _wait(self, until: float) -> bool:
        """Wait for news; return whether they came before an instant of the event loop's clock."""
        try:
            async with asyncio.timeout_at(until):
                await self._news.wait()
        except TimeoutError:
            return False
        return True

    async def _send_also(self, frames: AsyncGenerator[bytes, None]) -> None:
        # Closed at once, so that nobody goes on to collect for a listener that is gone.
        async with aclosing(frames):
            async for frame in frames:
                await self._socket.send(frame)

    async def _close(self, code: int, reason: str) -> None:
        with suppress(OSError):  # it is over already
            await self._socket.close(code, reason)

    async def _record(self) -> None:
        while True:
            await self._unrecorded.wait()
            self._unrecorded.clear()
            await self._store_progress()
            self._recorded.set()

    async def _store_progress(self) -> None:
        """Write down how far the listener has come, however long the commit queue is."""
        while True:
            answers, self._answers = self._answers, []
            cursors = {s.cursor_name: s.window.cursor for s in self._streams}
            done = [key for s in self._streams for key in s.window.done]
            progress = Progress(self._listener.id, cursors, done, answers, self._has_said_goodbye)
            try:
                await self._committer.execute(partial(store_progress, progress=progress))
            except OverloadedError:
                self._answers[:0] = answers
                await asyncio.sleep(_RECORD_AGAIN_SECONDS)
            except StoreUnavailableError as error:
                logger.warning(
                    "a listener's progress is lost", listener=self._listener.id, error=str(error)
                )
                return
            else:
                return


def _log_failures(results: Iterable[object]) -> None:
    for result in results:
        if isinstance(result, Exception):
            logger.error("a listener's task failed", error=repr(result), exc_info=result)
