"""One customer's way towards an alert's threshold, for a chart and for the table beside it."""

from dataclasses import dataclass

from meterbell.dashboard.formats import group
from meterbell.dashboard.totals import newest_after, totals_after
from meterbell.engine.model import Alert
from meterbell.engine.progress import progress_of
from meterbell.engine.series import STEP_SECONDS, Step
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
    ends = [min(point.end, now) for point in series.points]
    if meter.formula == "last":
        values = newest_after(series.points, 0)
    else:
        values = totals_after(series.points, progress.usage)
        # Where the line begins: what counted before its first step.
        values.insert(0, progress.usage - sum(point.value or 0 for point in series.points))
        ends.insert(0, ends[0] - STEP_SECONDS[step] if ends else now)
        # Usage from before the alert's creation does not count, so it does not begin below zero.
        values = [max(value, 0) for value in values]
    record = services.store.reader.fetch(
        TriggerRecord, alert=alert.id, customer=customer, window="lifetime"
    )
    return UsageLine(
        label=_label(alert, customer, progress.usage, is_triggered=progress.triggered),
        points=[Reached(*reached) for reached in zip(ends, values, strict=True)],
        triggered=None if record is None else record.created_ms // 1000,
    )


def _label(alert: Alert, customer: CustomerId, usage: int, *, is_triggered: bool) -> str:
    percent = max(usage * 100 // (alert.gte * SCALE), 0)
    text = f"{customer} used {group(format_value(usage))} of {group(alert.gte)} ({percent} %)"
    return f"{text}; the alert has triggered." if is_triggered else f"{text}."
