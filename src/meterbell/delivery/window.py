"""What is on its way to a listener: sent, acknowledged, answered. Pure.

A listener's stream is a numbered sequence of events. Each goes out as one or more frames, and each
frame is acknowledged by its key, in any order. The cursor is the number up to which nothing is
missing any more, so a listener that comes back gets the rest and nothing else.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

SLOTS = 20
"""Events in flight: a small server of a developer's must not get hundreds at a time."""

HOLD_SECONDS = 10.0
"""How long an acknowledged event keeps its slot while the listener's local server is at work."""

FIRST_HOLD_SECONDS = 2.0
"""The same for types of which no answer was ever seen: the listener may hold them back."""

MISSES_MAX = 20
"""Events of one type without an answer, after which none is expected for that type."""

_LATE_MAX = 1000


@dataclass(slots=True)
class _Sent:
    """An event in flight.

    Attributes:
        number: Its place in the stream.
        event_type: Such as `customer.created`.
        keys: Of its frames.
        missing: Those not acknowledged.
        is_answered: Whether the local server's answer came.
        held_until: When the slot is free even so; None as long as a frame is missing.
    """

    number: int
    event_type: str
    keys: tuple[str, ...]
    missing: set[str]
    is_answered: bool = False
    held_until: float | None = None


class Window:
    """The events of one stream that a listener was sent and is not done with."""

    def __init__(self, cursor: int, *, done: Collection[str] = (), expects_answers: bool) -> None:
        """Begin where the listener stopped.

        Args:
            cursor: Nothing up to this number is missing.
            done: Keys of frames past the cursor that are acknowledged.
            expects_answers: Whether the listener posts events to a server, whose answers it tells.
        """
        self.scanned = cursor
        self._done = set(done)
        self._expects_answers = expects_answers
        self._open: dict[int, _Sent] = {}
        self._by_key: dict[str, _Sent] = {}
        self._holding: dict[int, _Sent] = {}
        self._misses: dict[str, int] = {}
        self._answered: set[str] = set()
        self._late: dict[str, str] = {}

    @property
    def cursor(self) -> int:
        """Number up to which nothing is missing."""
        return next(iter(self._open)) - 1 if self._open else self.scanned

    @property
    def done(self) -> list[str]:
        """Keys of acknowledged frames past the cursor."""
        seen = (key for s in self._open.values() for key in s.keys if key not in s.missing)
        return [*self._done, *seen]

    @property
    def is_waiting(self) -> bool:
        """Whether a frame was sent and not acknowledged."""
        return any(sent.missing for sent in self._open.values())

    def skip(self, number: int) -> None:
        """Pass over a number that the listener is not told of."""
        self.scanned = number

    def add(self, number: int, event_type: str, keys: Sequence[str]) -> list[str]:
        """Take an event in; return the keys of the frames to be sent now.

        Args:
            number: Higher than any before.
            event_type: Such as `customer.created`.
            keys: One for each frame; no other event has them.
        """
        assert number > self.scanned, "events come in their order"
        self.scanned = number
        missing = [key for key in keys if key not in self._done]
        self._done.difference_update(keys)
        sent = _Sent(number, event_type, tuple(keys), set(missing))
        self._open[number] = sent
        if missing:
            self._holding[number] = sent
            self._by_key |= dict.fromkeys(keys, sent)
        self._move()
        return missing

    def acknowledge(self, key: str, *, now: float) -> bool:
        """Take an acknowledgement in; return whether it was news."""
        sent = self._by_key.get(key)
        if sent is None or key not in sent.missing:
            return False
        sent.missing.discard(key)
        if not sent.missing:
            is_known = sent.event_type in self._answered
            sent.held_until = now + (HOLD_SECONDS if is_known else FIRST_HOLD_SECONDS)
            self._release_if_done(sent)
            self._move()
        return True

    def answer(self, key: str) -> None:
        """Take in that the local server answered an event, whatever it answered."""
        sent = self._by_key.get(key)
        event_type = self._late.pop(key, None) if sent is None else sent.event_type
        if event_type is not None:
            self._answered.add(event_type)
            self._misses.pop(event_type, None)
        if sent is not None:
            sent.is_answered = True
            self._release_if_done(sent)

    def room(self, *, now: float) -> int:
        """Return how many more events may be sent now."""
        late = [
            s for s in self._holding.values() if s.held_until is not None and s.held_until <= now
        ]
        for sent in late:
            self._misses[sent.event_type] = self._misses.get(sent.event_type, 0) + 1
            self._release(sent)
            self._late |= dict.fromkeys(sent.keys, sent.event_type)
        while len(self._late) > _LATE_MAX:
            del self._late[next(iter(self._late))]
        return SLOTS - len(self._holding)

    def room_at(self) -> float | None:
        """Return when there is room even if nothing happens; None if something must."""
        times = [s.held_until for s in self._holding.values() if s.held_until is not None]
        return min(times, default=None)

    def _release_if_done(self, sent: _Sent) -> None:
        is_expected = (
            self._expects_answers
            and not sent.is_answered
            and self._misses.get(sent.event_type, 0) < MISSES_MAX
        )
        if not sent.missing and not is_expected:
            self._release(sent)

    def _release(self, sent: _Sent) -> None:
        """Free an event's slot; nothing more is to come of it."""
        if self._holding.pop(sent.number, None) is not None:
            for key in sent.keys:
                del self._by_key[key]

    def _move(self) -> None:
        """Move the cursor over what is acknowledged."""
        while self._open:
            number, first = next(iter(self._open.items()))
            if first.missing:
                return
            del self._open[number]
