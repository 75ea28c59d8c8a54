"""The loop of `meterbell listen`: take events in, forward them, remember the last one."""

import asyncio
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp
import msgspec
import typer
from msgspec import Raw
from rich.markup import escape

from meterbell.cli.connection import RefusedError, Target, find_target
from meterbell.cli.forward import Forwarded, Forwarder, parse_forward_to
from meterbell.cli.listen_session import (
    NOW,
    START,
    Answered,
    Begun,
    ListenSession,
    Received,
    Wishes,
    reason_of,
)
from meterbell.cli.listen_state import ListenState, load_state
from meterbell.cli.output import CommandError, errors, print_text
from meterbell.clock import SystemClock

_SNAPSHOTS, _THIN = "webhooks", "v2_events"
_PAUSE_SECONDS_MIN = 0.1
_PAUSE_SECONDS_MAX = 2.0


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for; `types` is empty for all types."""

    api_key: str | None
    api_base: str | None
    data: str
    forward_to: str | None
    forward_thin_to: str | None
    types: list[str]
    since: str | None
    print_secret: bool
    verify: bool
    as_json: bool

    def find_target(self) -> Target:
        """Return the server to listen to; a restarted one may have another port."""
        return find_target(api_key=self.api_key, api_base=self.api_base, data=self.data)


def run_listener(request: Request, *, environment: Mapping[str, str]) -> None:
    """Listen until interrupted, or print the secret.

    Raises:
        CommandError: There is no such server, or it refuses.
    """
    url = thin_url = None
    if request.forward_to:
        url = parse_forward_to(request.forward_to)
    if request.forward_thin_to:
        thin_url = parse_forward_to(request.forward_thin_to, option="--forward-thin-to")
    features = [feature for feature, to in ((_SNAPSHOTS, url), (_THIN, thin_url)) if to is not None]
    wishes = Wishes(
        features=features or [_SNAPSHOTS, _THIN],
        forward_to=url,
        thin_forward_to=thin_url,
        types=request.types,
        device_name=socket.gethostname(),
    )
    state = None
    if features:
        # What is forwarded to one address is one listener, whatever else is forwarded elsewhere.
        addresses = url if thin_url is None else f"{url}\n{thin_url}"
        state = load_state(
            request.find_target(), addresses or "", data=request.data, environment=environment
        )
    asyncio.run(_listen(request, wishes, state))


async def _listen(request: Request, wishes: Wishes, state: ListenState | None) -> None:
    async with aiohttp.ClientSession() as http:
        session = ListenSession(http, wishes, find_target=request.find_target, say=_say)
        begun = await _begin(session, request, wishes, state)
        if request.print_secret:
            typer.echo(begun.secret)
            return
        resumed = request.since is None and state is not None and state.cursor is not None
        _announce(request.find_target(), wishes, begun, resumed=resumed)
        _remember(session, state)
        forwarder = Forwarder(http, secret=begun.secret, clock=SystemClock(), verify=request.verify)
        addresses = {False: wishes.forward_to, True: wishes.thin_forward_to}

        async def handle(event: Received) -> Answered | None:
            address = addresses[event.is_thin]
            forwarded = await _forward(forwarder, address, event) if address else None
            if not event.is_again:
                if event.is_thin:
                    session.thin_cursor = event.id
                else:
                    session.cursor = event.id
                # Before printing: whoever ends us on reading the line gets no event twice.
                _remember(session, state)
            _show(event, forwarded, as_json=request.as_json)
            if address is None or forwarded is None or forwarded.status is None:
                return None
            return Answered(address, forwarded.status, forwarded.body)

        await session.run(handle)


async def _begin(
    session: ListenSession, request: Request, wishes: Wishes, state: ListenState | None
) -> Begun:
    """Begin where it was asked to, or else where the listener stopped."""
    since = request.since
    if since in (START, NOW):
        return await session.begin(since, since)
    if since is not None and wishes.features == [_THIN]:
        return await session.begin(NOW, since)
    if since is not None:
        return await session.begin(since, NOW)
    if state is None or request.print_secret:
        return await session.begin(NOW, NOW)
    try:
        return await session.begin(state.cursor or NOW, state.thin_cursor or NOW)
    except RefusedError as error:
        if error.param not in ("since", "thin_since"):
            raise
        stopped = state.cursor if error.param == "since" else state.thin_cursor
        raise CommandError(
            f"The server does not know {stopped}, where this listener stopped: its data was "
            "replaced. Begin with --since now, or with --since start for all there is."
        ) from error


def _remember(session: ListenSession, state: ListenState | None) -> None:
    if state is not None:
        state.cursor, state.thin_cursor = session.cursor, session.thin_cursor
        state.save()


async def _forward(forwarder: Forwarder, url: str, event: Received) -> Forwarded:
    """Forward until something answers: a server that is not up yet misses nothing."""
    pause = _PAUSE_SECONDS_MIN
    is_told = False
    while True:
        try:
            return await forwarder.forward(url, event.body)
        except aiohttp.ClientError as error:
            if not is_told:
                _say(f"Nothing answers at {url} ({reason_of(error)}); waiting for it …")
                is_told = True
            await asyncio.sleep(pause)
            pause = min(2 * pause, _PAUSE_SECONDS_MAX)


def _announce(target: Target, wishes: Wishes, begun: Begun, *, resumed: bool) -> None:
    if wishes.forward_to is not None:
        text = f"Forwarding {target.mode} events of {target.url} to {wishes.forward_to}"
        _say(text, style="bold")
    if wishes.thin_forward_to is not None:
        text = f"Forwarding {target.mode} thin events of {target.url} to {wishes.thin_forward_to}"
        _say(text, style="bold")
    if wishes.forward_to is None and wishes.thin_forward_to is None:
        _say(f"Listening to {target.mode} events of {target.url}", style="bold")
    else:
        _say(f"Signing secret: {begun.secret}", style="")
    if resumed:
        _say("Going on where it stopped; --since now would skip what happened in between.")
    if wishes.types:
        _say(f"Only {', '.join(wishes.types)}.")
    _say("Ready. Ctrl-C ends it.")


def _say(text: str, style: str = "dim") -> None:
    errors.print(escape(text), style=style, soft_wrap=True)


def _show(event: Received, forwarded: Forwarded | None, *, as_json: bool) -> None:
    if as_json:
        line: dict[str, Any] = {"id": event.id, "type": event.type, "created": event.created}
        if forwarded is None:
            line["event"] = Raw(event.body)
        else:
            line |= {"status": forwarded.status, "duration_ms": forwarded.duration_ms}
        typer.echo(msgspec.json.encode(line).decode())
        return
    text = f"[dim]{_moment(event.created)}[/]  {event.type}  [dim]{event.id}[/]"
    if forwarded is not None:
        text += f"  → {_status(forwarded)}  [dim]{forwarded.duration_ms} ms[/]"
    print_text(text)


def _moment(created: int | str) -> str:
    """Return when an event was made, on the local clock."""
    if isinstance(created, int):
        moment = datetime.fromtimestamp(created, UTC)
    else:
        moment = datetime.fromisoformat(created)
    return moment.astimezone().strftime("%H:%M:%S")


def _status(forwarded: Forwarded) -> str:
    match forwarded.status:
        case None:
            return "[yellow]no answer[/]"
        case status if 200 <= status < 300:  # noqa: PLR2004 - success
            return f"[green]{status}[/]"
        case status:
            return f"[red]{status}[/]"
