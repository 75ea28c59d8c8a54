"""Billing alerts: the list."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement

from meterbell.dashboard.figures import DAY_MS, Fired
from meterbell.dashboard.lists import list_page
from meterbell.dashboard.tabs import Tab, filter_tabs
from meterbell.dashboard.visit import Nav, Page, Route, Visit
from meterbell.engine.model import Alert, AlertStatus
from meterbell.store.tables import alert as table

_SPARK_DAYS = 30
_STATUSES: tuple[tuple[str, str], ...] = (
    ("", "All"),
    ("active", "Active"),
    ("inactive", "Inactive"),
    ("archived", "Archived"),
)


@dataclass(frozen=True, slots=True)
class Line:
    """One alert."""

    id: str
    title: str
    href: str
    status: AlertStatus
    meter: str
    meter_href: str
    threshold: int
    customer: str
    fired: int
    fired_last_ms: int
    spark: list[int]
    spark_label: str


@dataclass(frozen=True, slots=True)
class AlertsView:
    """One page of the list, newest first."""

    lines: list[Line]
    tabs: list[Tab]
    is_filtered: bool
    newer: str
    older: str


async def _view(visit: Visit) -> AlertsView:
    status = visit.typed("status")
    where: list[ColumnElement[bool]] = [table.c.livemode == visit.livemode]
    if status in ("active", "inactive", "archived"):
        where.append(table.c.status == status)
    else:
        where.append(table.c.status != "archived")
    if meter := visit.typed("meter"):
        where.append(table.c.meter == meter)
    found = list_page(visit, Alert, where)
    fired = await visit.figures.fired()
    return AlertsView(
        lines=[_line(visit, alert, fired.get(alert.id) or Fired()) for alert in found.items],
        tabs=filter_tabs(visit, "status", _STATUSES),
        is_filtered=bool(status or meter),
        newer=found.newer,
        older=found.older,
    )


def _line(visit: Visit, alert: Alert, fired: Fired) -> Line:
    today = visit.services.clock.now_ms() // DAY_MS
    days = [fired.by_day[day] for day in range(today - _SPARK_DAYS + 1, today + 1)]
    return Line(
        id=alert.id,
        title=alert.title,
        href=visit.url(f"/alerts/{alert.id}"),
        status=alert.status,
        meter=visit.services.state.meters[alert.meter].display_name,
        meter_href=visit.url(f"/meters/{alert.meter}"),
        threshold=alert.gte,
        customer=alert.customer or "",
        fired=fired.customers,
        fired_last_ms=fired.last_ms,
        spark=days,
        spark_label=f"Triggered {sum(days)} times in {_SPARK_DAYS} days",
    )


ROUTES: list[Route] = [
    Page(
        path="/alerts",
        template="alerts.html",
        view=_view,
        nav=Nav("Billing alerts", "bell"),
        is_live=True,
    )
]
