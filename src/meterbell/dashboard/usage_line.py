"""One customer's way towards an alert's threshold, for a chart and for the table beside it."""

from dataclasses import dataclass

from meterbell.dashboard.formats import group
from meterbell.engine.model import Alert
from meterbell.engine.progress import progress_of
from meterbell.engine.series import STEP_SECONDS, Point, Step
from meterbell.engine.value import SCALE, format_value
from meterbell.ids import CustomerId
from meterbell.records import TriggerRecord
from meterbell.services import Services

_DAY = 86_400
_DAYS_MAX = 90
# Beyond it days are told instead of hours: a chart is not wider.
_HOURS_DAYS_MAX = 14


@dataclass(frozen=True, slots=True)
class Reached:
    """How far the usage that counts was at an instant, in units of 10^-12."""

    at: int
    value: int


@dataclass(frozen=True, slots=True)
class UsageLine:
    """A line for a chart.

    Attributes:
        label: What it shows, in a sentence.
        points: Ascending; times in Unix seconds.
        triggered: When the alert triggered, in Unix seconds.
    """

    label: str
    points: list[Reached]
    triggered: int | None


async def usage_line(services: Services, alert: Alert, customer: CustomerId) -> UsageLine | None:
    """Return a customer's usage that counts for an alert over time, up to now.

    None for a customer without usage, and for an archived alert, whose baselines are forgotten.
    """
    state = services.state
    meter = state.meters[alert.meter]
    if alert.status == "archived" or state.slot(meter.id, customer) < 0:
        return None
    now = services.clock.now_ms() // 1000
    start = max(min(alert.created, now - _DAY), now - _DAYS_MAX * _DAY)
    step: Step = "hour" if now - start <= _HOURS_DAYS_MAX * _DAY else "day"
    series = await services.insight.series.of_customer(
        meter, customer, start=start, end=now + 1, step=step
    )
    progress = progress_of(state, alert, customer)
    if meter.formula == "last":
        points = _newest(series.points, now)
    else:
        points = _added_up(series.points, progress.usage, now, STEP_SECONDS[step])
    record = services.store.reader.fetch(
        TriggerRecord, alert=alert.id, customer=customer, window="lifetime"
    )
    return UsageLine(
        label=_label(alert, customer, progress.usage, is_triggered=progress.triggered),
        points=points,
        triggered=None if record is None else record.created_ms // 1000,
    )


def _added_up(found: list[Point], usage: int, now: int, seconds: int) -> list[Reached]:
    """Return the total after each step, reckoned back from what it is now.

    Usage from before the alert's creation does not count, so the line does not begin below zero.
    """
    points: list[Reached] = []
    for point in reversed(found):
        points.append(Reached(min(point.end, now), max(usage, 0)))
        usage -= point.value or 0
    points.append(Reached(points[-1].at - seconds if points else now, max(usage, 0)))
    return points[::-1]


def _newest(found: list[Point], now: int) -> list[Reached]:
    """Return the newest value after each step; a step without usage keeps the one before."""
    points: list[Reached] = []
    value = 0
    for point in found:
        value = value if point.value is None else point.value
        points.append(Reached(min(point.end, now), value))
    return points


def _label(alert: Alert, customer: CustomerId, usage: int, *, is_triggered: bool) -> str:
    percent = max(usage * 100 // (alert.gte * SCALE), 0)
    text = f"{customer} used {group(format_value(usage))} of {group(alert.gte)} ({percent} %)"
    return f"{text}; the alert has triggered." if is_triggered else f"{text}."
