"""One attempt: a signed POST, and what came of it.

One deadline covers everything from the name lookup to the answer's last byte. The address that is
dialled is the one that the egress policy has seen (D4): no name is looked up after that. Each
attempt has a connection of its own, because one that the other side has closed meanwhile would look
like a failed attempt; nothing is shared that an endpoint could fill up (D2). Redirects are not
followed, answers are not unpacked, there are no cookies, and no proxies of the environment.
"""

import asyncio
import re
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from ipaddress import IPv4Address

import structlog

from meterbell import __version__
from meterbell.delivery.addresses import Address, unmapped
from meterbell.delivery.egress import Egress
from meterbell.delivery.exchange import BadAnswerError, Exchange
from meterbell.delivery.lookup import Lookup
from meterbell.delivery.outcome import NETWORK_ERRORS, Outcome, text_of_status
from meterbell.delivery.target import Target, parse_target

LOOKUP_SECONDS_MAX = 5.0
CONNECT_SECONDS_MAX = 5.0
_SUCCESS, _REDIRECT = 200, 300
HEADERS = {
    "User-Agent": f"meterbell/{__version__} (webhooks)",
    "Accept": "*/*",
    "Accept-Encoding": "identity",
    "Content-Type": "application/json; charset=utf-8",
    "Connection": "close",
}
"""Of every request; those that sign it come on top."""

_HEADER = re.compile(r"[!#-'*+.^_`|~0-9A-Za-z-]+: [\t\x20-\x7e]*")

logger = structlog.get_logger(__name__)

RefusalOf = Callable[[Address], str | None]
"""Returns why an address may not be dialled, or None if it may."""


class DeniedError(Exception):
    """The egress policy denies an address; the message says why."""


class LookupFailedError(Exception):
    """A name has no addresses, or they can't be found."""


class Sender:
    """Makes attempts."""

    def __init__(
        self,
        *,
        timeout_seconds: float,
        egress: Egress,
        lookup: Lookup | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Prepare.

        Args:
            timeout_seconds: For one attempt, all included.
            egress: Which addresses may be dialled.
            lookup: Finds the addresses of a name.
            tls: Which certificates are trusted; by default those that the system trusts.
        """
        self._timeout_seconds = timeout_seconds
        self._egress = egress
        self._lookup = lookup or Lookup()
        self._tls = tls or ssl.create_default_context()
        self._tls.set_alpn_protocols(["http/1.1"])

    async def send(
        self, url: str, *, livemode: bool, body: bytes, headers: Mapping[str, str]
    ) -> Outcome:
        """Post one event and return what came of it; raises nothing.

        Args:
            url: The endpoint's.
            livemode: The endpoint's mode.
            body: The event.
            headers: Those that sign it.
        """
        try:
            target = parse_target(url)
        except ValueError:
            return Outcome("bad_url")
        try:
            return await self._attempt(target, livemode, _request(target, body, headers))
        except DeniedError as error:
            logger.warning("address denied", host=str(target.host), reason=str(error))
            return Outcome(_name(error))
        except (LookupFailedError, BadAnswerError, OSError, UnicodeError) as error:
            return Outcome(_name(error))
        except Exception:
            logger.exception("attempt failed unexpectedly")
            return Outcome("internal_error")

    async def _attempt(self, target: Target, livemode: bool, request: bytes) -> Outcome:  # noqa: FBT001
        def refusal_of(address: Address) -> str | None:
            return self._egress.refusal(target, address, livemode=livemode)

        exchange = Exchange(request)
        transport: asyncio.Transport | None = None
        try:
            async with asyncio.timeout(self._timeout_seconds):
                addresses = await self._addresses(target, refusal_of)
                sock = await _dial(addresses, target.port)
                transport = await self._connect(sock, target, exchange)
                await exchange.ended
        except TimeoutError:
            # The status decides, even if the body never ends.
            if not exchange.status:
                raise
        finally:
            if transport is not None:
                # At once: an endpoint may have left a part of the event unread.
                transport.abort()
        return Outcome(
            _judge(exchange.status), exchange.status, exchange.retry_after, bytes(exchange.body)
        )

    async def _addresses(self, target: Target, refusal_of: RefusalOf) -> list[Address]:
        """Return what may be dialled for a target.

        Raises:
            DeniedError: One of its addresses may not be. None of the others is used then: a name
                that leads there at all is up to no good.
        """
        found: list[Address] = []
        if isinstance(target.host, str):
            async with asyncio.timeout(LOOKUP_SECONDS_MAX):
                try:
                    found = await self._lookup.addresses(target.host)
                except OSError as error:
                    raise LookupFailedError(str(error)) from error
        else:
            found.append(target.host)
        for address in found:
            reason = refusal_of(address)
            if reason is not None:
                raise DeniedError(reason)
        return found

    async def _connect(
        self, sock: socket.socket, target: Target, exchange: Exchange
    ) -> asyncio.Transport:
        """Return a connected socket's transport, over TLS if the target asks for that."""
        loop = asyncio.get_running_loop()
        if target.scheme == "http":
            transport, _ = await loop.create_connection(lambda: exchange, sock=sock)
            return transport
        try:
            transport, _ = await loop.create_connection(
                lambda: exchange,
                sock=sock,
                ssl=self._tls,
                server_hostname=str(target.host),
                ssl_handshake_timeout=self._timeout_seconds,
            )
        except BaseException:
            # The loop would wait for the other side's goodbye.
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            raise
        return transport


async def _dial(addresses: Sequence[Address], port: int) -> socket.socket:
    """Return a connection to the first address that takes one.

    Raises:
        OSError: None does.
    """
    seconds = CONNECT_SECONDS_MAX / len(addresses)
    trouble: OSError | None = None
    for address in map(unmapped, addresses):
        family = socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
        try:
            sock = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:
            trouble = error
            continue
        try:
            sock.setblocking(False)  # noqa: FBT003 - the standard library's signature
            async with asyncio.timeout(seconds):
                await asyncio.get_running_loop().sock_connect(sock, (str(address), port))
        except OSError as error:
            sock.close()
            trouble = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    assert trouble is not None, "there is an address"
    raise trouble


def _request(target: Target, body: bytes, headers: Mapping[str, str]) -> bytes:
    """Return all of a request.

    Raises:
        ValueError: A header holds what would begin another one.
    """
    head = {"Host": target.host_header, **HEADERS, **headers, "Content-Length": str(len(body))}
    lines = [f"{name}: {value}" for name, value in head.items()]
    if not all(_HEADER.fullmatch(line) for line in lines):
        raise ValueError("a header holds a character that it can't")
    text = "\r\n".join([f"POST {target.path} HTTP/1.1", *lines, "", ""])
    return text.encode("ascii") + body


_NAMES: tuple[tuple[type[BaseException], str], ...] = (
    (DeniedError, "address_denied"),
    (LookupFailedError, "dns_error"),
    (UnicodeError, "bad_url"),  # the codec of international names refuses what no name can be
    (BadAnswerError, "bad_answer"),
    *NETWORK_ERRORS,
)


def _name(error: Exception) -> str:
    """Return the outcome that an error stands for; the first line that fits."""
    return next(name for kind, name in _NAMES if isinstance(error, kind))


def _judge(status: int) -> str:
    return "succeeded" if _SUCCESS <= status < _REDIRECT else text_of_status(status)
