"""Names → addresses, each in a thread of its own.

The event loop's own threads are few, and a name server that doesn't answer blocks one for half a
minute: some dead names would stop all deliveries (D2). aiohttp asks for a name once at a time, so
there are at most as many threads as endpoints.
"""

import asyncio
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult
from typing_extensions import override

Lookup = Callable[..., list[tuple[Any, ...]]]
"""`socket.getaddrinfo`, or what stands in for it."""


class ThreadResolver(AbstractResolver):
    """Looks names up for aiohttp; a lookup that hangs delays nobody, not even the process's end."""

    def __init__(self, lookup: Lookup = socket.getaddrinfo) -> None:
        """Prepare.

        Args:
            lookup: What each thread calls.
        """
        self._lookup = lookup

    @override
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return a name's addresses.

        Raises:
            OSError: There are none, or they can't be found.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[tuple[Any, ...]]] = loop.create_future()

        def settle(found: list[tuple[Any, ...]] | Exception) -> None:
            if answer.done():
                return  # nobody waits any more
            if isinstance(found, Exception):
                answer.set_exception(found)
            else:
                answer.set_result(found)

        def look_up() -> None:
            found: list[tuple[Any, ...]] | Exception
            try:
                found = self._lookup(host, port, family=family, type=socket.SOCK_STREAM)
            except Exception as error:  # noqa: BLE001 - raised where it is waited for
                found = error
            with suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(settle, found)

        threading.Thread(target=look_up, name=f"meterbell-lookup {host}", daemon=True).start()
        return [
            ResolveResult(
                hostname=host,
                host=address[0],
                port=address[1],
                family=found_family,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for found_family, _, protocol, _, address in await answer
        ]

    @override
    async def close(self) -> None:
        """Do nothing: a thread ends with its lookup."""
