"""How a meter event enters and leaves a counter: `sum`, `count`, `last`, event time windows.

Rules C5, C6, C7. An alert's usage is the aggregate of the events after its creation. For counters
older than the alert it is kept as a difference to the whole (a `Baseline`), so whatever moves the
share of the events before the alert moves the baseline as well.
"""

from collections.abc import Callable, Iterable

from meterbell.engine.counter import ALWAYS, Baseline, Bucket, Counted, Counter
from meterbell.engine.model import WINDOW_SECONDS, Meter, MeterEvent

HOUR_SECONDS = 3600

HourEvents = Callable[[int], Iterable[Counted]]
"""Yields the surviving events of a counter in a UTC hour, latest in commit order first."""


def add_event(meter: Meter, counter: Counter, *, sequence: int, timestamp: int, value: int) -> int:
    """Fold one event into a counter's aggregate and its hour; return the hour's event before it."""
    counted = Counted(timestamp, sequence, value)
    if meter.event_time_window is not None:
        slot = timestamp // WINDOW_SECONDS[meter.event_time_window]
        slots = counter.open_detail().slots
        replaced = slots.get(slot)
        if replaced is not None:
            _take_out(meter, counter, replaced)
        slots[slot] = counted
    if meter.formula == "last":
        _take_as_newest(meter, counter, counted)
    return _put_in(meter, counter, counted)


def add_plain_event(
    counter: Counter, *, sequence: int, timestamp: int, value: int, revision: int
) -> int | None:
    """Fold one event of a plain meter in, if that is all it does; return as `add_event` does.

    Args:
        counter: Of a meter that only adds up.
        sequence: The event's place in commit order.
        timestamp: Unix seconds.
        value: In units of 10^-12.
        revision: Of the meter's alerts for any customer.

    Returns:
        None if nothing was done, because the event may fire an alert, lowers the total, belongs
        to an earlier hour, or because alerts changed meanwhile.
    """
    total = counter.total + value
    hour = timestamp // HOUR_SECONDS
    if value < 0 or total >= counter.next_fire or hour < counter.hour or revision > counter.armed:
        return None
    if hour > counter.hour:
        counter.open_hour(hour)
    head = counter.head
    counter.total = total
    counter.value += value
    counter.events += 1
    counter.head = sequence
    return head


def remove_event(
    meter: Meter, counter: Counter, event: MeterEvent, hour_events: HourEvents
) -> None:
    """Leave a counter as if `event` had never come (C6).

    Args:
        meter: The event's meter.
        counter: One that knows every alert made until now.
        event: Accepted earlier, and no longer among `hour_events`.
        hour_events: For what one of the remaining events must take its place.
    """
    gone = Counted(event.timestamp, event.sequence, event.value)
    if meter.event_time_window is not None:
        window_seconds = WINDOW_SECONDS[meter.event_time_window]
        slot = gone.timestamp // window_seconds
        slots = counter.open_detail().slots
        if slots.get(slot) != gone:
            return
        _take_out(meter, counter, gone)
        instead = _latest_in_slot(slot, window_seconds, hour_events)
        if instead is None:
            del slots[slot]
        else:
            slots[slot] = instead
            _put_back(meter, counter, instead)
    else:
        _take_out(meter, counter, gone)
    if meter.formula == "last":
        _replace_newest(meter, counter, gone, hour_events)


def usage_counted(meter: Meter, total: int, baseline: Baseline | None) -> int:
    """Return the usage that counts for an alert, in units of 10^-12 (A2).

    Args:
        meter: Decides how usage adds up.
        total: Of the customer's counter.
        baseline: The alert's baseline in the counter; None if all of the counter counts.
    """
    if baseline is None:
        return total
    if meter.formula == "last":
        return 0 if baseline.since is None else baseline.since.value
    return total - baseline.value


def _put_in(meter: Meter, counter: Counter, counted: Counted) -> int:
    """Add one event to the total and to its hour; return the hour's head before it."""
    hour = counted.timestamp // HOUR_SECONDS
    value, events, newest, head = counter.bucket(hour)
    if meter.formula == "last":
        newest = counted if newest is None else max(newest, counted)
    else:
        value += counted.value
        counter.total += counted.value
    new_head = max(head, counted.sequence)
    counter.set_bucket(hour, Bucket(value, events + 1, newest, new_head))
    return head


