"""The latest meter events: what they say by a key of their payload, and those of a customer."""

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import nsmallest
from typing import NamedTuple

from meterbell.clock import Clock
from meterbell.engine.model import EventRun, Meter, MeterEvent
from meterbell.engine.rows import value_of
from meterbell.engine.state import State
from meterbell.errors import InvalidParamError
from meterbell.ids import CustomerId
from meterbell.insight.back import WayBack
from meterbell.insight.waiting import in_thread
from meterbell.store.base import Store

EVENTS_MAX = 50_000
"""Meter events that are looked at."""
_SHOWN_MAX = 20
# Of one hour.
_WALKED_MAX = 50


class Share(NamedTuple):
    """What meter events add up to that have the same text under a key.

    Attributes:
        text: None for those without the key.
        value: In units of 10^-12; None where values don't add up, because the last one counts.
    """

    text: str | None
    events: int
    value: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ByKey:
    """The latest meter events by a key of their payload, cancelled ones left out.

    Attributes:
        shares: The largest, largest first.
        others: How many texts there are beside those.
        events: It covers so many, the last ones that came.
        since: When the first of them was received, in Unix seconds; None for none.
        covers_all: Whether the log holds no earlier ones.
    """

    shares: Sequence[Share]
    others: int
    events: int
    since: int | None
    covers_all: bool


class RecentReader:
    """Reads what happened lately from one store."""

    def __init__(self, store: Store, state: State, clock: Clock) -> None:
        """Prepare.

        Args:
            store: Where the log is.
            state: Knows what was cancelled.
            clock: The present, and how much time is left.
        """
        self._store = store
        self._state = state
        self._clock = clock

    async def by_key(
        self, meter: Meter, key: str, *, events_max: int = 10_000, wait_ms: int
    ) -> ByKey:
        """Return a meter's latest events by a key of their payload.

        Args:
            meter: Whose.
            key: Neither the customer's nor the value's.
            events_max: Of the meter, at most, up to 50,000.
            wait_ms: About how long it may take.

        Raises:
            InvalidParamError: The key holds the customer or the value.
        """
        assert 1 <= events_max <= EVENTS_MAX, events_max
        if key in (meter.customer_key, meter.value_key):
            what = "customer" if key == meter.customer_key else "value"
            raise InvalidParamError(
                f"Invalid key: {key} holds the {what} of this meter's events. Choose another key "
                "of their payload.",
                param="key",
            )
        deadline_ns = self._clock.monotonic_ns() + wait_ms * 1_000_000
        before = self._store.last_sequence() + 1
        return await in_thread(self._count, meter, key, events_max, before, deadline_ns)

    async def of_customer(
        self, meters: Sequence[Meter], customer: CustomerId, *, limit: int
    ) -> list[MeterEvent]:
        """Return a customer's latest meter events by their time, cancelled ones left out.

        What it used in hours that were put away long ago is not among them, nor what the log has
        forgotten.

        Args:
            meters: Those of them.
            customer: Need not have any.
            limit: At most so many.
        """
        table, heads = self._state.table, []
        for meter in meters:
            slot = self._state.slot(meter.id, customer)
            if slot >= 0:
                hours = table.hours_of(slot).items()
                heads += [(hour, part.head) for hour, parts in hours for part in parts]
        return await in_thread(self._latest, sorted(heads, reverse=True), limit)

    def _latest(self, heads: Sequence[tuple[int, int]], limit: int) -> list[MeterEvent]:
        """Return the latest of the events in some hours, latest hour first; in a thread."""
        found: list[MeterEvent] = []
        with self._store.view_log() as view:
            for _, head in heads:
                if len(found) >= limit:
                    break
                at, walked = head, 0
                while at and walked < _WALKED_MAX and (event := view.find_event(at)) is not None:
                    if at not in self._state.cancelled:
                        found.append(event)
                    at, walked = event.previous, walked + 1
        found.sort(key=lambda event: (-event.timestamp, -event.sequence))
        return found[:limit]

    def _count(
        self, meter: Meter, key: str, events_max: int, before: int, deadline_ns: int
    ) -> ByKey:
        """Count events by what stands under a key, the latest first; in a thread."""
        found: dict[str | None, list[int]] = {}
        events, since, covers_all = 0, None, False
        with self._store.view_log() as view:
            way = WayBack(view, self._state, before)
            for run, place in way.events(lambda: self._clock.monotonic_ns() >= deadline_ns):
                if run.meters[place] != meter.id or run.sequence + place in self._state.cancelled:
                    continue
                if events == events_max:
                    break
                self._add(found, meter, key, run, place)
                events, since = events + 1, run.received_at_ms // 1000
            else:
                covers_all = way.is_at_begin
        adds_up = meter.formula != "last"
        shares = [
            Share(text, count, value if adds_up else None) for text, (count, value) in found.items()
        ]
        shown = nsmallest(
            _SHOWN_MAX, shares, key=lambda s: (-(s.value or 0), -s.events, s.text or "")
        )
        return ByKey(
            shares=shown,
            others=len(shares) - len(shown),
            events=events,
            since=since,
            covers_all=covers_all,
        )

    @staticmethod
    def _add(
        found: dict[str | None, list[int]], meter: Meter, key: str, run: EventRun, place: int
    ) -> None:
        more = run.more.get(place)
        text = more.rest.get(key) if more is not None and more.rest is not None else None
        share = found.setdefault(text, [0, 0])
        share[0] += 1
        share[1] += value_of(meter, run.values[place])
