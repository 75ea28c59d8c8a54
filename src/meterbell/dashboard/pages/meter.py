"""One meter: its usage over time, who used most, what payloads say, and the alerts on it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from meterbell.dashboard.changes import change, post
from meterbell.dashboard.finding import find_named
from meterbell.dashboard.formats import iso
from meterbell.dashboard.lists import number_in
from meterbell.dashboard.pages.meters import counts
from meterbell.dashboard.usage_chart import Asked, UsageChart, usage_chart
from meterbell.dashboard.visit import Action, Data, Done, File, Page, Route, Table, Visit
from meterbell.engine.model import Alert, Meter
from meterbell.engine.state import is_plain
from meterbell.engine.value import format_value
from meterbell.errors import InvalidParamError, NotFoundError
from meterbell.insight.recent import ByKey
from meterbell.insight.series import TOP_MAX
from meterbell.store.tables import alert as alert_table

_ALERTS_SHOWN = 10
_TOP_ROWS = 10
_WAIT_MS = 2000
"""So long a part of the page may take that is asked for once the page is shown."""
_KEY_MAX = 100


@dataclass(frozen=True, slots=True)
class AlertLine:
    """An alert on the meter."""

    alert: Alert
    href: str


@dataclass(frozen=True, slots=True)
class MeterView:
    """Everything on the page.

    Attributes:
        chart: None for all customers of a meter for which usage does not add up.
        rename_problem: What was wrong with the new name.
    """

    meter: Meter
    counts: str
    adds_up: bool
    asked: Asked
    chart: UsageChart | None
    chart_src: str
    usage_file: str
    customers_file: str
    top_href: str
    key: str
    by_key_href: str
    alerts: list[AlertLine]
    has_more_alerts: bool
    rename_problem: str


@dataclass(frozen=True, slots=True)
class TopLine:
    """A customer with its usage, an exact decimal."""

    customer: str
    href: str
    usage: str


@dataclass(frozen=True, slots=True)
class TopView:
    """Who used most, one page of it; not complete while usage is still read."""

    lines: list[TopLine]
    first: int
    is_complete: bool
    again: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class ShareLine:
    """What meter events add up to that have the same text under the key; empty usage if nothing."""

    text: str
    is_missing: bool
    events: int
    usage: str


@dataclass(frozen=True, slots=True)
class ByKeyView:
    """Usage by a key of the payload, with how much of it was looked at."""

    key: str
    problem: str
    found: ByKey | None
    lines: list[ShareLine]


def find_meter(visit: Visit) -> Meter:
    """Return the meter that the path names.

    Raises:
        NotFoundError: There is none in this mode.
    """
    return find_named(visit, Meter, "meter")


async def _view(visit: Visit) -> MeterView:
    meter, asked = find_meter(visit), Asked.by(visit)
    path, key = f"/meters/{meter.id}", _key(visit)
    alerts = visit.services.store.reader.find(
        Alert,
        alert_table.c.meter == meter.id,
        alert_table.c.status != "archived",
        order_by=alert_table.c.number.desc(),
        limit=_ALERTS_SHOWN + 1,
    )
    return MeterView(
        meter=meter,
        counts=counts(meter),
        adds_up=is_plain(meter),
        asked=asked,
        chart=await usage_chart(visit, meter, asked),
        chart_src=asked.src(visit, meter),
        usage_file=visit.url(
            f"{path}/usage.csv", range=asked.span.key, step=asked.step, customer=asked.customer
        ),
        customers_file=visit.url(f"{path}/customers.csv", range=asked.span.key),
        top_href=visit.url(f"{path}/top", range=asked.span.key),
        key=key,
        by_key_href=visit.url(f"{path}/by-key", key=key),
        alerts=[
            AlertLine(alert, visit.url(f"/alerts/{alert.id}")) for alert in alerts[:_ALERTS_SHOWN]
        ],
        has_more_alerts=len(alerts) > _ALERTS_SHOWN,
        rename_problem="" if visit.problem is None else visit.problem.message,
    )


async def _series(visit: Visit) -> dict[str, object]:
    """Return the points of the chart; numbers for drawing only."""
    chart = await usage_chart(visit, find_meter(visit), Asked.by(visit))
    now = visit.services.clock.now_ms() // 1000
    return {"times": [], "values": []} if chart is None else chart.data(now)


async def _top(visit: Visit) -> TopView:
    meter, asked = find_meter(visit), Asked.by(visit)
    if not is_plain(meter):
        raise NotFoundError("The usage of this meter's customers does not add up over time.")
    pages = TOP_MAX // _TOP_ROWS
    page = min(max(number_in(visit, "page") or 1, 1), pages)
    found = await visit.services.insight.series.top(
        meter, start=asked.start, end=asked.end, limit=TOP_MAX, wait_ms=_WAIT_MS
    )
    first = (page - 1) * _TOP_ROWS
    shown = found.customers[first : first + _TOP_ROWS]
    has_more = page < pages and len(found.customers) > first + _TOP_ROWS
    return TopView(
        lines=[
            TopLine(
                customer,
                visit.url(f"/customers/{customer}", meter=meter.id, range=asked.span.key),
                format_value(value),
            )
            for customer, value in shown
        ],
        first=first,
        is_complete=found.complete,
        again=visit.here(),
        before=visit.here(page=page - 1) if page > 1 else "",
        after=visit.here(page=page + 1) if has_more else "",
    )


def _key(visit: Visit) -> str:
    """Return the key of payloads that is asked for; empty if none is."""
    return visit.query.get("key", "").strip()[:_KEY_MAX]


async def _by_key(visit: Visit) -> ByKeyView:
    meter, key = find_meter(visit), _key(visit)
    if not key:
        return ByKeyView("", "Type a key of the payload.", None, [])
    try:
        found = await visit.services.insight.recent.by_key(meter, key, wait_ms=_WAIT_MS)
    except InvalidParamError as problem:
        return ByKeyView(key, problem.message, None, [])
    lines = [
        ShareLine(
            text=share.text or "",
            is_missing=share.text is None,
            events=share.events,
            usage="" if share.value is None else format_value(share.value),
        )
        for share in found.shares
    ]
    return ByKeyView(key, "", found, lines)


async def _usage_file(visit: Visit) -> Table:
    meter, asked = find_meter(visit), Asked.by(visit)
    chart = await usage_chart(visit, meter, asked)
    if chart is None:
        raise NotFoundError("The usage of this meter's customers does not add up: choose one.")

    async def rows() -> AsyncIterator[Sequence[str]]:
        yield ("start", "end", "usage")
        for point in chart.points:
            value = "" if point.value is None else format_value(point.value)
            yield (iso(point.start * 1000), iso(point.end * 1000), value)

    return Table(f"{meter.id}-usage-by-{asked.step}.csv", rows())


async def _customers_file(visit: Visit) -> Table:
    meter, asked = find_meter(visit), Asked.by(visit)
    if not is_plain(meter):
        raise NotFoundError("The usage of this meter's customers does not add up over time.")

    async def rows() -> AsyncIterator[Sequence[str]]:
        yield ("customer", "usage")
        used = await visit.services.insight.series.users(meter, start=asked.start, end=asked.end)
        for customer, value in used:
            yield (customer, format_value(value))

    return Table(f"{meter.id}-customers-{asked.span.key}.csv", rows())


def _set_status(verb: str) -> Callable[[Visit], Awaitable[Done]]:
    operation = post(f"/v1/billing/meters/{{id}}/{verb}")

    async def act(visit: Visit) -> Done:
        meter_id = visit.ids["id"]
        await change(visit, operation, {}, action=f"meter.{verb}", ids={"id": meter_id})
        return Done(visit.url(f"/meters/{meter_id}"), notice=f"meter_{verb}d")

    return act


async def _rename(visit: Visit) -> Done:
    meter_id, name = visit.ids["id"], visit.typed("display_name").strip()
    if not name:
        raise InvalidParamError("Give the meter a name.", param="display_name")
    await change(
        visit,
        post("/v1/billing/meters/{id}"),
        {"display_name": name},
        action="meter.rename",
        ids={"id": meter_id},
    )
    return Done(visit.url(f"/meters/{meter_id}"), notice="meter_renamed")


_PAGE = Page(
    path="/meters/{id}",
    template="meter.html",
    view=_view,
    section="/meters",
    is_live=True,
    finds=Meter,
)
ROUTES: list[Route] = [
    _PAGE,
    Data(path="/meters/{id}/series", read=_series),
    Page(path="/meters/{id}/top", template="meter_top.html", view=_top, is_part=True),
    Page(path="/meters/{id}/by-key", template="meter_by_key.html", view=_by_key, is_part=True),
    File(path="/meters/{id}/usage.csv", read=_usage_file),
    File(path="/meters/{id}/customers.csv", read=_customers_file),
    Action(path="/meters/{id}", act=_rename, page=_PAGE),
    *(
        Action(path=f"/meters/{{id}}/{verb}", act=_set_status(verb))
        for verb in ("deactivate", "reactivate")
    ),
]
