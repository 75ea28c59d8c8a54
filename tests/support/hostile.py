"""Endpoints that do everything a sender must live with, each on a port of its own.

`python -m tests.support.hostile` runs them until its input ends, and prints their ports as JSON.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

OK_HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n"
RETRY_AFTER = b"99999999999"


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


@asynccontextmanager
async def hostile_endpoints() -> AsyncIterator[dict[str, int]]:
    """Run all of them; give their ports by kind."""
    serving: set[asyncio.Task[None]] = set()

    def begun(serve: Serve) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]:
        async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                with suppress(ConnectionError, asyncio.IncompleteReadError):
                    await serve(reader, writer)
            finally:
                writer.close()

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(served(reader, writer))
            serving.add(task)
            task.add_done_callback(serving.discard)

        return connected

    servers = {
        kind: await asyncio.start_server(begun(serve), "127.0.0.1", 0, backlog=4096)
        for kind, serve in BEHAVIOURS.items()
    }
    try:
        yield {kind: server.sockets[0].getsockname()[1] for kind, server in servers.items()}
    finally:
        for server in servers.values():
            server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


async def _main() -> None:
    async with hostile_endpoints() as ports:
        print(json.dumps(ports), flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_main())
