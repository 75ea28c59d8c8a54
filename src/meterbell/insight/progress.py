"""Customers by how far they are towards an alert's threshold, read while usage goes on.

The counter table changes on the event loop only, so it is read there, some thousand counters at a
time. What is shown is looked at once more, so it is exact; only whether somebody else should have
been shown may be a little older, where there is very much to read.
"""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Generic, NamedTuple, TypeVar

from meterbell.clock import Clock
from meterbell.engine.alerts import ScopeAlerts
from meterbell.engine.model import Alert
from meterbell.engine.progress import Progress, Standings, nearest, progress_of
from meterbell.engine.state import State
from meterbell.errors import InvalidParamError
from meterbell.ids import AlertId, CustomerId, MeterId
from meterbell.insight.resting import Reading

T = TypeVar("T")

LIMIT_MAX = 100
"""Customers that are told at once."""

# What is read before others get their turn, 3 ms at most: counters, or customers with alerts of
# their own.
_AT_ONCE = 4096
_SCOPES_AT_ONCE = 500
# Customers whose standings are kept, 25 bytes each.
_KEPT_MAX = 4_000_000
_NEAREST_READ_MAX = 5_000_000
_NEAREST_KEPT_MAX = 32


class ProgressPage(NamedTuple):
    """Customers by their progress, furthest first, and whether more follow."""

    items: list[Progress]
    has_more: bool


class Nearest(NamedTuple):
    """The customers nearest to a threshold, nearest first.

    Attributes:
        complete: Whether all were looked at; else there are too many alerts and customers.
    """

    items: list[Progress]
    complete: bool


class _Asked(NamedTuple):
    """Whose nearest customers are wanted, see `ProgressReader.nearest`."""

    livemode: bool
    meter: MeterId | None
    limit: int


class _Kept(NamedTuple, Generic[T]):
    """Something, and what it was read from.

    Attributes:
        version: Of the state.
    """

    found: T
    version: tuple[int, int]
    reading: Reading


