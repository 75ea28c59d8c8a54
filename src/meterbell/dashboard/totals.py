"""What usage comes to after each step of a chart."""

from collections.abc import Sequence
from typing import TypeVar

from meterbell.engine.series import Point

T = TypeVar("T")


def totals_after(points: Sequence[Point], total: int) -> list[int]:
    """Return what a total was after each step, reckoned back from what it is now.

    What came before the first step is in it, too.
    """
    totals: list[int] = []
    for point in reversed(points):
        totals.append(total)
        total -= point.value or 0
    return totals[::-1]


def newest_after(points: Sequence[Point], before: T) -> list[int | T]:
    """Return the newest value after each step; a step without usage keeps the one before."""
    found: list[int | T] = []
    newest: int | T = before
    for point in points:
        newest = newest if point.value is None else point.value
        found.append(newest)
    return found
