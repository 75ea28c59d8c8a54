"""A counter's usage over a range of time, from its hour buckets and, at ragged edges, its events.

Contract §2.5: ranges include their start and exclude their end.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from meterbell.engine.counter import Bucket, Counter
from meterbell.engine.fold import HOUR_SECONDS, HourEvents
from meterbell.engine.model import Meter


class Summary(NamedTuple):
    """Aggregated usage from `start` (included) to `end` (excluded), in Unix seconds.

    Attributes:
        value: In units of 10^-12.
    """

    start: int
    end: int
    value: int


def summarize(
    meter: Meter,
    counter: Counter,
    *,
    start: int,
    end: int,
    window_seconds: int | None,
    hour_events: HourEvents,
) -> list[Summary]:
    """Return the usage of a range, in windows or as a whole, newest first, empty windows left out.

    Args:
        meter: Decides how usage adds up.
        counter: The customer's counter.
        start: Unix seconds, a whole number of windows.
        end: Unix seconds, a whole number of windows.
        window_seconds: Length of one window, a whole number of hours; None for the whole range.
        hour_events: Finds the surviving events of an hour, for edges inside an hour.
    """
    windows: dict[int, list[Bucket]] = {}
    for hour, bucket in _pieces(meter, counter, start, end, hour_events):
        if bucket.events:
            at = hour * HOUR_SECONDS
            window = start if window_seconds is None else at - at % window_seconds
            windows.setdefault(window, []).append(bucket)
    return [
        Summary(
            window,
            end if window_seconds is None else window + window_seconds,
            _combine(meter, windows[window]),
        )
        for window in sorted(windows, reverse=True)
    ]


def _pieces(
    meter: Meter, counter: Counter, start: int, end: int, hour_events: HourEvents
) -> Iterator[tuple[int, Bucket]]:
    """Yield each hour of the range with the aggregate of the part that lies in the range."""
    first, last = start // HOUR_SECONDS, (end - 1) // HOUR_SECONDS
    hours: Sequence[int] = counter.hours()
    if last - first < len(hours):
        hours = range(first, last + 1)
    for hour in hours:
        if not first <= hour <= last:
            continue
        from_second, to_second = hour * HOUR_SECONDS, (hour + 1) * HOUR_SECONDS
        if start <= from_second and to_second <= end:
            yield hour, counter.bucket(hour)
        else:
            counts = _counts_in(meter, counter)
            inside = [
                event
                for event in hour_events(hour)
                if start <= event.timestamp < end and counts(event.timestamp, event.sequence)
            ]
            yield (
                hour,
                Bucket(
                    value=sum(event.value for event in inside),
                    events=len(inside),
                    newest=max(inside, default=None),
                ),
            )


def _counts_in(meter: Meter, counter: Counter) -> Callable[[int, int], bool]:
    """Return a test for whether an event, by timestamp and sequence, counts in its time window."""
    if meter.event_time_window is None:
        return lambda _timestamp, _sequence: True
    counting = {counted.sequence for counted in counter.read_detail().slots.values()}
    return lambda _timestamp, sequence: sequence in counting


def _combine(meter: Meter, buckets: list[Bucket]) -> int:
    if meter.formula == "last":
        return max(bucket.newest for bucket in buckets if bucket.newest is not None).value
    return sum(bucket.value for bucket in buckets)