class ProgressReader:
    """Reads progress from one state.

    Attributes:
        readings: How often somebody looked for the nearest.
    """

    def __init__(
        self,
        state: State,
        clock: Clock,
        *,
        kept_max: int = _KEPT_MAX,
        nearest_read_max: int = _NEAREST_READ_MAX,
    ) -> None:
        """Prepare.

        Args:
            state: What usage is decided against.
            clock: To measure how long reading takes.
            kept_max: Customers whose standings are kept, over all alerts.
            nearest_read_max: Counters that `nearest` reads at most.
        """
        self._state = state
        self._clock = clock
        self._kept_max = kept_max
        self._nearest_read_max = nearest_read_max
        self._kept: dict[AlertId, _Kept[Standings]] = {}
        self._reading = asyncio.Lock()
        self.readings = 0
        self._nearest: dict[_Asked, _Kept[Nearest]] = {}
        self._reading_nearest: asyncio.Task[_Kept[Nearest]] | None = None

    async def towards(
        self, alert: Alert, *, limit: int, waiting: bool = False, after: CustomerId | None = None
    ) -> ProgressPage:
        """Return the customers with usage that an alert watches, furthest first.

        An archived alert watches nobody. Deleted customers are left out.

        Args:
            alert: As it is now.
            limit: Customers at most, up to 100.
            waiting: Whether to leave out those for whom it fired.
            after: Begin behind this customer, as far as that one is now.

        Raises:
            InvalidParamError: `after` is no customer.
        """
        assert 1 <= limit <= LIMIT_MAX, limit
        if after is not None:
            _require_customer(self._state, alert, after)
        if alert.status == "archived":
            return ProgressPage([], has_more=False)
        async with self._reading:
            standings = await self._standings(alert)
            found = standings.furthest(self._state, limit + 1, waiting=waiting, after=after)
        return ProgressPage(found[:limit], has_more=len(found) > limit)

    async def nearest(self, *, livemode: bool, limit: int, meter: MeterId | None = None) -> Nearest:
        """Return the customers nearest to a threshold that an alert may still fire for them.

        Args:
            livemode: In which mode.
            limit: Customers at most, up to 100.
            meter: Only alerts on this meter; None for all meters.
        """
        assert 1 <= limit <= LIMIT_MAX, limit
        asked = _Asked(livemode, meter, limit)
        kept = self._nearest.get(asked)
        if kept is None or (kept.version != self._version and kept.reading.is_quick):
            kept = await self._read_nearest(asked)
        elif kept.version != self._version and self._is_rested(kept.reading) and self._may_look():
            # Nobody waits: what was found the last time is shown, as far as it is now.
            self._reading_nearest = asyncio.create_task(self._read_nearest(asked))
        now = [
            progress_of(self._state, self._state.alerts[item.alert.id], item.customer)
            for item in kept.found.items
            if self._may_fire(item)
        ]
        return Nearest(
            nearest([item for item in now if not item.triggered], limit), kept.found.complete
        )

    def _may_fire(self, item: Progress) -> bool:
        """Return whether an alert may still fire for a customer."""
        alert = self._state.alerts[item.alert.id]
        return (
            alert.status == "active"
            and self._state.meters[alert.meter].status == "active"
            and item.customer in self._state.customers[alert.livemode]
        )

    def _may_look(self) -> bool:
        """Return whether nobody looks for the nearest now."""
        return self._reading_nearest is None or self._reading_nearest.done()

    def _is_rested(self, reading: Reading) -> bool:
        return reading.is_rested(self._clock.monotonic_ns())

    async def _read_nearest(self, asked: _Asked) -> _Kept[Nearest]:
        version, begun_ns = self._version, self._clock.monotonic_ns()
        found = await self._look_for_nearest(asked)
        now_ns = self._clock.monotonic_ns()
        kept = _Kept(found, version, Reading(now_ns, now_ns - begun_ns))
        if len(self._nearest) >= _NEAREST_KEPT_MAX:
            self._nearest.clear()
        self._nearest[asked] = kept
        self.readings += 1
        return kept

    async def _look_for_nearest(self, asked: _Asked) -> Nearest:
        livemode, meter, limit = asked
        found: list[Progress] = []
        read = 0
        for alert in list(_any_customer_alerts(self._state, livemode=livemode, meter=meter)):
            if read > self._nearest_read_max:
                return Nearest(nearest(found, limit), complete=False)
            async with self._reading:
                standings = await self._standings(alert)
                found += standings.furthest(self._state, limit, waiting=True)
            found = nearest(found, limit)
            read += len(standings)
        scopes = _own_scopes(self._state, livemode=livemode, meter=meter)
        for start in range(0, len(scopes), _SCOPES_AT_ONCE):
            if read > self._nearest_read_max:
                return Nearest(found, complete=False)
            found += self._towards_own(scopes[start : start + _SCOPES_AT_ONCE])
            found = nearest(found, limit)
            read += _AT_ONCE
            await asyncio.sleep(0)
        return Nearest(found, complete=True)

    def of_customer(self, customer: CustomerId, *, livemode: bool) -> list[Progress]:
        """Return a customer's progress towards every alert that watches it, nearest first.

        Alerts on meters that the customer never used are told too; archived ones are not.
        """
        alerts = [
            alert
            for meter in self._state.meters.values()
            if meter.livemode == livemode and meter.id in self._state.meter_alerts
            for scope in self._state.watching(meter.id, customer)
            for alert in scope.alerts.values()
        ]
        found = [progress_of(self._state, alert, customer) for alert in alerts]
        return sorted(found, key=lambda progress: (progress.triggered, -progress.share))

    def _towards_own(self, scopes: Sequence[ScopeAlerts]) -> list[Progress]:
        """Return the progress of single customers towards alerts of their own that may fire."""
        return [
            progress_of(self._state, alert, alert.customer)
            for scope in scopes
            for alert in scope.alerts.values()
            if alert.status == "active" and alert.customer in self._state.customers[alert.livemode]
        ]

    async def _standings(self, alert: Alert) -> Standings:
        """Return an alert's standings, read anew unless that would take too long too often."""
        kept = self._kept.pop(alert.id, None)
        if kept is None or (kept.version != self._version and self._is_rested(kept.reading)):
            kept = await self._read(alert)
        # The one used last stands last.
        self._kept[alert.id] = kept
        while sum(len(other.found) for other in self._kept.values()) > self._kept_max:
            del self._kept[next(iter(self._kept))]
        return kept.found

    async def _read(self, alert: Alert) -> _Kept[Standings]:
        version, cost_ns = self._version, 0
        standings = Standings.of(self._state, alert)
        for start in range(0, len(standings), _AT_ONCE):
            begun_ns = self._clock.monotonic_ns()
            standings.read(self._state, start, start + _AT_ONCE)
            cost_ns += self._clock.monotonic_ns() - begun_ns
            await asyncio.sleep(0)
        return _Kept(standings, version, Reading(self._clock.monotonic_ns(), cost_ns))

    @property
    def _version(self) -> tuple[int, int]:
        """What changes with everything that standings show."""
        return self._state.sequence, len(self._state.deleted_customers)


def _require_customer(state: State, alert: Alert, customer: CustomerId) -> None:
    if state.find_customer(customer, livemode=alert.livemode) is None:
        raise InvalidParamError(
            f"No such customer: '{customer[:200]}'", param="starting_after", code="resource_missing"
        )


def _any_customer_alerts(state: State, *, livemode: bool, meter: MeterId | None) -> Iterator[Alert]:
    """Yield the alerts for any customer that may fire."""
    for found in _alerted_meters(state, livemode=livemode, meter=meter):
        for alert in state.alerts_of(found).any_customer.alerts.values():
            if alert.status == "active":
                yield alert


def _own_scopes(state: State, *, livemode: bool, meter: MeterId | None) -> list[ScopeAlerts]:
    """Return the scopes of single customers."""
    return [
        scope
        for found in _alerted_meters(state, livemode=livemode, meter=meter)
        for scope in state.alerts_of(found).by_customer.values()
    ]


def _alerted_meters(state: State, *, livemode: bool, meter: MeterId | None) -> list[MeterId]:
    """Return the meters with alerts on which usage is taken."""
    return [
        found.id
        for found in state.meters.values()
        if found.livemode == livemode
        and found.status == "active"
        and found.id in state.meter_alerts
        and meter in (None, found.id)
    ]