def _put_back(meter: Meter, counter: Counter, counted: Counted) -> None:
    """Let an earlier event of a window count again."""
    _put_in(meter, counter, counted)
    if meter.formula != "last":
        for baseline in counter.read_detail().baselines.values():
            if counted.sequence < baseline.created_sequence:
                baseline.value += counted.value


def _take_out(meter: Meter, counter: Counter, counted: Counted) -> None:
    """Take one event off its hour and, for `sum` and `count`, off the total and the baselines."""
    hour = counted.timestamp // HOUR_SECONDS
    value, events, newest, head = counter.bucket(hour)
    if meter.formula != "last":
        value -= counted.value
        counter.total -= counted.value
        for baseline in counter.read_detail().baselines.values():
            if counted.sequence < baseline.created_sequence:
                baseline.value -= counted.value
                # An alert's usage may now be above its threshold without the total having risen.
                counter.next_fire = ALWAYS
    elif newest == counted:
        newest = None
    counter.set_bucket(hour, Bucket(value, events - 1, newest, head))


def _latest_in_slot(slot: int, window_seconds: int, hour_events: HourEvents) -> Counted | None:
    """Return the window's surviving event that was received last."""
    first_hour = slot * window_seconds // HOUR_SECONDS
    latest: Counted | None = None
    for hour in range(first_hour, first_hour + window_seconds // HOUR_SECONDS):
        event = next(iter(hour_events(hour)), None)
        if event is not None and (latest is None or event.sequence > latest.sequence):
            latest = event
    return latest


def _take_as_newest(meter: Meter, counter: Counter, counted: Counted) -> None:
    """Make a fresh event the newest one of a `last` meter, for all and for each alert, if it is."""
    detail = counter.open_detail()
    if _is_newer(meter, counted, detail.newest):
        detail.newest = counted
        counter.total = counted.value
    for baseline in counter.read_detail().baselines.values():
        if _is_newer(meter, counted, baseline.since):
            baseline.since = counted


def _is_newer(meter: Meter, counted: Counted, other: Counted | None) -> bool:
    """Return whether a fresh event is the one that a `last` meter takes.

    Within a window it always is, because the event received last counts there whatever its
    timestamp.
    """
    if other is None:
        return True
    if meter.event_time_window is None:
        return counted > other
    window_seconds = WINDOW_SECONDS[meter.event_time_window]
    return counted.timestamp // window_seconds >= other.timestamp // window_seconds


def _replace_newest(meter: Meter, counter: Counter, gone: Counted, hour_events: HourEvents) -> None:
    """Find what a `last` meter takes in place of a cancelled event, for all and for each alert."""
    hour = gone.timestamp // HOUR_SECONDS
    bucket = counter.bucket(hour)
    if meter.event_time_window is None and bucket.newest is None:
        newest = _newest_of(hour_events(hour), after=0)
        counter.set_bucket(hour, bucket._replace(newest=newest))
    detail = counter.open_detail()
    if detail.newest == gone:
        found = (counter.bucket(hour).newest for hour in counter.hours())
        detail.newest = max((counted for counted in found if counted is not None), default=None)
        counter.total = 0 if detail.newest is None else detail.newest.value
    for baseline in counter.read_detail().baselines.values():
        if baseline.since == gone:
            baseline.since = _newest_since(meter, counter, baseline.created_sequence, hour_events)


def _newest_since(
    meter: Meter, counter: Counter, sequence: int, hour_events: HourEvents
) -> Counted | None:
    """Return the counted event with the newest timestamp among those after `sequence`."""
    for hour in sorted(counter.hours(), reverse=True):
        bucket = counter.bucket(hour)
        newest = bucket.newest
        if newest is not None and newest.sequence > sequence:
            return newest
        if meter.event_time_window is None and bucket.head > sequence:
            newest = _newest_of(hour_events(hour), after=sequence)
            if newest is not None:
                return newest
    return None


def _newest_of(events: Iterable[Counted], *, after: int) -> Counted | None:
    """Return the event with the newest timestamp among those after a sequence.

    Args:
        events: Latest in commit order first.
        after: Where to stop.
    """
    newest: Counted | None = None
    for event in events:
        if event.sequence <= after:
            break
        newest = event if newest is None else max(newest, event)
    return newest
