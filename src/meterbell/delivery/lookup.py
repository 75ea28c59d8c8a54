"""Names → addresses, each name in a thread of its own.

The event loop's own threads are few, and a name server that doesn't answer blocks one for half a
minute: some dead names would stop all deliveries (D2). A name is looked up once at a time, however
many ask and whoever gives up meanwhile, so there are at most as many threads as names.
"""

import asyncio
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_address
from typing import Any

from meterbell.delivery.addresses import Address

Resolve = Callable[..., list[tuple[Any, ...]]]
"""`socket.getaddrinfo`, or what stands in for it."""

ADDRESSES_MAX = 32
_DISCARD_PORT = 9


class Lookup:
    """Looks names up; one that hangs delays nobody, not even the process's end."""

    def __init__(
        self, resolve: Resolve = socket.getaddrinfo, *, names_max: int | None = None
    ) -> None:
        """Prepare.

        Args:
            resolve: What each thread calls.
            names_max: How many names may be looked up at a time; None for any number.
        """
        self._resolve = resolve
        self._names_max = names_max
        self._asked: dict[str, asyncio.Future[list[Address]]] = {}

    async def addresses(self, name: str) -> list[Address]:
        """Return a name's addresses, in the order in which they should be tried.

        Raises:
            OSError: There are none or too many, or they can't be found.
            UnicodeError: It can't be a name.
        """
        answer = self._asked.get(name)
        if answer is None:
            if self._names_max is not None and len(self._asked) >= self._names_max:
                raise OSError("too many names are being looked up")
            answer = self._asked[name] = self._begin(name)
        # Whoever gives up leaves the answer to the others.
        return await asyncio.shield(answer)

    def _begin(self, name: str) -> "asyncio.Future[list[Address]]":
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[Address]] = loop.create_future()
        answer.add_done_callback(_see)

        def settle(found: list[Address] | Exception) -> None:
            del self._asked[name]
            if isinstance(found, Exception):
                answer.set_exception(found)
            else:
                answer.set_result(found)

        def look_up() -> None:
            found: list[Address] | Exception
            try:
                found = _addresses_in(self._resolve(name, None, type=socket.SOCK_STREAM))
            except Exception as error:  # noqa: BLE001 - raised where it is waited for
                found = error
            with suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(settle, found)

        threading.Thread(target=look_up, name=f"meterbell-lookup {name}", daemon=True).start()
        return answer


def _see(answer: "asyncio.Future[list[Address]]") -> None:
    """Look at a failure that perhaps nobody waits for any more."""
    if not answer.cancelled():
        answer.exception()


def _addresses_in(found: list[tuple[Any, ...]]) -> list[Address]:
    addresses = list(dict.fromkeys(ip_address(address[0]) for *_, address in found))
    if not 0 < len(addresses) <= ADDRESSES_MAX:
        raise OSError(f"{len(addresses)} addresses")
    return addresses


def is_own(address: Address) -> bool:
    """Return whether an address is one of this machine's, as the system itself would send to it.

    Nothing is sent: a connected datagram socket only tells from where it would be.
    """
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), _DISCARD_PORT))
            return ip_address(probe.getsockname()[0].partition("%")[0]) == address
    except OSError:
        return False  # nothing leads there
