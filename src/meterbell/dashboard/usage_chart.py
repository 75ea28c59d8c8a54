"""Usage of a meter over time: for a chart, for the table beside it, and for a file."""

from collections.abc import Sequence
from dataclasses import dataclass

from meterbell.dashboard.formats import counted, group
from meterbell.dashboard.tabs import Tab
from meterbell.dashboard.totals import newest_after, totals_after
from meterbell.dashboard.usage import WAIT_MS
from meterbell.dashboard.visit import Visit
from meterbell.engine.model import Alert, Meter
from meterbell.engine.progress import progress_of
from meterbell.engine.series import Point, Step
from meterbell.engine.state import is_plain
from meterbell.engine.value import SCALE, format_value
from meterbell.ids import CustomerId

_DAY = 86_400
_CUSTOMER_MAX = 255
_LINES_MAX = 10
_TABLE_ROWS = 60


@dataclass(frozen=True, slots=True)
class Span:
    """So far back one can look, and in which steps; the first of them unless another is chosen."""

    key: str
    label: str
    days: int
    steps: tuple[Step, ...]


SPANS = (
    Span("1d", "24 hours", 1, ("hour",)),
    Span("7d", "7 days", 7, ("hour", "day")),
    Span("30d", "30 days", 30, ("day", "hour", "week")),
    Span("90d", "90 days", 90, ("day", "week")),
    Span("365d", "12 months", 365, ("week", "day")),
)
_USUAL = SPANS[1]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be shown.

    Attributes:
        start: Unix seconds, and `end` too; it is not included.
        customer: Empty for all together.
        is_added_up: Whether a customer's total is to be shown, and not what came in each step.
    """

    span: Span
    step: Step
    start: int
    end: int
    customer: CustomerId
    is_added_up: bool

    @classmethod
    def by(cls, visit: Visit, *, customer: CustomerId | None = None) -> "Asked":
        """Return what the address asks for; what makes no sense is as if it were not there.

        Args:
            visit: Its query names range, step and customer.
            customer: Only this one.
        """
        named = CustomerId(visit.query.get("customer", "").strip()[:_CUSTOMER_MAX])
        span = next((span for span in SPANS if span.key == visit.query.get("range")), _USUAL)
        wanted = visit.query.get("step")
        now = visit.services.clock.now_ms() // 1000
        return cls(
            span=span,
            step=next((step for step in span.steps if step == wanted), span.steps[0]),
            start=now - span.days * _DAY,
            end=now + 1,
            customer=customer or named,
            is_added_up=visit.query.get("show") != "steps",
        )

    def spans(self, visit: Visit) -> list[Tab]:
        """Return what else can be chosen, as far as one can look back."""
        return [Tab(span.label, visit.here(range=span.key), span == self.span) for span in SPANS]

    def steps(self, visit: Visit) -> list[Tab]:
        """Return the steps that can be chosen."""
        steps: tuple[Step, ...] = ("hour", "day", "week")
        return [
            Tab(f"By {step}", visit.here(step=step), step == self.step)
            for step in steps
            if step in self.span.steps
        ]

    def shows(self, visit: Visit) -> list[Tab]:
        """Return how a customer's usage can be shown."""
        if not self.customer:
            return []
        return [
            Tab("Added up", visit.here(show=None), self.is_added_up),
            Tab("In each step", visit.here(show="steps"), not self.is_added_up),
        ]

    def src(self, visit: Visit, meter: Meter) -> str:
        """Return where a script finds what a meter's chart shows."""
        return visit.url(
            f"/meters/{meter.id}/series",
            range=self.span.key,
            step=self.step,
            customer=self.customer,
            show=visit.query.get("show"),
        )


@dataclass(frozen=True, slots=True)
class Line:
    """Where an alert triggers for a customer, on the scale of its total, in units of 10^-12."""

    title: str
    value: int
    is_triggered: bool

    @property
    def at(self) -> str:
        """The same as an exact decimal."""
        return format_value(self.value)


