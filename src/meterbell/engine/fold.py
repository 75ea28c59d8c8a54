"""How a meter event enters and leaves a counter: `sum`, `count`, `last`, event time windows.

Rules C5, C6, C7. An alert's usage is the aggregate of the events after its creation. For counters
older than the alert it is kept as a difference to the whole (a `Baseline`), so whatever moves the
share of the events before the alert moves the baseline as well.
"""

from collections.abc import Callable, Iterable

from meterbell.engine.counter import ALWAYS, Baseline, Bucket, Counted, Counter
from meterbell.engine.model import WINDOW_SECONDS, Meter, MeterEvent

HOUR_SECONDS = 3600

HourEvents = Callable[[int], Iterable[MeterEvent]]
"""Yields the surviving events of a counter in a UTC hour, latest in commit order first."""


def add_event(meter: Meter, counter: Counter, *, sequence: int, timestamp: int, value: int) -> int:
    """Fold one event into a counter's aggregate and its hour; return the hour's event before it."""
    counted = Counted(timestamp, sequence, value)
    hour = timestamp // HOUR_SECONDS
    previous = counter.bucket(hour).head
    if counter.slots is not None:
        assert meter.event_time_window is not None
        slot = timestamp // WINDOW_SECONDS[meter.event_time_window]
        _replace_in_slot(meter, counter, slot, counted)
    else:
        _put_in(meter, counter, counted)
        if meter.formula == "last" and counter.baselines:
            for baseline in counter.baselines.values():
                baseline.since = counted if baseline.since is None else max(baseline.since, counted)
    counter.buckets[hour] = counter.bucket(hour)._replace(head=sequence)
    return previous


def remove_event(
    meter: Meter, counter: Counter, event: MeterEvent, hour_events: HourEvents
) -> None:
    """Leave a counter as if `event` had never come (C6).

    Args:
        meter: The event's meter.
        counter: A fork, which knows every alert made until now.
        event: Accepted earlier, and no longer among `hour_events`.
        hour_events: For what one of the remaining events must take its place.
    """
    gone = Counted(event.timestamp, event.sequence, event.value)
    if counter.slots is not None:
        assert meter.event_time_window is not None
        window_seconds = WINDOW_SECONDS[meter.event_time_window]
        slot = event.timestamp // window_seconds
        if counter.slots.get(slot) == gone:
            _replace_in_slot(
                meter, counter, slot, _latest_in_slot(slot, window_seconds, hour_events)
            )
        return
    if meter.formula == "last":
        _remove_last(counter, gone, hour_events)
        return
    _take_out(meter, counter, gone)
    for baseline in (counter.baselines or {}).values():
        if gone.sequence < baseline.created_sequence:
            baseline.value -= gone.value


def usage_counted(meter: Meter, counter: Counter, baseline: Baseline | None) -> int:
    """Return the usage that counts for an alert, in units of 10^-12 (A2).

    Args:
        meter: Decides how usage adds up.
        counter: The customer's counter.
        baseline: The alert's baseline in the counter; None if all of the counter counts.
    """
    if baseline is None:
        return counter.total
    if meter.formula != "last":
        return counter.total - baseline.value
    newest = counter.newest
    if newest is not None and newest.sequence > baseline.created_sequence:
        return newest.value
    if counter.slots is not None:
        since = max(
            (c for c in counter.slots.values() if c.sequence > baseline.created_sequence),
            default=None,
        )
    else:
        since = baseline.since
    return 0 if since is None else since.value


def _put_in(meter: Meter, counter: Counter, counted: Counted) -> None:
    """Add one event to the total and to its hour."""
    hour = counted.timestamp // HOUR_SECONDS
    value, events, newest, head = counter.bucket(hour)
    if meter.formula == "last":
        newest = counted if newest is None else max(newest, counted)
        if counter.newest is None or counted > counter.newest:
            counter.newest = counted
            counter.total = counted.value
    else:
        value += counted.value
        counter.total += counted.value
    counter.buckets[hour] = Bucket(value, events + 1, newest, head)


def _take_out(meter: Meter, counter: Counter, counted: Counted) -> None:
    """Take one `sum` or `count` event, or a slot's only event, off the total and its hour."""
    hour = counted.timestamp // HOUR_SECONDS
    value, events, _, head = counter.bucket(hour)
    if meter.formula != "last":
        value -= counted.value
        counter.total -= counted.value
    counter.buckets[hour] = Bucket(value, events - 1, None, head)


def _replace_in_slot(meter: Meter, counter: Counter, slot: int, counted: Counted | None) -> None:
    """Make `counted` the one event of a window that counts; None for no event at all.

    An hour's bucket of such a meter holds at most one counted event, because no window is shorter.
    """
    assert counter.slots is not None
    replaced = counter.slots.pop(slot, None)
    if replaced is not None:
        _take_out(meter, counter, replaced)
        if counter.newest == replaced:
            counter.newest = max(counter.slots.values(), default=None)
            counter.total = 0 if counter.newest is None else counter.newest.value
    if counted is not None:
        counter.slots[slot] = counted
        _put_in(meter, counter, counted)
    if meter.formula == "last":
        return
    for baseline in (counter.baselines or {}).values():
        if replaced is not None and replaced.sequence < baseline.created_sequence:
            baseline.value -= replaced.value
            counter.next_fire = ALWAYS  # the usage that counts may have grown while the total fell
        if counted is not None and counted.sequence < baseline.created_sequence:
            baseline.value += counted.value


def _latest_in_slot(slot: int, window_seconds: int, hour_events: HourEvents) -> Counted | None:
    """Return the window's surviving event that was received last."""
    first_hour = slot * window_seconds // HOUR_SECONDS
    latest: Counted | None = None
    for hour in range(first_hour, first_hour + window_seconds // HOUR_SECONDS):
        for event in hour_events(hour):
            if latest is None or event.sequence > latest.sequence:
                latest = Counted(event.timestamp, event.sequence, event.value)
            break
    return latest


def _remove_last(counter: Counter, gone: Counted, hour_events: HourEvents) -> None:
    """Take one event out of a `last` counter; the newest of the others takes its place."""
    hour = gone.timestamp // HOUR_SECONDS
    bucket = counter.bucket(hour)
    newest = bucket.newest
    if newest == gone:
        newest = max(
            (Counted(e.timestamp, e.sequence, e.value) for e in hour_events(hour)), default=None
        )
    counter.buckets[hour] = bucket._replace(events=bucket.events - 1, newest=newest)
    if counter.newest == gone:
        found = (counter.bucket(hour).newest for hour in counter.hours())
        counter.newest = max((c for c in found if c is not None), default=None)
        counter.total = 0 if counter.newest is None else counter.newest.value
    for baseline in (counter.baselines or {}).values():
        if baseline.since == gone:
            baseline.since = _newest_since(counter, baseline.created_sequence, hour_events)


def _newest_since(counter: Counter, sequence: int, hour_events: HourEvents) -> Counted | None:
    """Return the surviving event with the newest timestamp among those after `sequence`."""
    for hour in sorted(counter.hours(), reverse=True):
        if counter.bucket(hour).head <= sequence:
            continue
        newest: Counted | None = None
        for event in hour_events(hour):
            if event.sequence <= sequence:
                break
            candidate = Counted(event.timestamp, event.sequence, event.value)
            newest = candidate if newest is None else max(newest, candidate)
        if newest is not None:
            return newest
    return None
