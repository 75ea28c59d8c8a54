"""How many of something are let through in each second. Pure."""

from typing import Generic, TypeVar

K = TypeVar("K")


class PerSecond(Generic[K]):
    """Lets so many through in each second, for each of some kinds."""

    def __init__(self, limit: int) -> None:
        """Begin without any.

        Args:
            limit: In each second, for each kind.
        """
        self._limit = limit
        self._second = 0
        self._counts: dict[K, int] = {}

    def allows(self, kind: K, now_ms: int) -> bool:
        """Return whether one more of a kind is let through, and count it if so."""
        second = now_ms // 1000
        if second != self._second:
            self._second = second
            self._counts.clear()
        count = self._counts.get(kind, 0)
        if count >= self._limit:
            return False
        self._counts[kind] = count + 1
        return True
