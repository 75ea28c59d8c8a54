"""The loop of `meterbell listen`: wait for events, forward them, remember the last one."""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp
import msgspec
import typer
from msgspec import Raw, Struct
from rich.markup import escape

from meterbell.cli.connection import RefusedError, Target, find_target, refused, unreachable
from meterbell.cli.forward import Forwarded, Forwarder, parse_forward_to
from meterbell.cli.listen_state import ListenState, load_state
from meterbell.cli.output import EXIT_USAGE, CommandError, errors, print_text
from meterbell.clock import SystemClock
from meterbell.ids import IdSource

_WAIT_SECONDS = 25
_PAGE = 100
_PAUSE_SECONDS_MIN = 0.1
_PAUSE_SECONDS_MAX = 2.0
_RETRIED = frozenset({409, 429})
_SERVER_ERROR = 500


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for; `types` is empty for all types."""

    api_key: str | None
    api_base: str | None
    data: str
    forward_to: str | None
    types: list[str]
    since: str | None
    print_secret: bool
    verify: bool
    as_json: bool

    def find_target(self) -> Target:
        """Return the server to listen to; a restarted one may have another port."""
        return find_target(api_key=self.api_key, api_base=self.api_base, data=self.data)


class Page(Struct, frozen=True):
    """Events after a cursor, oldest first, as the bytes they came in."""

    data: list[Raw]
    has_more: bool
    cursor: str


class _Event(Struct, frozen=True):
    id: str
    type: str
    created: int


def run_listener(request: Request, *, environment: Mapping[str, str], ids: IdSource) -> None:
    """Listen until interrupted, or print the secret.

    Raises:
        CommandError: There is no such server, or it refuses.
    """
    url = parse_forward_to(request.forward_to) if request.forward_to else None
    target = request.find_target()
    state = None
    if url is not None:
        state = load_state(target, url, data=request.data, environment=environment, ids=ids)
    if request.print_secret:
        if state is None:
            raise CommandError("--print-secret needs --forward-to.", status=EXIT_USAGE)
        typer.echo(state.secret)
        return
    asyncio.run(_listen(request, target, url, state))


async def _listen(
    request: Request, target: Target, url: str | None, state: ListenState | None
) -> None:
    async with aiohttp.ClientSession() as session:
        source = _Source(session, request, target)
        saved = state.cursor if state else None
        cursor = await _first_cursor(source, request.since, saved)
        if state is not None:
            state.cursor = cursor
            state.save()
        _announce(request, target, url, state, resumed=request.since is None and saved is not None)
        forwarder = None
        if url is not None and state is not None:
            forwarder = Forwarder(
                session, url, secret=state.secret, clock=SystemClock(), verify=request.verify
            )
        while True:
            page = await source.wait_after(cursor)
            for raw in page.data:
                event = msgspec.json.decode(raw, type=_Event)
                forwarded = await _forward(forwarder, bytes(raw), url) if forwarder else None
                cursor = event.id
                if state is not None:
                    # Before printing: whoever ends us on reading the line gets no event twice.
                    state.cursor = cursor
                    state.save()
                _show(event, raw, forwarded, as_json=request.as_json)
            if page.cursor != cursor:
                # Past events of other types, so that they are not read again.
                cursor = page.cursor
                if state is not None:
                    state.cursor = cursor
                    state.save()


async def _first_cursor(source: "_Source", since: str | None, saved: str | None) -> str:
    if since == "start":
        return await source.check("")
    if since is not None and since != "now":
        return await source.check(since)
    if since is None and saved is not None:
        try:
            return await source.check(saved)
        except RefusedError as error:
            if error.param != "after":
                raise
            raise CommandError(
                f"The server does not know {saved}, where this listener stopped: its data was "
                "replaced. Begin with --since now, or with --since start for all there is."
            ) from error
    return (await source.ask({})).cursor


class _Source:
    """A meterbell server as a source of events; survives its restarts."""

    def __init__(self, session: aiohttp.ClientSession, request: Request, target: Target) -> None:
        self._session = session
        self._request = request
        self._target = target

    async def check(self, cursor: str) -> str:
        """Return the cursor if the server knows it."""
        await self.ask({"after": cursor, "limit": "1"})
        return cursor

    async def wait_after(self, cursor: str) -> Page:
        """Return the next events; wait for them, and for the server while it is away."""
        params = {"after": cursor, "limit": str(_PAGE), "wait": str(_WAIT_SECONDS)}
        params |= {f"types[{place}]": name for place, name in enumerate(self._request.types)}
        pause = _PAUSE_SECONDS_MIN
        is_told = False
        while True:
            try:
                page = await self.ask(params)
            except _AwayError as error:
                if not is_told:
                    _say(f"Lost the server at {error.url}: {error.reason}. Trying again …")
                    is_told = True
                await asyncio.sleep(pause)
                pause = min(2 * pause, _PAUSE_SECONDS_MAX)
                self._look_again()
            else:
                if is_told:
                    _say(f"Found the server again, at {self._target.url}.")
                return page

    async def ask(self, params: Mapping[str, str]) -> Page:
        """Ask once.

        Raises:
            _AwayError: The server is not there, or asks to try again.
            CommandError: It refuses.
        """
        target = self._target
        try:
            async with self._session.get(
                f"{target.url}/meterbell/events",
                params=params,
                headers={"Authorization": f"Bearer {target.key}"},
                timeout=aiohttp.ClientTimeout(total=_WAIT_SECONDS + 15, sock_connect=5),
            ) as answer:
                body = await answer.read()
                status = answer.status
                request_id = answer.headers.get("Request-Id")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _AwayError(target.url, _reason(error)) from error
        if status in _RETRIED or status >= _SERVER_ERROR:
            raise _AwayError(target.url, f"it answered {status}")
        try:
            if status != 200:  # noqa: PLR2004 - OK
                raise refused(status, msgspec.json.decode(body), request_id=request_id)
            return msgspec.json.decode(body, type=Page)
        except msgspec.MsgspecError as error:
            raise CommandError(
                f"What answers at {target.url} is no meterbell server (status {status})."
            ) from error

    def _look_again(self) -> None:
        """Follow a local server to another port."""
        try:
            self._target = self._request.find_target()
        except CommandError:
            return


class _AwayError(CommandError):
    """The server is not there now; `str` is fit for people who just started the command."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(str(unreachable(url, reason)))
        self.url = url
        self.reason = reason


