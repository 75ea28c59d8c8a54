"""What usage is about in a run: how many customers, meters and alerts there are."""

from msgspec import Struct


class World(Struct, frozen=True, kw_only=True):
    """Customers, meters, and alerts for any customer on each meter.

    Attributes:
        quiet: So many of the customers get no usage from the generator.
        first_gte: The lowest threshold. With the usual spread the hot customers pass some of them
            and the others none, so that each run has triggers, but not more than a few thousand.
        step: Each threshold is the one before it times this.
    """

    customers: int = 100_000
    quiet: int = 0
    meters: int = 10
    alerts: int = 25
    first_gte: int = 500
    step: float = 1.5

    def thresholds(self) -> list[int]:
        """Return the thresholds of each meter, ascending."""
        return [int(self.first_gte * self.step**number) for number in range(self.alerts)]
