"""Meter events: the live feed with filters, and one event with what it did."""

from collections.abc import Sequence
from dataclasses import dataclass

from meterbell.dashboard.changes import change, post
from meterbell.dashboard.lists import PAGE_ITEMS, number_in
from meterbell.dashboard.snippets import send_command
from meterbell.dashboard.tabs import Tab, event_tabs
from meterbell.dashboard.visit import Action, Done, Nav, Page, Route, Visit
from meterbell.engine.model import Meter, MeterEvent
from meterbell.engine.rows import event_of
from meterbell.engine.value import format_value
from meterbell.errors import InvalidParamError, NotFoundError
from meterbell.ids import CustomerId, MeterId
from meterbell.insight.feed import Came, Wanted
from meterbell.records import TriggerRecord
from meterbell.wire.form import Form
from meterbell.wire.objects import render_meter_event

_FILTER_MAX = 255
_LATE_MS = 60_000


@dataclass(frozen=True, slots=True)
class EventLine:
    """One meter event; `value` is an exact decimal."""

    identifier: str
    href: str
    customer: str
    meter: str
    meter_href: str
    value: str
    received_ms: int
    timestamp_ms: int
    is_cancelled: bool

    @property
    def is_late(self) -> bool:
        """Whether the usage happened at another time than it came."""
        return abs(self.received_ms - self.timestamp_ms) >= _LATE_MS


@dataclass(frozen=True, slots=True)
class FeedView:
    """One page of the feed.

    Attributes:
        meters: Ids and names of those that can be chosen.
        looked_at: So many meter events were looked at, and that was all; 0 if there was no bound.
        since_ms: When the first of them was received.
    """

    tabs: list[Tab]
    lines: list[EventLine]
    meters: list[tuple[str, str]]
    meter: str
    customer: str
    identifier: str
    newest: str
    older: str
    looked_at: int
    since_ms: int
    snippet: str

    @property
    def is_filtered(self) -> bool:
        """Whether only some are shown."""
        return bool(self.meter or self.customer or self.identifier)


@dataclass(frozen=True, slots=True)
class FiredLine:
    """An alert that the event triggered; `value` is an exact decimal."""

    title: str
    href: str
    value: str
    event: str


@dataclass(frozen=True, slots=True)
class MeterEventView:
    """Everything about one meter event.

    Attributes:
        json: As it was reported, as the API renders it.
        can_cancel: Whether it is found by its identifier still.
    """

    event: MeterEvent
    meter: Meter
    value: str
    is_cancelled: bool
    can_cancel: bool
    fired: Sequence[FiredLine]
    json: dict[str, object]


async def _feed(visit: Visit) -> FeedView:
    state, feed = visit.services.state, visit.services.insight.feed
    meters = [meter for meter in state.meters.values() if meter.livemode == visit.livemode]
    meters.sort(key=lambda meter: meter.display_name.lower())
    meter, customer, identifier = (
        visit.typed(name).strip()[:_FILTER_MAX] for name in ("meter", "customer", "identifier")
    )
    before = number_in(visit, "before")
    lines: list[EventLine] = []
    older, looked_at, since_ms = "", 0, 0
    if identifier:
        event = feed.by_identifier(identifier, livemode=visit.livemode)
        is_wanted = event is not None and (
            meter in ("", event.meter) and customer in ("", event.customer)
        )
        if event is not None and is_wanted:
            lines = [_line(visit, event, is_cancelled=event.sequence in state.cancelled)]
    else:
        wanted = Wanted(visit.livemode, MeterId(meter) or None, CustomerId(customer) or None)
        page = await feed.page(wanted, before=before, limit=PAGE_ITEMS)
        lines = [
            _line(visit, _event_of(visit, came), is_cancelled=came.is_cancelled)
            for came in page.events
        ]
        older = visit.here(before=page.older) if page.older else ""
        if page.is_cut:
            looked_at, since_ms = page.looked_at, page.since_ms
    return FeedView(
        tabs=event_tabs(visit, "/events"),
        lines=lines,
        meters=[(one.id, one.display_name) for one in meters],
        meter=meter,
        customer=customer,
        identifier=identifier,
        newest=visit.here(before=None) if before is not None else "",
        older=older,
        looked_at=looked_at,
        since_ms=since_ms,
        snippet=_snippet(visit, meters),
    )


