"""Endpoints that do everything a sender must live with, each kind on a port of its own.

`python -m tests.support.hostile` runs them until its input ends, and prints their ports as JSON.
"""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]

RETRY_AFTER = b"99999999999"
BOUND_SECONDS = 30


async def hang(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Take the connection and do nothing; as an https endpoint, stall its TLS."""
    await asyncio.Event().wait()


async def drip_head(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send a head that never ends, a header every second."""
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X: y\r\n")
        await writer.drain()
        await asyncio.sleep(1)


async def drip_body(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send a failure with a body that never ends, a byte every second."""
    writer.write(b"HTTP/1.1 500 Oh\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(1)


async def endless_body(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send a failure with a body that never ends, as fast as it goes."""
    writer.write(b"HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"400\r\n" + b"x" * 1024 + b"\r\n")
        await writer.drain()


async def reset(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Break the connection off."""
    writer.transport.abort()


def saying(head: bytes) -> Serve:
    """Return an endpoint that reads an event and always answers the same."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head + b"\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    return serve


BEHAVIOURS: dict[str, Serve] = {
    "hang": hang,
    "tls_stall": hang,
    "drip_head": drip_head,
    "drip_body": drip_body,
    "endless_body": endless_body,
    "reset": reset,
    "error": saying(b"HTTP/1.1 500 Oh"),
    "too_many": saying(b"HTTP/1.1 429 Slow down\r\nRetry-After: " + RETRY_AFTER),
    "redirect": saying(b"HTTP/1.1 302 Here\r\nLocation: /webhook"),
}
DEAD_NAME = "dead_name"
KINDS = (*BEHAVIOURS, DEAD_NAME)


def url_of(kind: str, ports: dict[str, int], number: int) -> str:
    """Return the address of an endpoint of a kind; each number is another endpoint."""
    if kind == DEAD_NAME:
        return f"http://dead-{number}.invalid/"
    scheme = "https" if kind == "tls_stall" else "http"
    return f"{scheme}://127.0.0.1:{ports[kind]}/{number}"


@dataclass
class Hostile:
    """The endpoints while they run.

    Attributes:
        ports: By kind.
        present: How many connections each kind has.
        most: The most that each kind had at a time.
    """

    ports: dict[str, int] = field(default_factory=dict)
    present: Counter[str] = field(default_factory=Counter)
    most: Counter[str] = field(default_factory=Counter)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def count(self, kind: str, change: int) -> None:
        """Note that a connection began or ended."""
        self.present[kind] += change
        self.most[kind] = max(self.most[kind], self.present[kind])
        async with self._changed:
            self._changed.notify_all()

    async def until_reached(self, kind: str, count: int) -> None:
        """Wait until a kind has had so many connections at a time."""
        async with asyncio.timeout(BOUND_SECONDS), self._changed:
            await self._changed.wait_for(lambda: self.most[kind] >= count)


@asynccontextmanager
async def hostile_endpoints() -> AsyncIterator[Hostile]:
    """Run all of them."""
    hostile = Hostile()
    serving: set[asyncio.Task[None]] = set()

    def begun(kind: str) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]:
        async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await hostile.count(kind, 1)
            behaving = asyncio.create_task(BEHAVIOURS[kind](reader, writer))
            # Most go on for ever, and the sender breaks off.
            closed = asyncio.create_task(writer.wait_closed())
            try:
                await asyncio.wait({behaving, closed}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                writer.close()
                behaving.cancel()
                closed.cancel()
                await asyncio.gather(behaving, closed, return_exceptions=True)
                await hostile.count(kind, -1)

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(served(reader, writer))
            serving.add(task)
            task.add_done_callback(serving.discard)

        return connected

    servers = {
        kind: await asyncio.start_server(begun(kind), "127.0.0.1", 0, backlog=4096)
        for kind in BEHAVIOURS
    }
    hostile.ports |= {kind: one.sockets[0].getsockname()[1] for kind, one in servers.items()}
    try:
        yield hostile
    finally:
        for server in servers.values():
            server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


async def _main() -> None:
    async with hostile_endpoints() as hostile:
        print(json.dumps(hostile.ports), flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_main())
