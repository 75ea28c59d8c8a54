"""The overview: what was used today, which alerts fired, what needs a look."""

from collections.abc import Collection
from dataclasses import dataclass

from meterbell.channel import NotificationChannel
from meterbell.dashboard.figures import DAY_MS
from meterbell.dashboard.formats import percent
from meterbell.dashboard.receivers import receiver_href, receiver_name
from meterbell.dashboard.snippets import key_option, send_command
from meterbell.dashboard.usage import Usage, usage_today
from meterbell.dashboard.visit import Nav, Page, Route, Visit
from meterbell.engine.model import Meter
from meterbell.engine.value import format_value
from meterbell.ids import AlertId
from meterbell.ledger.deliveries import Receiver
from meterbell.records import TriggerRecord, WebhookEndpoint
from meterbell.store.deliveries import health_of
from meterbell.store.tables import trigger

_METERS_MAX = 8
_NEAREST_MAX = 8


@dataclass(frozen=True, slots=True)
class MeterLine:
    """A meter's usage of today beside that of yesterday; None where it does not add up."""

    name: str
    href: str
    usage: Usage | None


@dataclass(frozen=True, slots=True)
class TriggerLine:
    """An alert that fired for a customer."""

    title: str
    href: str
    customer: str
    value: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class NearLine:
    """A customer near a threshold; exact decimals."""

    title: str
    href: str
    customer: str
    usage: str
    threshold: int
    percent: int


@dataclass(frozen=True, slots=True)
class FailingLine:
    """A webhook endpoint that does not take what it is sent."""

    endpoint: str
    href: str
    name: str
    failures: int
    since_ms: int
    is_disabled: bool


@dataclass(frozen=True, slots=True)
class Step:
    """One of the first steps, and the lines to paste for it."""

    text: str
    is_done: bool
    snippet: str
    href: str = ""


@dataclass(frozen=True, slots=True)
class OverviewView:
    """Everything on the page."""

    fired_today: int
    fired_yesterday: int
    alerts_active: int
    alerts_href: str
    failing: list[FailingLine]
    nearest: list[NearLine]
    meters: list[MeterLine]
    meters_more: int
    triggers: list[TriggerLine]
    steps: list[Step]


async def _view(visit: Visit) -> OverviewView:
    state, now_ms = visit.services.state, visit.services.clock.now_ms()
    today = now_ms // DAY_MS
    meters = [meter for meter in state.meters.values() if meter.livemode == visit.livemode]
    meters.sort(key=lambda meter: (meter.status != "active", -meter.created))
    shown = meters[:_METERS_MAX]
    active = sum(_active_alerts(visit, meter) for meter in meters)
    fired = await visit.figures.fired_in_mode(livemode=visit.livemode)
    has_alert = any(alert.livemode == visit.livemode for alert in state.alerts.values())
    return OverviewView(
        fired_today=fired.by_day[today],
        fired_yesterday=fired.by_day[today - 1],
        alerts_active=active,
        alerts_href=visit.url("/alerts"),
        failing=_failing(visit),
        nearest=await _nearest(visit),
        meters=[
            MeterLine(meter.display_name, visit.url(f"/meters/{meter.id}"), usage)
            for meter, usage in zip(shown, await usage_today(visit, shown), strict=True)
        ],
        meters_more=max(len(meters) - _METERS_MAX, 0),
        triggers=_triggers(visit, fired.latest),
        steps=_steps(visit, meters, has_alert=has_alert),
    )


def _active_alerts(visit: Visit, meter: Meter) -> int:
    alerts = visit.services.state.meter_alerts.get(meter.id)
    if alerts is None:
        return 0
    scopes = (alerts.any_customer, *alerts.by_customer.values())
    return sum(len(scope.thresholds) for scope in scopes)


async def _nearest(visit: Visit) -> list[NearLine]:
    """Return the customers nearest to a threshold for whom its alert has not fired."""
    progress = visit.services.insight.progress
    found = await progress.nearest(livemode=visit.livemode, limit=_NEAREST_MAX)
    return [
        NearLine(
            title=item.alert.title,
            href=visit.url(f"/alerts/{item.alert.id}", customer=item.customer),
            customer=item.customer,
            usage=format_value(item.usage),
            threshold=item.alert.gte,
            percent=percent(item.share),
        )
        for item in found.items
        if item.usage > 0
    ]


def _failing(visit: Visit) -> list[FailingLine]:
    """Return the webhook endpoints and channels that fail, or were disabled because they did."""
    objects = visit.services.store.reader
    lines = []
    receivers: list[Receiver] = [*objects.fetch_all(WebhookEndpoint, livemode=visit.livemode)]
    receivers += objects.fetch_all(NotificationChannel, livemode=visit.livemode)
    for endpoint in receivers:
        health = health_of(objects, endpoint.id)
        is_disabled = endpoint.status == "disabled"
        if health.failing_since_ms is None and not is_disabled:
            continue
        if is_disabled and health.disabled_reason in (None, "user"):
            continue  # somebody wanted that
        lines.append(
            FailingLine(
                endpoint=endpoint.id,
                href=receiver_href(visit, endpoint),
                name=receiver_name(endpoint),
                failures=health.failures,
                since_ms=health.failing_since_ms or health.disabled_at_ms or 0,
                is_disabled=is_disabled,
            )
        )
    return lines


def _triggers(visit: Visit, numbers: Collection[int]) -> list[TriggerLine]:
    """Return the triggers with some numbers, latest first."""
    found = visit.services.store.reader.find(
        TriggerRecord, trigger.c.number.in_(numbers), order_by=trigger.c.number.desc()
    )
    return [
        TriggerLine(
            title=visit.services.state.alerts[AlertId(record.alert)].title,
            href=visit.url(f"/alerts/{record.alert}", customer=record.customer),
            customer=record.customer,
            value=record.value,
            at_ms=record.created_ms,
        )
        for record in found
    ]


def _steps(visit: Visit, meters: list[Meter], *, has_alert: bool) -> list[Step]:
    """Return the first steps, until all of them are done."""
    state = visit.services.state
    has_usage = any(
        len(state.table.counters_of(state.meter_numbers[meter.id])[1]) for meter in meters
    )
    if meters and has_alert and has_usage:
        return []
    flag = key_option(livemode=visit.livemode)
    name = meters[0].event_name if meters else "requests"
    return [
        Step(
            "Make a meter: it says what is counted.",
            bool(meters),
            f"meterbell meters create --event-name requests --display-name Requests{flag}",
        ),
        Step(
            "Make an alert: it says when you want to know.", has_alert, "", visit.url("/alerts/new")
        ),
        Step(
            "Report usage, from your code or from here.",
            has_usage,
            f"meterbell customers create --id cus_1{flag}\n"
            + send_command(name, livemode=visit.livemode),
        ),
    ]


ROUTES: list[Route] = [
    Page(
        path="/",
        template="overview.html",
        view=_view,
        nav=Nav("Overview", "layout-dashboard"),
        is_live=True,
    )
]
