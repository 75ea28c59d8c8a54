"""One attempt: a signed POST, and what came of it.

One deadline covers everything from the name lookup to the answer's last byte. Redirects are not
followed, answers are not unpacked, cookies are not kept, proxies of the environment are not used.
"""

import asyncio
import errno
import socket
import ssl
from types import TracebackType
from typing import Self

import aiohttp
import structlog

from meterbell import __version__
from meterbell.delivery.lookup import Lookup, ThreadResolver
from meterbell.delivery.outcome import Outcome

READ_BYTES_MAX = 128 * 1024
KEPT_BYTES_MAX = 64 * 1024
_HEADER_BYTES_MAX = 8 * 1024
_HEADERS_MAX = 100
_USER_AGENT = f"meterbell/{__version__} (webhooks)"
_SUCCESS, _REDIRECT, _CLIENT_ERROR = 200, 300, 400
_LAST_SECONDS = 0.05

logger = structlog.get_logger(__name__)


class Sender:
    """Makes attempts; an async context manager that owns the connections."""

    def __init__(self, *, timeout_seconds: float, lookup: Lookup = socket.getaddrinfo) -> None:
        """Prepare.

        Args:
            timeout_seconds: For one attempt, all included.
            lookup: Finds the addresses of a name.
        """
        self._lookup = lookup
        self._timeout_seconds = timeout_seconds
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=_connector(self._lookup),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            timeout=aiohttp.ClientTimeout(total=None),
            max_line_size=_HEADER_BYTES_MAX,
            max_field_size=_HEADER_BYTES_MAX,
            max_headers=_HEADERS_MAX,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._session is not None
        await self._session.close()

    async def send(self, url: str, *, body: bytes, signature: str) -> Outcome:
        """Post one event and return what came of it; raises nothing."""
        deadline = asyncio.get_running_loop().time() + self._timeout_seconds
        try:
            async with asyncio.timeout_at(deadline):
                return await self._post(url, body, signature, deadline)
        except (TimeoutError, aiohttp.ClientError, OSError, UnicodeError) as error:
            return Outcome(_name(error))
        except Exception:
            logger.exception("attempt failed unexpectedly")
            return Outcome("internal_error")

    async def _post(self, url: str, body: bytes, signature: str, deadline: float) -> Outcome:
        assert self._session is not None
        headers = {
            "Accept": "*/*",
            "Accept-Encoding": "identity",
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": signature,
            "User-Agent": _USER_AGENT,
        }
        answer = await self._session.post(url, data=body, headers=headers, allow_redirects=False)
        try:
            kept = await _read(answer, deadline)
        finally:
            # At once: an endpoint may have answered without reading the whole event.
            answer.close()
        return Outcome(
            _judge(answer.status), answer.status, answer.headers.get("Retry-After"), kept
        )


def _connector(lookup: Lookup) -> aiohttp.TCPConnector:
    """Return what makes connections; lanes bound how many.

    Each attempt has a fresh one: one that the other side has closed meanwhile would look like a
    failed attempt, and the event would wait for its retry.
    """
    return aiohttp.TCPConnector(limit=0, force_close=True, resolver=ThreadResolver(lookup))


_NAMES: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    ((aiohttp.ClientConnectorDNSError,), "dns_error"),
    ((aiohttp.ClientSSLError, ssl.SSLError), "tls_error"),
    # The codec of international names refuses what no name can be, such as `a..b`.
    ((aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError, UnicodeError), "bad_url"),
    ((aiohttp.ClientResponseError, aiohttp.ClientPayloadError), "bad_answer"),
    ((TimeoutError,), "timeout"),
    ((aiohttp.ServerDisconnectedError, ConnectionResetError, BrokenPipeError), "connection_closed"),
    ((aiohttp.ClientError, OSError), "connection_failed"),
)
_ERROR_NUMBERS = {
    errno.ECONNREFUSED: "connection_refused",
    errno.ECONNRESET: "connection_closed",
    errno.EPIPE: "connection_closed",
}


def _name(error: Exception) -> str:
    """Return the outcome that an error stands for; the first line that fits."""
    name = next(name for types, name in _NAMES if isinstance(error, types))
    if name == "connection_failed" and isinstance(error, OSError):
        return _ERROR_NUMBERS.get(error.errno or 0, name)
    return name


def _judge(status: int) -> str:
    if _SUCCESS <= status < _REDIRECT:
        return "succeeded"
    return "redirect" if _REDIRECT <= status < _CLIENT_ERROR else f"status_{status}"


async def _read(answer: aiohttp.ClientResponse, deadline: float) -> bytes:
    """Return the first bytes of an answer's body; the status decides, even if the body never ends.

    Reading stops a little before the attempt's own deadline, so that the status is not lost to it.
    """
    kept = bytearray()
    read = 0
    try:
        async with asyncio.timeout_at(deadline - _LAST_SECONDS):
            async for chunk in answer.content.iter_any():
                read += len(chunk)
                kept += chunk[: max(KEPT_BYTES_MAX - len(kept), 0)]
                if read >= READ_BYTES_MAX:
                    break
    except (TimeoutError, aiohttp.ClientError, OSError):
        pass
    return bytes(kept)