def _event_of(visit: Visit, came: Came) -> MeterEvent:
    meter = visit.services.state.meters[came.row.meter]
    return event_of(meter, came.row, came.sequence, came.received_at_ms)


def _line(visit: Visit, event: MeterEvent, *, is_cancelled: bool) -> EventLine:
    return EventLine(
        identifier=event.identifier,
        href=visit.url(f"/meter-events/{event.sequence}"),
        customer=event.customer,
        meter=visit.services.state.meters[event.meter].display_name,
        meter_href=visit.url(f"/meters/{event.meter}"),
        value=format_value(event.value),
        received_ms=event.received_at_ms,
        timestamp_ms=event.timestamp * 1000,
        is_cancelled=is_cancelled,
    )


def _snippet(visit: Visit, meters: Sequence[Meter]) -> str:
    name = meters[0].event_name if meters else "requests"
    return send_command(name, livemode=visit.livemode)


def _find(visit: Visit) -> MeterEvent:
    """Return the meter event that the path names, by its place in commit order.

    Raises:
        NotFoundError: There is none in this mode, or it is not kept any more.
    """
    text = visit.ids["id"]
    is_number = text.isascii() and text.isdecimal() and len(text) < 19  # noqa: PLR2004 - 64 bits
    event = visit.services.store.find_event(int(text)) if is_number else None
    if event is None or event.livemode != visit.livemode:
        raise NotFoundError(f"There is no meter event {text[:100]} in this mode, or not any more.")
    return event


async def _one(visit: Visit) -> MeterEventView:
    event, state = _find(visit), visit.services.state
    meter, is_cancelled = state.meters[event.meter], event.sequence in state.cancelled
    return MeterEventView(
        event=event,
        meter=meter,
        value=format_value(event.value),
        is_cancelled=is_cancelled,
        can_cancel=not is_cancelled and _counts_by_identifier(visit, event),
        fired=_fired(visit, event),
        json=render_meter_event(event, event_name=meter.event_name),
    )


def _counts_by_identifier(visit: Visit, event: MeterEvent) -> bool:
    """Return whether an identifier still names an event; it is free again after a while."""
    feed = visit.services.insight.feed
    found = feed.by_identifier(event.identifier, livemode=visit.livemode)
    return found is not None and found.sequence == event.sequence


def _fired(visit: Visit, event: MeterEvent) -> list[FiredLine]:
    """Return the alerts that an event triggered: of all that watch its counter."""
    lines = []
    for alert in visit.services.state.alerts.values():
        if alert.meter != event.meter or alert.customer not in (None, event.customer):
            continue
        records = visit.services.store.reader.fetch_all(
            TriggerRecord, alert=alert.id, customer=event.customer
        )
        href = visit.url(f"/alerts/{alert.id}", customer=event.customer)
        lines += [
            FiredLine(alert.title, href, record.value, record.event)
            for record in records
            if record.sequence == event.sequence
        ]
    return lines


async def _cancel(visit: Visit) -> Done:
    event = _find(visit)
    if not _counts_by_identifier(visit, event):
        raise InvalidParamError(
            "This meter event is too old to be cancelled: its identifier is free again."
        )
    name = visit.services.state.meters[event.meter].event_name
    params: Form = {
        "event_name": name,
        "type": "cancel",
        "cancel": {"identifier": event.identifier},
    }
    operation = post("/v1/billing/meter_event_adjustments")
    await change(visit, operation, params, action="meter_event.cancel", object_id=event.identifier)
    return Done(visit.url(f"/meter-events/{event.sequence}"), notice="meter_event_cancelled")


ROUTES: list[Route] = [
    Page(
        path="/events",
        template="meter_events.html",
        view=_feed,
        nav=Nav("Events", "activity"),
        is_live=True,
    ),
    Page(
        path="/meter-events/{id}",
        template="meter_event.html",
        view=_one,
        section="/events",
    ),
    Action(path="/meter-events/{id}/cancel", act=_cancel),
]
