"""Events, which the outside world is told: the lists, and one with its deliveries."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement

from meterbell.api.v1.events import render
from meterbell.dashboard.endpoints import SENT_EVENTS, SENT_THIN_EVENTS, resend
from meterbell.dashboard.finding import find_event
from meterbell.dashboard.lists import PAGE_ITEMS, number_in
from meterbell.dashboard.receivers import find_receiver, receiver_href, receiver_name
from meterbell.dashboard.states import State, again_words, state_of_deliveries, state_of_delivery
from meterbell.dashboard.tabs import Tab, event_tabs
from meterbell.dashboard.visit import Action, Done, Page, Route, Visit
from meterbell.errors import NotFoundError
from meterbell.records import Delivery, Event, ThinEvent, WebhookEndpoint
from meterbell.store.tables import event as event_table
from meterbell.store.tables import thin_event as thin_table
from meterbell.wire.deliveries import delivery_id
from meterbell.wire.objects_v2 import render_thin_event

EVENTS_MAX = 10_000
"""Events that are looked at for one page, of either mode."""

_TYPE_MAX = 255
_SECTIONS = {
    "billing.alert_triggered": "/customers",
    "billing.meter": "/meters",
    "customer": "/customers",
}
"""Where pages of objects are, by kind; that of a customer is there when it is deleted, too."""


@dataclass(frozen=True, slots=True)
class ToldLine:
    """One event; `about` is the id of what it is about."""

    id: str
    href: str
    type: str
    about: str
    about_href: str
    created_ms: int
    state: State


@dataclass(frozen=True, slots=True)
class ToldView:
    """One page of the list.

    Attributes:
        types: Names and words of those that can be chosen.
        is_cut: Whether it is not full because enough was looked at.
    """

    title: str
    path: str
    tabs: list[Tab]
    lines: list[ToldLine]
    types: Sequence[tuple[str, str]]
    type: str
    newest: str
    older: str
    is_cut: bool
    looked_at: int
    is_thin: bool


@dataclass(frozen=True, slots=True)
class DeliveryLine:
    """The event to one endpoint or notification channel."""

    href: str
    endpoint: str
    name: str
    endpoint_href: str
    resend: str
    again: str
    state: State
    attempts: int
    next_ms: int


@dataclass(frozen=True, slots=True)
class EventView:
    """Everything on the page of one event.

    Attributes:
        others: Endpoints that it can be sent to besides: ids and URLs.
        alert: Where the alert that triggered is; empty for other events.
    """

    id: str
    type: str
    created_ms: int
    request_id: str
    alert: str
    customer: str
    deliveries: list[DeliveryLine]
    others: list[tuple[str, str]]
    json: dict[str, object]


def _list(record: type[Event] | type[ThinEvent]) -> Callable[[Visit], Awaitable[ToldView]]:
    is_thin = record is ThinEvent
    table = thin_table if is_thin else event_table
    path = "/events/thin" if is_thin else "/events/told"

    async def view(visit: Visit) -> ToldView:
        objects, after = visit.services.store.reader, number_in(visit, "after")
        end = objects.newest_number(record) + 1 if after is None else after
        begin = max(end - EVENTS_MAX, 1)
        wanted = visit.typed("type").strip()[:_TYPE_MAX]
        where: list[ColumnElement[bool]] = [
            table.c.livemode == visit.livemode,
            table.c.number >= begin,
        ]
        if wanted:
            where.append(table.c.type == wanted)
        found = objects.page(record, where, limit=PAGE_ITEMS, after=end)
        is_cut = not found.has_more and begin > 1
        older = found.numbers[-1] if found.has_more else begin if is_cut else None
        return ToldView(
            title="Thin events" if is_thin else "Events",
            path=path,
            tabs=event_tabs(visit, path),
            lines=[_told_line(visit, event) for event in found.items],
            types=SENT_THIN_EVENTS if is_thin else SENT_EVENTS,
            type=wanted,
            newest=visit.here(after=None) if after is not None else "",
            older=visit.here(after=older) if older is not None else "",
            is_cut=is_cut,
            looked_at=EVENTS_MAX,
            is_thin=is_thin,
        )

    return view


def _told_line(visit: Visit, event: Event | ThinEvent) -> ToldLine:
    deliveries = visit.services.store.reader.fetch_all(Delivery, event=event.id)
    about, section = _about(event)
    return ToldLine(
        id=event.id,
        href=visit.url(f"/events/{event.id}"),
        type=event.type,
        about=about,
        about_href=visit.url(f"{section}/{about}") if section else "",
        created_ms=_created_ms(event),
        state=state_of_deliveries(deliveries),
    )


def _created_ms(event: Event | ThinEvent) -> int:
    return event.created_ms if isinstance(event, ThinEvent) else event.created * 1000


def _about(event: Event | ThinEvent) -> tuple[str, str]:
    """Return the id of what an event is about, and the section with its page; maybe empty.

    A trigger is about a customer.
    """
    if isinstance(event, ThinEvent):
        return event.object_id or "", _SECTIONS.get(event.object_type or "", "")
    found = event.data["object"]
    about = found.get("customer") or found.get("id") or ""
    return str(about), _SECTIONS.get(found["object"], "")


def _find(visit: Visit) -> Event | ThinEvent:
    """Return the event that the path names.

    Raises:
        NotFoundError: There is none in this mode.
    """
    event_id = visit.ids["id"]
    found = find_event(visit, event_id)
    if found is None:
        raise NotFoundError(f"There is no event {event_id[:100]} in this mode.")
    return found


async def _one(visit: Visit) -> EventView:
    event, objects = _find(visit), visit.services.store.reader
    is_thin = isinstance(event, ThinEvent)
    endpoints = objects.fetch_all(WebhookEndpoint, livemode=visit.livemode)
    deliveries = objects.fetch_all(Delivery, event=event.id)
    told = {delivery.endpoint for delivery in deliveries}
    about = {} if isinstance(event, ThinEvent) else event.data["object"]
    triggered = about if about.get("object") == "billing.alert_triggered" else {}
    return EventView(
        id=event.id,
        type=event.type,
        created_ms=_created_ms(event),
        request_id=event.request_id or "",
        alert=triggered["alert"]["id"] if triggered else "",
        customer=triggered["customer"] if triggered else "",
        deliveries=[_delivery_line(visit, event.id, delivery) for delivery in deliveries],
        others=[
            (endpoint.id, endpoint.url)
            for endpoint in endpoints
            if endpoint.id not in told
            and endpoint.status == "enabled"
            and (endpoint.event_payload == "thin") == is_thin
        ],
        json=render_thin_event(event) if isinstance(event, ThinEvent) else render(objects, event),
    )


def _delivery_line(visit: Visit, event_id: str, delivery: Delivery) -> DeliveryLine:
    receiver = find_receiver(visit, delivery.endpoint)
    can_resend = receiver is not None and receiver.status == "enabled"
    return DeliveryLine(
        href=visit.url(f"/deliveries/{delivery_id(delivery)}"),
        endpoint=delivery.endpoint,
        name=receiver_name(receiver) if receiver else "",
        endpoint_href=receiver_href(visit, receiver) if receiver else "",
        resend=visit.url(f"/events/{event_id}/resend") if can_resend else "",
        again=again_words(delivery),
        state=state_of_delivery(delivery),
        attempts=delivery.attempts,
        next_ms=delivery.next_attempt_at_ms or 0,
    )


async def _resend(visit: Visit) -> Done:
    event = _find(visit)
    again = await resend(visit, visit.typed("endpoint"), event.id)
    return Done(visit.url(f"/deliveries/{again}"), notice="delivery_resent")


ROUTES: list[Route] = [
    Page(
        path="/events/told",
        template="events.html",
        view=_list(Event),
        section="/events",
        is_live=True,
    ),
    Page(
        path="/events/thin",
        template="events.html",
        view=_list(ThinEvent),
        section="/events",
        is_live=True,
    ),
    Page(
        path="/events/{id}",
        template="event.html",
        view=_one,
        section="/events",
        is_live=True,
        finds=(Event, ThinEvent),
    ),
    Action(path="/events/{id}/resend", act=_resend),
]
