"""What takes long to read is not read each time that something changed. Pure."""

from typing import NamedTuple

# Reading may take a tenth of the time. What is read so quickly is read each time.
_REST = 10
_QUICK_NS = 5_000_000


class Reading(NamedTuple):
    """When something was read last, and how long that took."""

    at_ns: int = 0
    cost_ns: int = 0

    @property
    def is_quick(self) -> bool:
        """Whether it is worth no rest."""
        return self.cost_ns < _QUICK_NS

    def is_rested(self, now_ns: int) -> bool:
        """Return whether it may be read again."""
        return self.is_quick or now_ns - self.at_ns >= _REST * self.cost_ns
