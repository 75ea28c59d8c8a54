"""Meter events as they came, latest first: pages through the log, each of which looks at so much.

No index leads from a meter or a customer to events, and none is needed: whoever looks for something
rare is told how far was looked, and may have the search go on from there.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

from meterbell.engine.model import EventRow, MeterEvent
from meterbell.engine.state import State
from meterbell.ids import CustomerId, MeterId
from meterbell.insight.back import WayBack
from meterbell.insight.waiting import in_thread
from meterbell.store.base import Store

EVENTS_MAX = 50_000
"""Meter events that are looked at for one page, give or take a row of the log."""


class Wanted(NamedTuple):
    """Which meter events to show.

    Attributes:
        meter: Only of this one; None for all of the mode.
        customer: Only of this one; None for all.
    """

    livemode: bool
    meter: MeterId | None = None
    customer: CustomerId | None = None


class Came(NamedTuple):
    """A meter event, when it was received, and whether it was cancelled since."""

    sequence: int
    row: EventRow
    received_at_ms: int
    is_cancelled: bool


@dataclass(frozen=True, slots=True)
class FeedPage:
    """One page.

    Attributes:
        events: Latest first.
        older: The page after this one begins before this place; 0 if the log ends here.
        looked_at: So many meter events were looked at.
        since_ms: When the first of these was received; 0 if there is none.
        is_cut: Whether it is not full because enough was looked at.
    """

    events: list[Came]
    older: int
    looked_at: int
    since_ms: int
    is_cut: bool


class FeedReader:
    """Reads what came."""

    def __init__(self, store: Store, state: State) -> None:
        """Prepare.

        Args:
            store: Where the log is.
            state: Knows meters, identifiers, and what was cancelled.
        """
        self._store = store
        self._state = state

    def by_identifier(self, identifier: str, *, livemode: bool) -> MeterEvent | None:
        """Return the meter event with an identifier that still counts once (C2), by the index."""
        found: list[MeterEvent] = []

        def matches(sequence: int) -> bool:
            event = self._store.find_event(sequence)
            if event is None or (event.identifier, event.livemode) != (identifier, livemode):
                return False
            found.append(event)
            return True

        self._state.identifiers[livemode].find(identifier, matches)
        return found[0] if found else None

    async def page(self, wanted: Wanted, *, before: int | None = None, limit: int) -> FeedPage:
        """Return the latest meter events before a place in commit order.

        Args:
            wanted: Which ones.
            before: A sequence, or `older` of the page before; None for the end of the log.
            limit: Events at most.
        """
        meters = [wanted.meter] if wanted.meter else self._meters(livemode=wanted.livemode)
        end = self._store.last_sequence() + 1 if before is None else before
        return await in_thread(self._read, frozenset(meters), wanted.customer, end, limit)

    def _meters(self, *, livemode: bool) -> list[MeterId]:
        return [meter.id for meter in self._state.meters.values() if meter.livemode == livemode]

    def _read(
        self, meters: Collection[MeterId], customer: CustomerId | None, end: int, limit: int
    ) -> FeedPage:
        """Read back from a place; in a thread."""
        found: list[Came] = []
        with self._store.view_log() as view:
            way = WayBack(view, self._state, end)
            for run, place in way.events(lambda: way.looked_at >= EVENTS_MAX):
                if run.meters[place] not in meters or customer not in (None, run.customers[place]):
                    continue
                if len(found) == limit:
                    older = found[-1].sequence
                    return FeedPage(found, older, way.looked_at, way.since_ms, is_cut=False)
                sequence = run.sequence + place
                cancelled = sequence in self._state.cancelled
                found.append(Came(sequence, run.row(place), run.received_at_ms, cancelled))
        is_cut = not way.is_at_begin
        older = way.reached if is_cut else 0
        return FeedPage(found, older, way.looked_at, way.since_ms, is_cut)