@dataclass(frozen=True, slots=True)
class UsageChart:
    """What a chart shows; in units of 10^-12.

    Attributes:
        points: What came in each step.
        totals: What a customer's counter held at the end of each; None if that is not shown.
        lines: Of alerts that watch the customer.
        is_complete: Whether all usage was read.
    """

    label: str
    points: list[Point]
    totals: list[int | None] | None
    lines: list[Line]
    is_complete: bool

    @property
    def rows(self) -> list[tuple[int, str]]:
        """The latest steps with usage, latest first: when they began in milliseconds, and usage."""
        used = [point for point in self.points if point.value is not None]
        return [(p.start * 1000, format_value(p.value or 0)) for p in used[: -_TABLE_ROWS - 1 : -1]]

    def data(self, now: int) -> dict[str, object]:
        """Return what a script draws; numbers for drawing only."""
        shown: Sequence[int | None] = self.totals or [point.value for point in self.points]
        return {
            "label": self.label,
            "times": [min(point.end, now) for point in self.points],
            "values": [None if value is None else value / SCALE for value in shown],
            "lines": [{"label": line.title, "value": line.value / SCALE} for line in self.lines],
        }


async def usage_chart(visit: Visit, meter: Meter, asked: Asked) -> UsageChart | None:
    """Return a meter's usage; None for all customers of a meter for which it does not add up."""
    series = visit.services.insight.series
    if asked.customer:
        found = await series.of_customer(
            meter, asked.customer, start=asked.start, end=asked.end, step=asked.step
        )
        counter = visit.services.state.counter(meter.id, asked.customer)
        total = 0 if counter is None else counter.total
        label = _label_of_one(meter, asked, found.points, total)
        if not asked.is_added_up:
            return UsageChart(label, found.points, None, [], found.complete)
        lines = _lines(visit, meter, asked.customer, total)
        return UsageChart(
            label, found.points, _totals(meter, found.points, total), lines, found.complete
        )
    if not is_plain(meter):
        return None
    found = await series.of_all(
        meter, start=asked.start, end=asked.end, step=asked.step, wait_ms=WAIT_MS
    )
    points = [point._replace(value=point.value or 0) for point in found.points]
    used = sum(point.value or 0 for point in points)
    label = f"All customers used {group(format_value(used))} in {asked.span.label}."
    return UsageChart(label, points, None, [], found.complete)


def _totals(meter: Meter, points: Sequence[Point], total: int) -> list[int | None]:
    """Return what a customer's counter held at the end of each step; None before it held any."""
    if meter.formula == "last":
        return newest_after(points, None)
    return [*totals_after(points, total)]


def _lines(visit: Visit, meter: Meter, customer: CustomerId, total: int) -> list[Line]:
    """Return where alerts trigger for a customer: those it passed, and the next one."""
    lines = []
    for scope in visit.services.state.watching(meter.id, customer):
        active = [alert for alert in scope.alerts.values() if alert.status == "active"]
        lines += [_line(visit, alert, customer, total) for alert in active]
    lines.sort(key=lambda line: line.value)
    next_one = next((at for at, line in enumerate(lines) if line.value > total), len(lines))
    return lines[max(next_one - _LINES_MAX + 1, 0) : next_one + 1]


def _line(visit: Visit, alert: Alert, customer: CustomerId, total: int) -> Line:
    progress = progress_of(visit.services.state, alert, customer)
    return Line(alert.title, total - progress.usage + alert.gte * SCALE, progress.triggered)


def _label_of_one(meter: Meter, asked: Asked, points: Sequence[Point], total: int) -> str:
    values = [point.value for point in points if point.value is not None]
    if not values:
        return f"{asked.customer} used nothing in {asked.span.label}."
    in_all = group(format_value(total))
    if meter.formula == "last":
        return f"{asked.customer} is at {in_all}."
    steps = counted(len(values), asked.step)
    used = group(format_value(sum(values)))
    return f"{asked.customer} used {used} in {asked.span.label}, in {steps}; {in_all} in all."
