"""Usage of a meter by all customers together, by the hour in which it came in."""

from dataclasses import dataclass
from itertools import pairwise

from meterbell.engine.fold import HOUR_SECONDS
from meterbell.engine.model import Meter
from meterbell.ledger.totals import HOUR_MS
from meterbell.services import Services

DAY_HOURS = 24


@dataclass(frozen=True, slots=True)
class Usage:
    """What came in, in units of 10^-12.

    Attributes:
        since: The UTC hour since 1970 of the first number.
        by_hour: Up to the present hour, which is not over.
    """

    since: int
    by_hour: list[int]

    def between(self, first: int, end: int) -> int:
        """Return the usage of the hours from `first` up to, not including, `end`."""
        return sum(self.by_hour[max(first - self.since, 0) : max(end - self.since, 0)])


def usage_of(services: Services, meter: Meter, total: int, *, since: int) -> Usage:
    """Return a meter's usage from an hour on.

    Args:
        services: Where it is written.
        meter: Whose.
        total: What its counters hold together now.
        since: UTC hour since 1970.
    """
    now = services.clock.now_ms() // HOUR_MS
    rows = services.store.reader.meter_hours(meter.id, since=since)
    noted = {hour: int(text) for hour, text in rows}
    starts = [total]
    for hour in range(now, since - 1, -1):
        is_before_meter = hour * HOUR_SECONDS <= meter.created
        starts.append(noted.get(hour, 0 if is_before_meter else starts[-1]))
    starts.reverse()
    return Usage(since, [after - before for before, after in pairwise(starts)])
