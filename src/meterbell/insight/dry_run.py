"""Dry runs: for whom an alert would have fired had it been made earlier, told while it is typed.

The first dry run of a meter and a start reads the log from there on, in a thread and in turns. What
it learns answers every threshold and is kept, so that after that only new usage is read. Where the
meter is younger than the start, its counters say at once for whom an alert would have fired.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from meterbell.clock import Clock
from meterbell.engine.dry_run import (
    Candidate,
    Crossing,
    DryRun,
    Peaks,
    count_steps,
    joined,
    lifetime_peaks,
)
from meterbell.engine.model import Cancellation, Meter
from meterbell.engine.state import State, is_plain
from meterbell.engine.tail import Step, Tail, UsageRun
from meterbell.errors import InvalidParamError
from meterbell.ids import CustomerId, MeterId
from meterbell.insight.crossings import Captured, Search
from meterbell.insight.waiting import in_thread
from meterbell.ledger.committer import Committer
from meterbell.store.base import LogView, Store

DAYS_DEFAULT = 30
DAYS_MAX = 366
LIMIT_MAX = 20
"""Customers that are told at once."""
WAIT_MS_MAX = 30_000

_DAY = 86_400
# Rows of the log that are read together: up to 8,000 meter events.
_ROWS_AT_ONCE = 16
# What several ask for is read in turns of this length.
_TURN_NS = 50_000_000
_AT_ONCE = 8192
_TAILS_MAX = 4
_CUSTOMERS_MAX = 2_000_000
_CROSSINGS_MAX = 1000


class Trial(NamedTuple):
    """An alert that is not made.

    Attributes:
        customer: The one customer that it watches; None for any.
        start: Unix seconds.
    """

    meter: Meter
    gte: int
    customer: CustomerId | None
    start: int


@dataclass(slots=True)
class _Kept:
    """A tail, and how far in time it has come.

    Attributes:
        day_end: When the step that is being filled ends, in Unix seconds.
        received_ms: When the latest entry that was taken in was received.
        lock: Held by whoever uses it.
        crossings: Those found so far, by customer and threshold; they never change.
    """

    tail: Tail
    day_end: int
    received_ms: int
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    crossings: dict[tuple[CustomerId, int], Crossing] = field(default_factory=dict)

    def end_days(self, until: int) -> None:
        """End the steps of the days that are over at an instant."""
        while self.day_end <= until:
            self.tail.end_step(self.day_end)
            self.day_end += _DAY


class _Look(NamedTuple):
    """One look at a tail.

    Attributes:
        trial: Its start is where the span really begins.
        limit: Customers of each kind at most.
        complete: Whether all of the usage is taken in.
    """

    kept: _Kept
    trial: Trial
    limit: int
    complete: bool


class DryRunner:
    """Makes dry runs over one store."""

    def __init__(self, store: Store, state: State, committer: Committer, clock: Clock) -> None:
        """Prepare.

        Args:
            store: Where the log and hours are.
            state: What usage is decided against.
            committer: What it has committed can be read.
            clock: The present, and how much time is left.
        """
        self._store = store
        self._state = state
        self._committer = committer
        self._clock = clock
        self._kept: dict[tuple[MeterId, int], _Kept] = {}

    def default_start(self) -> int:
        """Return the beginning of the UTC day 30 days ago, in Unix seconds."""
        now = self._clock.now_ms() // 1000
        return now - now % _DAY - DAYS_DEFAULT * _DAY

    def require_start(self, start: int, *, param: str) -> None:
        """Refuse a start that is not in the past, or too far in it.

        Raises:
            InvalidParamError: It is not.
        """
        now = self._clock.now_ms() // 1000
        if not now - DAYS_MAX * _DAY <= start <= now:
            raise InvalidParamError(
                f"Invalid {param}: {start} must lie in the past, at most {DAYS_MAX} days ago; the "
                f"server's time is {now}.",
                param=param,
            )

    async def run(self, trial: Trial, *, limit: int, wait_ms: int) -> DryRun:
        """Return what an alert would have done, or what can be told in time.

        Args:
            trial: The alert; `require_start` takes its start.
            limit: Customers of each kind at most, up to 20.
            wait_ms: About how long it may take, up to 30 seconds.

        Raises:
            OverloadedError: Too much is waiting to be committed.
            StoreUnavailableError: The store failed, or holds damaged hours.
        """
        assert 1 <= limit <= LIMIT_MAX, limit
        assert 0 <= wait_ms <= WAIT_MS_MAX, wait_ms
        deadline_ns = self._clock.monotonic_ns() + wait_ms * 1_000_000
        while True:
            kept, start = self._keep(trial)
            turn_ns = min(self._clock.monotonic_ns() + _TURN_NS, deadline_ns)
            async with kept.lock:
                until = await self._committer.execute(lambda changes: changes.state.sequence)
                is_complete = await in_thread(self._advance, kept, until, turn_ns)
                if is_complete or self._clock.monotonic_ns() >= deadline_ns:
                    look = _Look(kept, trial._replace(start=start), limit, is_complete)
                    return await self._tell(look, deadline_ns)

    def _keep(self, trial: Trial) -> tuple[_Kept, int]:
        """Return the tail for a trial, begun if there is none, and where it really begins."""
        state, start = self._state, trial.start
        first = self._store.first_sequence_since(start * 1000)
        if first < state.log_begins:
            # Usage before that is dropped: the span begins with what is left.
            first = state.log_begins
            begins_ms = self._store.received_at_ms(first)
            start = start if begins_ms is None else max(start, begins_ms // 1000)
        key = trial.meter.id, first
        kept = self._kept.pop(key, None)
        if kept is None or kept.tail.until + 1 < state.log_begins:
            tail = Tail(state, trial.meter, first=first)
            kept = _Kept(tail, start - start % _DAY + _DAY, start * 1000)
        self._kept[key] = kept
        while len(self._kept) > 1 and (
            len(self._kept) > _TAILS_MAX
            or sum(other.tail.count for other in self._kept.values()) > _CUSTOMERS_MAX
        ):
            del self._kept[next(iter(self._kept))]
        return kept, start

    def _advance(self, kept: _Kept, until: int, deadline_ns: int) -> bool:
        """Take in the log up to a place, as far as there is time; return whether it is reached."""
        tail = kept.tail
        if tail.until >= until:
            return True
        with self._store.view_log() as view:
            while tail.until < until:
                after = tail.until
                entries, reached = view.read_usage(after, rows_max=_ROWS_AT_ONCE)
                self._take(kept, view, entries, until)
                # What follows may be of no concern here, or dropped.
                tail.until = min(reached, until) if reached > after else until
                if self._clock.monotonic_ns() >= deadline_ns:
                    break
        return tail.until >= until

    def _take(
        self, kept: _Kept, view: LogView, entries: Sequence[UsageRun | Cancellation], until: int
    ) -> None:
        """Take entries in up to a place, and end a step at each midnight."""
        pending: list[UsageRun | Cancellation] = []
        for entry in entries:
            if entry.sequence > until:
                break
            received = entry.received_at_ms // 1000
            if received >= kept.day_end:
                kept.tail.take(pending, view.find_event)
                pending = []
                kept.end_days(received)
            kept.received_ms = max(kept.received_ms, entry.received_at_ms)
            if isinstance(entry, UsageRun):
                pending.append(entry.part(0, until + 1 - entry.sequence))
            else:
                pending.append(entry)
        kept.tail.take(pending, view.find_event)

    async def _tell(self, look: _Look, deadline_ns: int) -> DryRun:
        """Return what a trial's tail says, and where the usage of those shown crossed."""
        trial = look.trial
        now = self._clock.now_ms() // 1000
        is_young = not look.complete and self._is_young(trial)
        peaks = await self._lifetime(trial.meter) if is_young else None
        found = await in_thread(self._summarize, look, peaks, now)
        if found.complete:
            candidates = await self._located(look, found.fired, deadline_ns)
            found = replace(found, fired=candidates)
        return found

    def _is_young(self, trial: Trial) -> bool:
        """Return whether the counters say it all: the span holds the meter's whole life."""
        meter = trial.meter
        return meter.created >= trial.start and is_plain(meter) and not self._state.cancelled

    async def _lifetime(self, meter: Meter) -> Peaks:
        """Return the highest totals of a meter's counters, read in pieces."""
        customers, slots = self._state.table.counters_of(self._state.meter_numbers[meter.id])
        pieces = []
        for start in range(0, max(len(slots), 1), _AT_ONCE):
            piece = slice(start, start + _AT_ONCE)
            pieces.append(lifetime_peaks(self._state, meter, customers[piece], slots[piece]))
            await asyncio.sleep(0)
        return joined(pieces)

    def _summarize(self, look: _Look, peaks: Peaks | None, now: int) -> DryRun:
        """Return what peaks say; those of the tail if none are given. In a thread."""
        tail, trial, limit = look.kept.tail, look.trial, look.limit
        read_until = now if look.complete else look.kept.received_ms // 1000
        if look.complete:
            look.kept.end_days(now)
        is_complete = look.complete or peaks is not None
        if peaks is None:
            peaks = Peaks(tail.customers, *tail.peaks, tail.large)
        place = None
        if trial.customer is not None:
            place = tail.place_of(trial.customer)
            number = self._state.find_customer(trial.customer, livemode=trial.meter.livemode)
            peaks = peaks.only(-1 if number is None else number)
        steps = [*tail.steps, Step(read_until, tail.peaks[0])]
        names = self._state.customer_ids
        fired, near = (
            [
                Candidate(names[int(peaks.customers[at])], peaks.usage(at))
                for at in peaks.furthest(limit, gte=trial.gte, reached=reached)
            ]
            for reached in (True, False)
        )
        return DryRun(
            meter=trial.meter,
            customer=trial.customer,
            gte=trial.gte,
            start=trial.start,
            end=now if is_complete else read_until,
            complete=is_complete,
            customers=len(peaks.customers),
            count=peaks.reaching(trial.gte),
            fired=fired,
            near=near,
            shares=peaks.shares(trial.gte),
            steps=count_steps(steps, trial.gte, start=trial.start, place=place),
            steps_end=read_until,
        )

    async def _located(
        self, look: _Look, fired: Sequence[Candidate], deadline_ns: int
    ) -> list[Candidate]:
        """Return candidates with the meter event at which each crossed, as far as there is time."""
        kept, meter, gte = look.kept, look.trial.meter, look.trial.gte
        known = kept.crossings
        missing = [c.customer for c in fired if (c.customer, gte) not in known]
        if missing and self._clock.monotonic_ns() < deadline_ns:
            captured = await self._committer.execute(
                lambda changes: [Captured.of(changes.state, meter, name) for name in missing]
            )
            await in_thread(self._search, look, captured, deadline_ns)
        return [c._replace(crossing=known.get((c.customer, gte))) for c in fired]

    def _search(self, look: _Look, captured: Sequence[Captured], deadline_ns: int) -> None:
        """Look for crossings and keep those found; in a thread."""
        kept, trial, tail = look.kept, look.trial, look.kept.tail
        if look.complete and not self._advance(kept, captured[0].sequence, deadline_ns):
            return
        if len(kept.crossings) > _CROSSINGS_MAX:
            kept.crossings.clear()
        with self._store.view_log() as view:
            search = Search(
                store=self._store,
                view=view,
                state=self._state,
                meter=trial.meter,
                first=tail.first,
                start=trial.start,
                is_late=lambda: self._clock.monotonic_ns() >= deadline_ns,
            )
            for counter in captured:
                if look.complete:
                    place = tail.place_of(counter.customer)
                    total, steady = tail.usage(place), place not in tail.unsteady
                else:
                    total, steady = counter.total, not counter.fell
                found = search.find(counter, trial.gte, total=total, steady=steady)
                if found is not None:
                    kept.crossings[counter.customer, trial.gte] = found
                if search.is_late():
                    return
