"""A webhook endpoint on the test's own event loop, so that tests can hold and release its answers.

It speaks just enough HTTP, byte by byte where a test wants it: real servers don't drip, lie or
break off on demand.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import stripe

BOUND_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came in.

    Attributes:
        line: The request line.
        headers: By lower-case name.
        writer: Where the answer goes.
    """

    line: str
    headers: dict[str, str]
    body: bytes
    writer: asyncio.StreamWriter

    @property
    def signature(self) -> str:
        """The `Stripe-Signature` header."""
        return self.headers["stripe-signature"]

    @property
    def timestamp(self) -> int:
        """The signature's timestamp."""
        return int(self.signature.partition(",")[0].removeprefix("t="))

    def event(self, secret: str) -> stripe.Event:
        """Return the event as Stripe's SDK reads it, its signature checked, whatever its age."""
        event: stripe.Event = stripe.Webhook.construct_event(
            self.body, self.signature, secret, tolerance=0
        )
        return event

    async def answer(self, status: int, body: bytes = b"ok", **headers: Any) -> None:  # noqa: ANN401
        """Answer like an ordinary server; `Retry_After` is the header `Retry-After`."""
        lines = [f"HTTP/1.1 {status} Because", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        await self.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    async def write(self, data: bytes) -> None:
        """Write some bytes of an answer."""
        self.writer.write(data)
        await self.writer.drain()


Answer = Callable[[Received], Awaitable[None]]


async def answer_ok(received: Received) -> None:
    """Take the event."""
    await received.answer(200)


def always(status: int, body: bytes = b"ok", **headers: Any) -> Answer:  # noqa: ANN401
    """Return an answer that is always the same."""

    async def answer(received: Received) -> None:
        await received.answer(status, body, **headers)

    return answer


def held(gate: asyncio.Event) -> Answer:
    """Return an answer that waits at a gate; a receiver that hangs, as long as it is shut."""

    async def answer(received: Received) -> None:
        await gate.wait()
        await received.answer(200)

    return answer


@dataclass
class Receiver:
    """An HTTP server on a loopback port of the system's choice.

    Attributes:
        answer: Answers each request; may be changed at any time.
        received: All requests so far, in order of arrival.
    """

    port: int = 0
    answer: Answer = answer_ok
    received: list[Received] = field(default_factory=list)
    _came: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def url(self) -> str:
        """The endpoint's address."""
        return f"http://127.0.0.1:{self.port}/webhook"

    @property
    def event_ids(self) -> list[str]:
        """The id of each event that came, in order of arrival."""
        return [str(json.loads(received.body)["id"]) for received in self.received]

    async def wait_for(self, count: int) -> list[Received]:
        """Wait until at least `count` requests have come, and return all of them."""
        async with asyncio.timeout(BOUND_SECONDS), self._came:
            await self._came.wait_for(lambda: len(self.received) >= count)
        return self.received

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one request and answer it."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            line, *fields = head.strip().split("\r\n")
            pairs = [text.partition(": ")[::2] for text in fields]
            headers = {name.lower(): value for name, value in pairs}
            body = await reader.readexactly(int(headers["content-length"]))
            received = Received(line, headers, body, writer)
            async with self._came:
                self.received.append(received)
                self._came.notify_all()
            await self.answer(received)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the sender gave up, as it may
        finally:
            writer.close()


@asynccontextmanager
async def receiving(answer: Answer = answer_ok, *, port: int = 0) -> AsyncIterator[Receiver]:
    """Run a receiver; requests that still hang at the end are broken off."""
    receiver = Receiver(answer=answer)
    serving: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(receiver.serve(reader, writer))
        serving.add(task)
        task.add_done_callback(serving.discard)

    server = await asyncio.start_server(connected, "127.0.0.1", port)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