def _reason(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorError):
        number = error.os_error.errno
        return os.strerror(number).lower() if number else "no connection"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return "the connection broke"


async def _forward(forwarder: Forwarder, body: bytes, url: str | None) -> Forwarded:
    """Forward until something answers: a server that is not up yet misses nothing."""
    pause = _PAUSE_SECONDS_MIN
    is_told = False
    while True:
        try:
            return await forwarder.forward(body)
        except aiohttp.ClientError as error:
            if not is_told:
                _say(f"Nothing answers at {url} ({_reason(error)}); waiting for it …")
                is_told = True
            await asyncio.sleep(pause)
            pause = min(2 * pause, _PAUSE_SECONDS_MAX)


def _announce(
    request: Request, target: Target, url: str | None, state: ListenState | None, *, resumed: bool
) -> None:
    if state is not None:
        _say(f"Forwarding {target.mode} events of {target.url} to {url}", style="bold")
        _say(f"Signing secret: {state.secret}", style="")
    else:
        _say(f"Listening to {target.mode} events of {target.url}", style="bold")
    if resumed:
        _say("Going on where it stopped; --since now would skip what happened in between.")
    if request.types:
        _say(f"Only {', '.join(request.types)}.")
    _say("Ready. Ctrl-C ends it.")


def _say(text: str, *, style: str = "dim") -> None:
    errors.print(escape(text), style=style, soft_wrap=True)


def _show(event: _Event, raw: Raw, forwarded: Forwarded | None, *, as_json: bool) -> None:
    if as_json:
        line: dict[str, Any] = {"id": event.id, "type": event.type, "created": event.created}
        if forwarded is None:
            line["event"] = raw
        else:
            line |= {"status": forwarded.status, "duration_ms": forwarded.duration_ms}
        typer.echo(msgspec.json.encode(line).decode())
        return
    moment = datetime.fromtimestamp(event.created, UTC).astimezone().strftime("%H:%M:%S")
    text = f"[dim]{moment}[/]  {event.type}  [dim]{event.id}[/]"
    if forwarded is not None:
        text += f"  → {_status(forwarded)}  [dim]{forwarded.duration_ms} ms[/]"
    print_text(text)


def _status(forwarded: Forwarded) -> str:
    match forwarded.status:
        case None:
            return "[yellow]no answer[/]"
        case status if 200 <= status < 300:  # noqa: PLR2004 - success
            return f"[green]{status}[/]"
        case status:
            return f"[red]{status}[/]"
