"""One event to the server that a developer runs: where to, signed how, what came back."""

import asyncio
import re
import time
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import urlsplit

import aiohttp

from meterbell import __version__
from meterbell.cli.output import EXIT_USAGE, CommandError
from meterbell.clock import Clock
from meterbell.wire.signing import signature_header

_BODY_BYTES_MAX = 5000
_BODY_SECONDS_MAX = 1.0
_ANSWER_SECONDS_MAX = 30.0
_CONNECT_SECONDS_MAX = 5.0
_PORT = re.compile(r":?([0-9]{1,5})(/.*)?", re.ASCII)
_HEADERS = {
    "Content-Type": "application/json; charset=utf-8",
    "User-Agent": f"meterbell/{__version__} (listen)",
}


def parse_forward_to(text: str, *, option: str = "--forward-to") -> str:
    """Return the URL that a port, a host with port and path, or a URL means.

    Raises:
        CommandError: It means none.
    """
    match = _PORT.fullmatch(text)
    if match:
        url = f"http://localhost:{match[1]}{match[2] or ''}"
    else:
        url = text if "://" in text else f"http://{text}"
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname)
        if is_address and parts.port != 0 and not any(map(str.isspace, url)):
            return parts._replace(path=parts.path or "/", fragment="").geturl()
    except ValueError:
        pass  # no port, or a broken IPv6 address
    raise CommandError(
        f"{option} is no address: {text}. Give a port, host:port/path or a URL, such as 4242, "
        "localhost:4242/webhook or http://localhost:4242/webhook.",
        status=EXIT_USAGE,
    )


class Forwarded(NamedTuple):
    """What a forwarded event met.

    Attributes:
        status: None if no answer came in time.
        body: The beginning of the answer's.
    """

    status: int | None
    duration_ms: int
    body: str = ""


class Forwarder:
    """Posts signed events."""

    def __init__(
        self, session: aiohttp.ClientSession, *, secret: str, clock: Clock, verify: bool
    ) -> None:
        """Prepare.

        Args:
            session: To connect with.
            secret: What to sign with.
            clock: The present, for signatures.
            verify: Whether a certificate must be valid; a developer's own often is not.
        """
        self._session = session
        self._secret = secret
        self._clock = clock
        self._verify = verify

    async def forward(self, url: str, body: bytes) -> Forwarded:
        """Post one event.

        Raises:
            aiohttp.ClientError: There is no connection, or it broke before an answer came.
        """
        timestamp = self._clock.now_ms() // 1000
        signature = signature_header([self._secret], timestamp=timestamp, body=body)
        begun = time.perf_counter()
        status: int | None = None
        answered = b""
        try:
            async with self._session.post(
                url,
                data=body,
                headers={**_HEADERS, "Stripe-Signature": signature},
                allow_redirects=False,
                ssl=self._verify,
                timeout=aiohttp.ClientTimeout(
                    total=_ANSWER_SECONDS_MAX, sock_connect=_CONNECT_SECONDS_MAX
                ),
            ) as answer:
                status = answer.status
                # Whatever becomes of the body, the event was answered.
                with suppress(aiohttp.ClientError, TimeoutError):
                    async with asyncio.timeout(_BODY_SECONDS_MAX):
                        answered = await answer.content.read(_BODY_BYTES_MAX)
        except aiohttp.ConnectionTimeoutError:
            raise
        except asyncio.TimeoutError:  # noqa: UP041 - reads as what it is here
            # The event was delivered; whoever has it takes long, perhaps in a debugger.
            status = None
        milliseconds = round((time.perf_counter() - begun) * 1000)
        return Forwarded(status, milliseconds, answered.decode(errors="replace"))
