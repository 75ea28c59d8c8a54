"""The very event at which a customer's usage reached a threshold, out of stored hours. Rule A3.

A customer may have a million events and a threshold is reached at one of them. The parts of hours
tell near which: only the hour in question is walked event by event, and those that may overlap it.
Each part is a chain in commit order; several parts may have been filled at the same time.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from meterbell.engine.counter import Bucket, Counted
from meterbell.engine.fold import HOUR_SECONDS
from meterbell.engine.validate import FUTURE_SECONDS_MAX

# A clock may have stepped back by so much while usage came.
_STEP_BACK_SECONDS = 3600
_EARLY_SECONDS = FUTURE_SECONDS_MAX + _STEP_BACK_SECONDS

Walk = Callable[[int], Iterable[Counted]]
"""Yields a chain's events from its head on down to the first place that counts; may give up."""
Received = Callable[[int], int]
"""Returns when a meter event was received, in Unix seconds."""


class Located(NamedTuple):
    """An event and the usage right after it, in units of 10^-12."""

    sequence: int
    usage: int


class _Item(NamedTuple):
    """An event, or a part of which only the last event's place is known; as they are sorted."""

    sequence: int
    value: int
    part: "tuple[int, Bucket] | None"


def locate(
    parts: Iterable[tuple[int, Bucket]],
    *,
    first: int,
    start: int,
    threshold: int,
    total: int,
    walk: Walk,
    received: Received,
) -> Located | None:
    """Return the first event after which the usage since a place is at or above a threshold.

    Args:
        parts: Of all the counter's hours; its usage never fell since that place.
        first: The place in commit order from which on usage counts.
        start: When what stands there was received, in Unix seconds.
        threshold: In units of 10^-12.
        total: The usage since then, by another account.
        walk: Reads chains.
        received: Reads when an event came.

    Returns:
        None if the parts don't add up to `total`, or don't reach the threshold.
    """
    items: list[_Item] = []
    for hour, bucket in parts:
        if bucket.head < first:
            continue
        part = (hour, bucket)
        # Of hours that began long enough after the start everything came after it.
        if hour * HOUR_SECONDS < start + _EARLY_SECONDS:
            items += _walked(part, walk)
        else:
            items.append(_Item(bucket.head, bucket.value, part))
    if sum(item.value for item in items) != total:
        return None
    while True:
        found = _reaching(items, threshold)
        if found is None:
            return None
        item, usage = found
        if item.part is None:
            end = received(item.sequence) + _EARLY_SECONDS
            doubtful = [other for other in items if _may_begin_before(other, item, end)]
            if not doubtful:
                return Located(item.sequence, usage)
        else:
            doubtful = [item]
        for other in doubtful:
            assert other.part is not None, "events are in no doubt"
            items.remove(other)
            items += _walked(other.part, walk)


def _walked(part: tuple[int, Bucket], walk: Walk) -> list[_Item]:
    return [_Item(event.sequence, event.value, None) for event in walk(part[1].head)]


def _reaching(items: list[_Item], threshold: int) -> tuple[_Item, int] | None:
    """Return the first item up to whose place usage reaches the threshold, with that usage."""
    usage = 0
    items.sort(key=lambda item: item.sequence)
    for item in items:
        usage += item.value
        if usage >= threshold:
            return item, usage
    return None


def _may_begin_before(other: _Item, event: _Item, end: int) -> bool:
    """Return whether a part that ends after an event may have begun before it."""
    return (
        other.part is not None
        and other.sequence > event.sequence
        and other.part[0] * HOUR_SECONDS < end
    )
