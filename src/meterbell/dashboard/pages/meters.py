"""Meters: the list, and the form for a new one."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement

from meterbell.dashboard.changes import change, post
from meterbell.dashboard.lists import list_page
from meterbell.dashboard.problems import Problem, explain
from meterbell.dashboard.tabs import Tab, filter_tabs
from meterbell.dashboard.usage import Usage, usage_today
from meterbell.dashboard.visit import Action, Done, Nav, Page, Route, Visit
from meterbell.engine.model import Alert, Meter, MeterStatus
from meterbell.store.tables import alert as alert_table
from meterbell.store.tables import meter as table
from meterbell.wire.form import Form

_ALERTS_MAX = 999
"""No more are counted for a line of the list."""
_STATUSES: tuple[tuple[str, str], ...] = (
    ("", "All"),
    ("active", "Active"),
    ("inactive", "Inactive"),
)
_FORMULAS = {"sum": "Sum of values", "count": "Number of meter events", "last": "Newest value"}
_WINDOWS = {
    "any": "All meter events count",
    "hour": "The last one received in each hour counts",
    "day": "The last one received on each day counts",
}
_FIELDS = {
    "display_name": "display_name",
    "event_name": "event_name",
    "default_aggregation[formula]": "formula",
    "customer_mapping[event_payload_key]": "customer_key",
    "value_settings[event_payload_key]": "value_key",
    "event_time_window": "window",
}
"""Fields of the form by the API's name of what they hold."""
_MISSING = {
    "display_name": "Give the meter a name.",
    "event_name": "Say which event name belongs to the meter.",
    "customer_key": "Say under which key the customer stands.",
    "value_key": "Say under which key the value stands.",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One meter; `usage` is None where that of customers does not add up."""

    name: str
    href: str
    event_name: str
    counts: str
    status: MeterStatus
    usage: Usage | None
    alerts: str
    alerts_href: str


@dataclass(frozen=True, slots=True)
class MetersView:
    """One page of the list, newest first."""

    lines: list[Line]
    tabs: list[Tab]
    is_filtered: bool
    newer: str
    older: str


@dataclass(frozen=True, slots=True)
class NewMeterView:
    """The form, with what is wrong in it."""

    formulas: list[tuple[str, str]]
    windows: list[tuple[str, str]]
    problem: Problem


def counts(meter: Meter) -> str:
    """Return in words what of a meter's events counts."""
    text = _FORMULAS[meter.formula]
    return text if meter.event_time_window is None else f"{text}, by {meter.event_time_window}"


async def _view(visit: Visit) -> MetersView:
    status = visit.typed("status")
    where: list[ColumnElement[bool]] = [table.c.livemode == visit.livemode]
    if status in ("active", "inactive"):
        where.append(table.c.status == status)
    found = list_page(visit, Meter, where)
    usages = await usage_today(visit, found.items)
    return MetersView(
        lines=[_line(visit, *both) for both in zip(found.items, usages, strict=True)],
        tabs=filter_tabs(visit, "status", _STATUSES),
        is_filtered=bool(status),
        newer=found.newer,
        older=found.older,
    )


def _line(visit: Visit, meter: Meter, usage: Usage | None) -> Line:
    alerts = visit.services.store.reader.count(
        Alert,
        alert_table.c.meter == meter.id,
        alert_table.c.status != "archived",
        limit=_ALERTS_MAX + 1,
    )
    return Line(
        name=meter.display_name,
        href=visit.url(f"/meters/{meter.id}"),
        event_name=meter.event_name,
        counts=counts(meter),
        status=meter.status,
        usage=usage,
        alerts=str(alerts) if alerts <= _ALERTS_MAX else f"{_ALERTS_MAX}+",
        alerts_href=visit.url("/alerts", meter=meter.id),
    )


async def _form(visit: Visit) -> NewMeterView:
    problem = explain(visit.problem, _FIELDS, _MISSING)
    return NewMeterView(list(_FORMULAS.items()), list(_WINDOWS.items()), problem)


async def _create(visit: Visit) -> Done:
    params: Form = {
        "default_aggregation": {"formula": visit.typed("formula")},
        "customer_mapping": {
            "type": "by_id",
            **_given(visit, "customer_key", "event_payload_key"),
        },
        "value_settings": _given(visit, "value_key", "event_payload_key"),
        **_given(visit, "display_name", "display_name"),
        **_given(visit, "event_name", "event_name"),
    }
    if (window := visit.typed("window", "any")) != "any":
        params["event_time_window"] = window
    operation = post("/v1/billing/meters")
    made = await change(visit, operation, params, action="meter.create", is_once=True)
    return Done(visit.url(f"/meters/{made['id']}"), notice="meter_created")


def _given(visit: Visit, field: str, name: str) -> Form:
    """Return a field under the API's name; nothing if it is empty."""
    text = visit.typed(field).strip()
    return {name: text} if text else {}


_NEW = Page(
    path="/meters/new", template="new_meter.html", view=_form, role="editor", section="/meters"
)
ROUTES: list[Route] = [
    Page(
        path="/meters",
        template="meters.html",
        view=_view,
        nav=Nav("Meters", "gauge"),
        is_live=True,
    ),
    _NEW,
    Action(path="/meters/new", act=_create, page=_NEW),
]
