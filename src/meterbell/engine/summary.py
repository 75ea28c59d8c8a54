"""A counter's usage over a range of time, from its hour buckets and, at ragged edges, its events.

Contract §2.5: ranges include their start and exclude their end.
"""

from collections.abc import Container, Iterable
from typing import NamedTuple

from meterbell.engine.counter import Bucket, Counted, Counter
from meterbell.engine.fold import HOUR_SECONDS, HourEvents
from meterbell.engine.hours import Hours, merge
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
    hours: Hours,
    *,
    counting: Container[int] | None,
    start: int,
    end: int,
    window_seconds: int | None,
    hour_events: HourEvents,
) -> list[Summary]:
    """Return the usage of a range, in windows or as a whole, newest first, empty windows left out.

    Args:
        meter: Decides how usage adds up.
        hours: All of the customer's hours in the range; others do no harm.
        counting: Sequences of the events that count; None for all.
        start: Unix seconds, a whole number of windows.
        end: Unix seconds, a whole number of windows.
        window_seconds: Length of one window, a whole number of hours; None for the whole range.
        hour_events: Finds the surviving events of an hour, for edges inside an hour.
    """
    windows: dict[int, list[Bucket]] = {}
    for hour, parts in hours.items():
        from_second, to_second = hour * HOUR_SECONDS, (hour + 1) * HOUR_SECONDS
        if to_second <= start or end <= from_second:
            continue
        if start <= from_second and to_second <= end:
            bucket = merge(parts)
        else:
            bucket = _sum(
                event
                for event in hour_events(hour)
                if start <= event.timestamp < end
                and (counting is None or event.sequence in counting)
            )
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


def _sum(events: Iterable[Counted]) -> Bucket:
    found = list(events)
    return Bucket(sum(event.value for event in found), len(found), max(found, default=None))


def counting_in_windows(meter: Meter, counter: Counter) -> frozenset[int] | None:
    """Return the sequences of the events that count in their time windows; None for all."""
    if meter.event_time_window is None:
        return None
    return frozenset(counted.sequence for counted in counter.read_detail().slots.values())


def _combine(meter: Meter, buckets: list[Bucket]) -> int:
    if meter.formula == "last":
        return max(bucket.newest for bucket in buckets if bucket.newest is not None).value
    return sum(bucket.value for bucket in buckets)
