"""Usage of a meter by all customers together, today and yesterday, by the time of usage."""

from collections.abc import Sequence
from dataclasses import dataclass

from meterbell.dashboard.visit import Visit
from meterbell.engine.fold import HOUR_SECONDS
from meterbell.engine.model import Meter
from meterbell.engine.state import is_plain
from meterbell.engine.value import SCALE, format_value

DAY_HOURS = 24
WAIT_MS = 40
"""So long a page waits for usage that is not read yet; what is missing then is there soon."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What all customers used of a meter; exact decimals.

    Attributes:
        yesterday: Up to the end of the same hour.
        spark: By hour, the last 24.
        is_complete: Whether it is known yet.
    """

    today: str
    yesterday: str
    spark: list[int]
    spark_label: str
    is_complete: bool


async def usage_today(visit: Visit, meters: Sequence[Meter]) -> list[Usage | None]:
    """Return meters' usage of today (UTC); None where that of customers does not add up."""
    found: list[Usage | None] = []
    wait_ms = WAIT_MS
    for meter in meters:
        found.append(await _usage_of(visit, meter, wait_ms) if is_plain(meter) else None)
        wait_ms = 0  # all of them are read together
    return found


async def _usage_of(visit: Visit, meter: Meter, wait_ms: int) -> Usage:
    now = visit.services.clock.now_ms() // 1000
    hour = now // HOUR_SECONDS % DAY_HOURS + 1
    midnight = now - now % (DAY_HOURS * HOUR_SECONDS)
    series = await visit.services.insight.series.of_all(
        meter,
        start=midnight - DAY_HOURS * HOUR_SECONDS,
        end=now + 1,
        step="hour",
        wait_ms=wait_ms,
    )
    by_hour = [point.value or 0 for point in series.points]
    spark = [max(value // SCALE, 0) for value in by_hour[-DAY_HOURS:]]
    return Usage(
        today=format_value(sum(by_hour[DAY_HOURS:])),
        yesterday=format_value(sum(by_hour[:hour])),
        spark=spark,
        spark_label=f"Usage of the last {len(spark)} hours, at most {max(spark)} in one",
        is_complete=series.complete,
    )
