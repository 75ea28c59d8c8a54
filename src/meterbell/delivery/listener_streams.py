"""What a listener is told: events, thin events, and events again, each stream with its window."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

from meterbell.clock import Clock
from meterbell.delivery.window import Window
from meterbell.records import Event, Listener, ListenerResend, ThinEvent
from meterbell.store import tables
from meterbell.store.objects import Objects
from meterbell.wire.events import event_body
from meterbell.wire.signing import signature_header
from meterbell.wire.stripecli import AGAIN, FIRST, render_snapshot, render_thin
from meterbell.wire.versions import DEFAULT_API_VERSION

WEBHOOKS, THIN, REQUESTS = "webhooks", "v2_events", "request_logs"
FEATURES = (WEBHOOKS, THIN, REQUESTS)

KEPT_SECONDS = 24 * 60 * 60
"""How old an event may be that still waits for a listener which does not resume by itself."""

BEHIND_MAX = 10_000
"""How many events, of both modes, may wait for such a listener."""

_PAGE = 100
# How the keys of acknowledgements begin; those of thin events are their ids.
_FIRST_KEY, _AGAIN_KEY, _THIN_KEY = "w", "r", "evt_"
_resend = tables.listener_resend.c


class Frames(NamedTuple):
    """An event as a listener is told of it: its frames by the keys of their acknowledgements."""

    event_type: str
    by_key: dict[str, Callable[[], bytes]]


class Found(NamedTuple):
    """A place in a stream, and what to tell there; None if that is nothing."""

    number: int
    frames: Frames | None


class Stream(NamedTuple):
    """What comes after a number, in its order, and what of it is on its way."""

    window: Window
    find_after: Callable[[int], list[Found]]
    cursor_name: str

    async def frames(self, *, now: float) -> AsyncIterator[bytes]:
        """Yield the frames to be sent now; each is made, and signed, when it is asked for."""
        room = self.window.room(now=now)
        while room > 0:
            found = self.find_after(self.window.scanned)
            for place in found:
                if place.frames is None:
                    self.window.skip(place.number)
                    continue
                if room <= 0:
                    return
                room -= 1
                by_key = place.frames.by_key
                for key in self.window.add(place.number, place.frames.event_type, list(by_key)):
                    yield by_key[key]()
            if len(found) < _PAGE:
                return
            await asyncio.sleep(0)  # much may lie between two events that are wanted


def open_streams(
    listener: Listener, objects: Objects, *, clock: Clock, secret: str
) -> list[Stream]:
    """Return the streams of a listener, from where it stopped.

    Args:
        listener: As stored last.
        objects: Reads what is committed.
        clock: The present.
        secret: What events are signed with.
    """
    source = _Source(listener, objects, clock, secret)

    def window(cursor: int, key_begin: str, forward_to: str | None) -> Window:
        done = [key for key in listener.done if key.startswith(key_begin)]
        return Window(cursor, done=done, expects_answers=forward_to is not None)

    streams = []
    if WEBHOOKS in listener.features:
        cursor = source.begin(Event, listener.event_cursor)
        events = window(cursor, _FIRST_KEY, listener.forward_to)
        resends = window(listener.resend_cursor, _AGAIN_KEY, listener.forward_to)
        streams.append(Stream(events, source.events_after, "event_cursor"))
        streams.append(Stream(resends, source.resends_after, "resend_cursor"))
    if THIN in listener.features:
        cursor = source.begin(ThinEvent, listener.thin_cursor)
        thin = window(cursor, _THIN_KEY, listener.thin_forward_to)
        streams.append(Stream(thin, source.thin_after, "thin_cursor"))
    return streams


class _Source:
    """The database as one listener sees it."""

    def __init__(self, listener: Listener, objects: Objects, clock: Clock, secret: str) -> None:
        self._listener = listener
        self._objects = objects
        self._clock = clock
        self._secret = secret

    def begin(self, record: type[Event | ThinEvent], cursor: int) -> int:
        """Return where to begin: not too far behind, unless the listener knows where it stopped."""
        if self._listener.resumes:
            return cursor
        return max(cursor, self._objects.newest_number(record) - BEHIND_MAX)

    def events_after(self, number: int) -> list[Found]:
        """Return the next events, as the listener is told of them."""
        return [
            Found(event.number, self._snapshot(event))
            for event in self._objects.fetch_after(Event, number, limit=_PAGE)
        ]

    def thin_after(self, number: int) -> list[Found]:
        """Return the next thin events, as the listener is told of them."""
        return [
            Found(event.number, self._thin(event))
            for event in self._objects.fetch_after(ThinEvent, number, limit=_PAGE)
        ]

    def resends_after(self, number: int) -> list[Found]:
        """Return the next events that are sent again."""
        found = []
        for resend in self._objects.find(
            ListenerResend,
            _resend.listener == self._listener.id,
            _resend.number > number,
            order_by=_resend.number,
            limit=_PAGE,
        ):
            event = self._objects.get(Event, resend.event, livemode=self._listener.livemode)
            frames = None
            if event is not None:
                frames = self._frames(event, f"{_AGAIN_KEY}{resend.number}", webhook=AGAIN)
            found.append(Found(resend.number, frames))
        return found

    def _snapshot(self, event: Event) -> Frames | None:
        if not self._is_wanted(event.type, livemode=event.livemode, created=event.created):
            return None
        return self._frames(event, f"{_FIRST_KEY}{event.number}", webhook=FIRST)

    def _frames(self, event: Event, key: str, *, webhook: str) -> Frames:
        def frame(key: str, api_version: str | None) -> bytes:
            payload = event_body(event, api_version=api_version)
            return render_snapshot(
                webhook=webhook,
                conversation=key,
                payload=payload,
                signature=self._sign(payload),
                api_version=api_version,
            )

        by_key = {key: lambda: frame(key, None)}
        if not self._listener.resumes:
            # The CLI does not say which of the two it is going to drop.
            latest = f"{key}v"
            by_key[latest] = lambda: frame(latest, DEFAULT_API_VERSION)
        return Frames(event.type, by_key)

    def _thin(self, event: ThinEvent) -> Frames | None:
        created = event.created_ms // 1000
        if not self._is_wanted(event.type, livemode=event.livemode, created=created):
            return None

        def frame() -> bytes:
            payload = event_body(event, api_version=None)
            return render_thin(payload=payload, signature=self._sign(payload))

        return Frames(event.type, {event.id: frame})

    def _is_wanted(self, event_type: str, *, livemode: bool, created: int) -> bool:
        listener = self._listener
        if livemode != listener.livemode:
            return False
        if not listener.resumes and created < self._clock.now_ms() // 1000 - KEPT_SECONDS:
            return False
        return not listener.types or any(_fits(event_type, pattern) for pattern in listener.types)

    def _sign(self, payload: bytes) -> str:
        timestamp = self._clock.now_ms() // 1000
        return signature_header([self._secret], timestamp=timestamp, body=payload)


def _fits(event_type: str, pattern: str) -> bool:
    """Return whether a type fits a pattern such as `billing.*`."""
    if pattern.endswith("*"):
        return event_type.startswith(pattern[:-1])
    return event_type == pattern
