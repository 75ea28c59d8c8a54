"""What a customer page shows: the customer's own usage, and how far it is towards its alerts.

Names of alerts are not for customers, so an alert of the server's own is told by its threshold.
"""

from collections import defaultdict
from dataclasses import dataclass

from meterbell.dashboard.customer_alerts import is_own
from meterbell.dashboard.customer_visit import CustomerVisit
from meterbell.dashboard.formats import group, percent
from meterbell.dashboard.pages.customers import name_of
from meterbell.dashboard.pages.new_alert import explain_problem
from meterbell.dashboard.problems import Problem
from meterbell.dashboard.totals import newest_after
from meterbell.engine.model import Meter
from meterbell.engine.progress import Progress
from meterbell.engine.value import format_value
from meterbell.ids import MeterId
from meterbell.records import TriggerRecord

METERS_MAX = 12
_DAYS = 30
_DAY = 86_400
_NOTICES = {
    "archived": "The alert is gone.",
    "set": "The alert is set: it watches your usage from now on.",
}


@dataclass(frozen=True, slots=True)
class AlertLine:
    """An alert that watches the customer; exact decimals.

    Attributes:
        own: Its id if the customer may archive it; empty otherwise.
        title: Of one that was set on this page; empty otherwise.
        reached_ms: When it triggered; 0 if it did not.
    """

    own: str
    title: str
    threshold: int
    usage: str
    percent: int
    reached_ms: int
    is_reached: bool


@dataclass(frozen=True, slots=True)
class MeterBlock:
    """Usage of one meter in the last 30 days; exact decimals.

    Attributes:
        number: Counts from 1, to tell blocks apart.
        by_day: In units of 10^-12, oldest first, for a picture.
        most: What the highest bar stands for.
        picture: What the picture shows, for those who can't see it.
        rows: Day in Unix milliseconds and usage, newest first.
    """

    number: int
    name: str
    label: str
    total: str
    by_day: list[int]
    most: str
    picture: str
    rows: list[tuple[int, str]]
    alerts: list[AlertLine]


@dataclass(frozen=True, slots=True)
class CustomerPageView:
    """Everything on the page.

    Attributes:
        more: How many meters with usage are not shown.
        meters: Ids and names of those for which an alert may be set; empty if none may.
    """

    title: str
    blocks: list[MeterBlock]
    more: int
    meters: list[tuple[str, str]]
    expires_ms: int
    notice: str
    problem: Problem


async def view_customer(visit: CustomerVisit) -> CustomerPageView:
    """Return the page as it is now."""
    state = visit.services.state
    mine = [meter for meter in state.meters.values() if meter.livemode == visit.livemode]
    mine.sort(key=lambda meter: meter.display_name.lower())
    alerts: defaultdict[MeterId, list[AlertLine]] = defaultdict(list)
    for progress in visit.services.insight.progress.of_customer(visit.id, livemode=visit.livemode):
        line = _alert_line(visit, progress)
        if line.own or line.is_reached or progress.alert.status == "active":
            alerts[progress.alert.meter].append(line)
    for lines in alerts.values():
        lines.sort(key=lambda line: line.threshold)
    told = [meter for meter in mine if state.slot(meter.id, visit.id) >= 0 or meter.id in alerts]
    may_set = visit.claims.allow_alerts
    return CustomerPageView(
        title=name_of(visit.customer) or visit.customer.id,
        blocks=[
            await _block(visit, meter, number, alerts[meter.id])
            for number, meter in enumerate(told[:METERS_MAX], start=1)
        ],
        more=max(len(told) - METERS_MAX, 0),
        meters=[
            (meter.id, meter.display_name) for meter in mine if may_set and meter.status == "active"
        ],
        expires_ms=visit.claims.expires_at * 1000,
        notice=_NOTICES.get(visit.query.get("notice", ""), ""),
        problem=explain_problem(visit.problem),
    )


def _alert_line(visit: CustomerVisit, progress: Progress) -> AlertLine:
    alert, objects = progress.alert, visit.services.store.reader
    own = alert.customer == visit.id and is_own(objects, visit, alert.id)
    reached = None
    if progress.triggered:
        reached = objects.fetch(TriggerRecord, alert=alert.id, customer=visit.id, window="lifetime")
    return AlertLine(
        own=alert.id if own and visit.claims.allow_alerts else "",
        title=alert.title if own else "",
        threshold=alert.gte,
        usage=format_value(progress.usage),
        percent=percent(progress.share),
        reached_ms=reached.created_ms if reached else 0,
        is_reached=progress.triggered,
    )


async def _block(
    visit: CustomerVisit, meter: Meter, number: int, alerts: list[AlertLine]
) -> MeterBlock:
    now = visit.services.clock.now_ms() // 1000
    series = await visit.services.insight.series.of_customer(
        meter, visit.id, start=now - (_DAYS - 1) * _DAY, end=now + 1, step="day"
    )
    adds_up = meter.formula != "last"
    used = [point.value or 0 for point in series.points]
    by_day = used if adds_up else newest_after(series.points, 0)
    total = format_value(sum(by_day) if adds_up else by_day[-1])
    most = f"at most {group(format_value(max(by_day)))} on a day"
    return MeterBlock(
        number=number,
        name=meter.display_name,
        label="In the last 30 days" if adds_up else "Newest value",
        total=total,
        by_day=[max(value, 0) for value in by_day],
        most=most,
        picture=f"{meter.display_name} by day, for 30 days: {most}",
        rows=[
            (point.start * 1000, format_value(value))
            for point, value in zip(series.points, by_day, strict=True)
        ][::-1],
        alerts=alerts,
    )
