"""One customer: what it used of each meter, the alerts that watch it, its latest meter events."""

from dataclasses import dataclass

from meterbell.dashboard.finding import find_named
from meterbell.dashboard.formats import percent
from meterbell.dashboard.pages.customers import name_of
from meterbell.dashboard.snippets import send_command
from meterbell.dashboard.usage_chart import Asked, UsageChart, usage_chart
from meterbell.dashboard.visit import Page, Route, Visit
from meterbell.engine.fold import HOUR_SECONDS
from meterbell.engine.model import Alert, AlertStatus, Meter, MeterEvent
from meterbell.engine.progress import Progress
from meterbell.engine.series import Point, month_start
from meterbell.engine.value import format_value
from meterbell.ids import CustomerId
from meterbell.records import Customer, TriggerRecord

_METERS_MAX = 25
_ALERTS_MAX = 25
_EVENTS_MAX = 10
_DAY = 86_400


@dataclass(frozen=True, slots=True)
class MeterLine:
    """What the customer used of a meter; exact decimals."""

    name: str
    href: str
    chart_href: str
    is_here: bool
    hour: str
    day: str
    month: str
    lifetime: str


@dataclass(frozen=True, slots=True)
class AlertLine:
    """An alert that watches the customer; `triggered_ms` is 0 unless it triggered for it."""

    title: str
    href: str
    why_href: str
    status: AlertStatus
    meter: str
    usage: str
    threshold: int
    percent: int
    triggered_ms: int
    triggered_value: str


@dataclass(frozen=True, slots=True)
class EventLine:
    """A meter event."""

    identifier: str
    href: str
    meter: str
    value: str
    at_ms: int
    payload: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class CustomerView:
    """Everything on the page.

    Attributes:
        meters: Those that the customer used.
        chart_of: The meter in the chart; None for a customer without usage.
    """

    customer: Customer
    name: str
    metadata: list[tuple[str, str]]
    meters: list[MeterLine]
    meters_more: int
    chart_of: Meter | None
    chart: UsageChart | None
    chart_src: str
    asked: Asked
    alerts: list[AlertLine]
    alerts_more: int
    events: list[EventLine]
    snippet: str


def find_customer(visit: Visit) -> Customer:
    """Return the customer that the path names, deleted ones too.

    Raises:
        NotFoundError: There is none in this mode.
    """
    return find_named(visit, Customer, "customer")


async def _view(visit: Visit) -> CustomerView:
    customer = find_customer(visit)
    customer_id = CustomerId(customer.id)
    of_mode = [m for m in visit.services.state.meters.values() if m.livemode == visit.livemode]
    used = [m for m in of_mode if visit.services.state.slot(m.id, customer_id) >= 0]
    progress = visit.services.insight.progress.of_customer(customer_id, livemode=visit.livemode)
    chart_of = _chosen(visit, used, progress)
    asked = Asked.by(visit, customer=customer_id)
    events = await visit.services.insight.recent.of_customer(used, customer_id, limit=_EVENTS_MAX)
    return CustomerView(
        customer=customer,
        name=name_of(customer),
        metadata=sorted(customer.details.get("metadata", {}).items()),
        meters=await _meter_lines(visit, used[:_METERS_MAX], customer_id, chart_of),
        meters_more=max(len(used) - _METERS_MAX, 0),
        chart_of=chart_of,
        chart=None if chart_of is None else await usage_chart(visit, chart_of, asked),
        chart_src="" if chart_of is None else asked.src(visit, chart_of),
        asked=asked,
        alerts=[_alert_line(visit, item) for item in progress[:_ALERTS_MAX]],
        alerts_more=max(len(progress) - _ALERTS_MAX, 0),
        events=[_event_line(visit, event) for event in events],
        snippet=send_command(
            of_mode[0].event_name if of_mode else "requests",
            customer.id,
            livemode=visit.livemode,
        ),
    )


def _chosen(visit: Visit, used: list[Meter], progress: list[Progress]) -> Meter | None:
    """Return the meter that is asked for, or else of the alert that is nearest, or the first."""
    nearest = [item.alert.meter for item in progress if not item.triggered]
    for wanted in (visit.query.get("meter", ""), *nearest[:1]):
        for meter in used:
            if meter.id == wanted:
                return meter
    return used[0] if used else None


async def _meter_lines(
    visit: Visit, meters: list[Meter], customer: CustomerId, shown: Meter | None
) -> list[MeterLine]:
    now = visit.services.clock.now_ms() // 1000
    found = await visit.services.insight.series.of_meters(
        meters, customer, start=month_start(now), end=now + 1, step="hour"
    )
    hours = 1 + now % _DAY // HOUR_SECONDS
    lines = []
    for meter, series in zip(meters, found, strict=True):
        counter = visit.services.state.counter(meter.id, customer)
        lines.append(
            MeterLine(
                name=meter.display_name,
                href=visit.url(f"/meters/{meter.id}", customer=customer),
                chart_href=visit.here(meter=meter.id),
                is_here=meter == shown,
                hour=_used(meter, series.points[-1:]),
                day=_used(meter, series.points[-hours:]),
                month=_used(meter, series.points),
                lifetime=format_value(0 if counter is None else counter.total),
            )
        )
    return lines


def _used(meter: Meter, points: list[Point]) -> str:
    """Return what was used in some hours; empty if a value was to be reported and none was."""
    values = [point.value for point in points if point.value is not None]
    if meter.formula == "last":
        return format_value(values[-1]) if values else ""
    return format_value(sum(values))


def _alert_line(visit: Visit, item: Progress) -> AlertLine:
    alert: Alert = item.alert
    record = None
    if item.triggered:
        record = visit.services.store.reader.fetch(
            TriggerRecord, alert=alert.id, customer=item.customer, window="lifetime"
        )
    return AlertLine(
        title=alert.title,
        href=visit.url(f"/alerts/{alert.id}"),
        why_href=visit.url(f"/alerts/{alert.id}", customer=item.customer) + "#why",
        status=alert.status,
        meter=visit.services.state.meters[alert.meter].display_name,
        usage=format_value(item.usage),
        threshold=alert.gte,
        percent=percent(item.share),
        triggered_ms=0 if record is None else record.created_ms,
        triggered_value="" if record is None else record.value,
    )


def _event_line(visit: Visit, event: MeterEvent) -> EventLine:
    meter = visit.services.state.meters[event.meter]
    usual = (meter.customer_key, meter.value_key)
    return EventLine(
        identifier=event.identifier,
        href=visit.url(f"/meter-events/{event.sequence}"),
        meter=meter.display_name,
        value=format_value(event.value),
        at_ms=event.timestamp * 1000,
        payload=sorted((k, text) for k, text in event.payload.items() if k not in usual),
    )


ROUTES: list[Route] = [
    Page(
        path="/customers/{id}",
        template="customer_usage.html",
        view=_view,
        section="/customers",
        is_live=True,
        finds=Customer,
    )
]
