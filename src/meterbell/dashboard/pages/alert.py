"""One alert: for whom it triggered, who is closest, and for each customer why or why not."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from meterbell.dashboard.changes import change, post
from meterbell.dashboard.finding import find_named
from meterbell.dashboard.formats import percent
from meterbell.dashboard.lists import list_page
from meterbell.dashboard.receivers import find_receiver, receiver_href, receiver_name
from meterbell.dashboard.states import State, state_of_deliveries, state_of_delivery
from meterbell.dashboard.usage_line import UsageLine, usage_line
from meterbell.dashboard.visit import Action, Data, Done, Page, Route, Visit
from meterbell.engine.model import Alert
from meterbell.engine.progress import Progress
from meterbell.engine.value import SCALE, format_value
from meterbell.ids import CustomerId
from meterbell.records import AuditEntry, Delivery, TriggerRecord
from meterbell.store.dashboard_tables import audit_entry
from meterbell.store.tables import trigger
from meterbell.wire.explanations import Explained, sentence

_CLOSEST = 10
_TABLE_ROWS = 48
_CUSTOMER_MAX = 255
_CHANGES_MAX = 50
_CHANGES = {
    "alert.create": "Created",
    "alert.activate": "Activated",
    "alert.deactivate": "Deactivated",
    "alert.archive": "Archived",
}
"""What was done, by its name in the audit log."""


@dataclass(frozen=True, slots=True)
class TriggerLine:
    """A customer for whom the alert triggered; `value` is an exact decimal."""

    customer: str
    href: str
    value: str
    at_ms: int
    delivery: State


@dataclass(frozen=True, slots=True)
class ProgressLine:
    """A customer on the way to the threshold; exact decimals."""

    customer: str
    href: str
    usage: str
    remaining: str
    percent: int


@dataclass(frozen=True, slots=True)
class DeliveryLine:
    """One event to one endpoint or channel; `href` is empty where it is deleted."""

    endpoint: str
    href: str
    name: str
    state: State
    attempts: int
    next_ms: int


@dataclass(frozen=True, slots=True)
class WhyView:
    """Why the alert did or did not trigger for a customer; exact decimals, empty if not known."""

    customer: str
    sentence: str
    usage: str
    not_counted: str
    remaining: str
    meter_event: str
    meter_event_href: str
    meter_event_ms: int
    event: str
    deliveries: list[DeliveryLine]


@dataclass(frozen=True, slots=True)
class Chart:
    """A customer's usage beside the threshold, with the rows for those who can't see it."""

    customer: str
    src: str
    label: str
    rows: list[tuple[int, str]]


@dataclass(frozen=True, slots=True)
class ChangeLine:
    """A change of the alert; `actor` is empty for one that came by the API."""

    at_ms: int
    word: str
    actor: str


@dataclass(frozen=True, slots=True)
class AlertView:
    """Everything on the page."""

    alert: Alert
    meter: str
    fired: int
    triggers: list[TriggerLine]
    newer: str
    older: str
    closest: list[ProgressLine]
    chart: Chart | None
    why: WhyView | None
    history: list[ChangeLine]
    copy_href: str


def find_alert(visit: Visit) -> Alert:
    """Return the alert that the path names.

    Raises:
        NotFoundError: There is none in this mode.
    """
    return find_named(visit, Alert, "billing alert")


async def _view(visit: Visit) -> AlertView:
    alert = find_alert(visit)
    fired = (await visit.figures.fired()).get(alert.id)
    found = list_page(visit, TriggerRecord, [trigger.c.alert == alert.id], items=10)
    progress = visit.services.insight.progress
    page = await progress.towards(alert, limit=_CLOSEST, waiting=True)
    asked = visit.typed("customer").strip()[:_CUSTOMER_MAX]
    shown = asked or _most_telling(page.items, found.items)
    return AlertView(
        alert=alert,
        meter=visit.services.state.meters[alert.meter].display_name,
        fired=fired.customers if fired else 0,
        triggers=[_trigger_line(visit, record) for record in found.items],
        newer=found.newer,
        older=found.older,
        closest=[_progress_line(visit, item) for item in page.items],
        chart=await _chart(visit, alert, CustomerId(shown)) if shown else None,
        why=await _why(visit, alert, CustomerId(asked)) if asked else None,
        history=_history(visit, alert),
        copy_href=_copy_href(visit, alert),
    )


def _most_telling(closest: Sequence[Progress], triggers: Sequence[TriggerRecord]) -> str:
    """Return the customer whose chart says most: the closest, or else who triggered last."""
    if closest:
        return closest[0].customer
    return triggers[0].customer if triggers else ""


def _why_href(visit: Visit, customer: str) -> str:
    return f"{visit.here(customer=customer)}#why"


def _trigger_line(visit: Visit, record: TriggerRecord) -> TriggerLine:
    deliveries = visit.services.store.reader.fetch_all(Delivery, event=record.event)
    return TriggerLine(
        customer=record.customer,
        href=_why_href(visit, record.customer),
        value=record.value,
        at_ms=record.created_ms,
        delivery=state_of_deliveries(deliveries),
    )


def _progress_line(visit: Visit, item: Progress) -> ProgressLine:
    return ProgressLine(
        customer=item.customer,
        href=_why_href(visit, item.customer),
        usage=format_value(item.usage),
        remaining=format_value(item.remaining),
        percent=percent(item.share),
    )


async def _chart(visit: Visit, alert: Alert, customer: CustomerId) -> Chart | None:
    line = await usage_line(visit.services, alert, customer)
    if line is None:
        return None
    return Chart(
        customer=customer,
        src=visit.url(f"/alerts/{alert.id}/series", customer=customer),
        label=line.label,
        rows=[(point.at * 1000, format_value(point.value)) for point in line.points[-_TABLE_ROWS:]][
            ::-1
        ],
    )


async def _why(visit: Visit, alert: Alert, customer: CustomerId) -> WhyView:
    explained = await visit.services.insight.explainer.explain(alert.id, customer)
    found, fired = explained.explanation, explained.fired
    event = fired.meter_event if fired else None
    return WhyView(
        customer=customer,
        sentence=sentence(explained),
        usage=_decimal(found.usage),
        not_counted=_decimal(found.not_counted),
        remaining=_decimal(found.remaining),
        meter_event=event.identifier if event else "",
        meter_event_href=visit.url(f"/meter-events/{event.sequence}") if event else "",
        meter_event_ms=event.received_at_ms if event else 0,
        event=fired.record.event if fired else "",
        deliveries=_deliveries(visit, explained),
    )


def _history(visit: Visit, alert: Alert) -> list[ChangeLine]:
    """Return what people did to the alert, latest first, down to its creation."""
    entries = visit.services.store.reader.find(
        AuditEntry,
        audit_entry.c.object == alert.id,
        order_by=audit_entry.c.number.desc(),
        limit=_CHANGES_MAX,
    )
    lines = [
        ChangeLine(entry.at_ms, _CHANGES[entry.action], entry.actor)
        for entry in entries
        if entry.action in _CHANGES
    ]
    created = _CHANGES["alert.create"]
    if not any(line.word == created for line in lines):
        lines.append(ChangeLine(alert.created * 1000, created, ""))
    return lines


def _copy_href(visit: Visit, alert: Alert) -> str:
    """Return the form for a new alert, filled in like this one; empty if its meter is inactive."""
    if visit.services.state.meters[alert.meter].status != "active":
        return ""
    return visit.url(
        "/alerts/new",
        title=alert.title,
        meter=alert.meter,
        gte=alert.gte,
        application="customer" if alert.customer else None,
        customer=alert.customer,
        baseline=alert.baseline if alert.baseline == "lifetime" else None,
    )


def _decimal(value: int | None) -> str:
    return "" if value is None else format_value(value)


def _deliveries(visit: Visit, explained: Explained) -> list[DeliveryLine]:
    lines = []
    for delivery in explained.fired.deliveries if explained.fired else ():
        told = find_receiver(visit, delivery.endpoint)
        lines.append(
            DeliveryLine(
                endpoint=delivery.endpoint,
                href=receiver_href(visit, told) if told else "",
                name=receiver_name(told) if told else "deleted",
                state=state_of_delivery(delivery),
                attempts=delivery.attempts,
                next_ms=delivery.next_attempt_at_ms or 0,
            )
        )
    return lines


async def _series(visit: Visit) -> dict[str, object]:
    """Return the points of a chart; numbers for drawing only."""
    alert = find_alert(visit)
    customer = CustomerId(visit.typed("customer")[:_CUSTOMER_MAX])
    line = await usage_line(visit.services, alert, customer) or UsageLine("", [], None)
    return {
        "label": line.label,
        "times": [point.at for point in line.points],
        "values": [point.value / SCALE for point in line.points],
        "threshold": alert.gte,
        "triggered": line.triggered,
    }


def _set_status(verb: str) -> Callable[[Visit], Awaitable[Done]]:
    operation, action = post(f"/v1/billing/alerts/{{id}}/{verb}"), f"alert.{verb}"
    notice = f"alert_{verb}d"

    async def act(visit: Visit) -> Done:
        alert_id = visit.ids["id"]
        await change(visit, operation, {}, action=action, ids={"id": alert_id})
        return Done(visit.url(f"/alerts/{alert_id}"), notice=notice)

    return act


ROUTES: list[Route] = [
    Page(
        path="/alerts/{id}",
        template="alert.html",
        view=_view,
        section="/alerts",
        is_live=True,
        finds=Alert,
    ),
    Data(path="/alerts/{id}/series", read=_series),
    *(
        Action(path=f"/alerts/{{id}}/{verb}", act=_set_status(verb))
        for verb in ("activate", "deactivate", "archive")
    ),
]
