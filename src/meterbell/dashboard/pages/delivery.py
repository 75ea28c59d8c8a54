"""One delivery: what was sent where, each attempt with its answer, and sending it again."""

from collections.abc import Sequence
from dataclasses import dataclass

from meterbell.dashboard.endpoints import resend
from meterbell.dashboard.finding import find_event
from meterbell.dashboard.receivers import find_receiver, receiver_href, receiver_name
from meterbell.dashboard.states import State, again_words, state_of_attempt, state_of_delivery
from meterbell.dashboard.visit import Action, Done, Page, Route, Visit
from meterbell.delivery.sender import HEADERS
from meterbell.errors import NotFoundError
from meterbell.records import Attempt, Delivery, WebhookEndpoint
from meterbell.store import tables
from meterbell.wire.deliveries import delivery_id, parse_delivery_id
from meterbell.wire.events import event_json

_ATTEMPTS_MAX = 20
_ANSWER_BYTES_MAX = 2048


@dataclass(frozen=True, slots=True)
class AttemptLine:
    """One HTTP try; `answer` is the beginning of what came back, as text."""

    attempt: int
    is_manual: bool
    state: State
    started_ms: int
    duration_ms: int
    answer: str
    is_cut: bool


@dataclass(frozen=True, slots=True)
class DeliveryView:
    """Everything on the page.

    Attributes:
        name: Of the endpoint or channel; empty if it was deleted.
        more: Whether there were earlier attempts.
        headers: Of the request; what signs it is made anew for each attempt.
        body: Of the request; None if it is not told.
    """

    id: str
    delivery: Delivery
    name: str
    href: str
    is_enabled: bool
    event_type: str
    state: State
    again: str
    attempts: list[AttemptLine]
    more: bool
    headers: Sequence[tuple[str, str]]
    body: object


def _find(visit: Visit) -> Delivery:
    """Return the delivery that the path names.

    Raises:
        NotFoundError: There is none in this mode.
    """
    number = parse_delivery_id(visit.ids["id"])
    objects = visit.services.store.reader
    found = None if number is None else objects.fetch(Delivery, number=number)
    if found is None or found.livemode != visit.livemode:
        raise NotFoundError(f"There is no delivery {visit.ids['id'][:100]} in this mode.")
    return found


async def _view(visit: Visit) -> DeliveryView:
    delivery, objects = _find(visit), visit.services.store.reader
    receiver = find_receiver(visit, delivery.endpoint)
    endpoint = receiver if isinstance(receiver, WebhookEndpoint) else None
    event = find_event(visit, delivery.event)
    attempts = objects.find(
        Attempt,
        tables.attempt.c.delivery == delivery.number,
        order_by=tables.attempt.c.number.desc(),
        limit=_ATTEMPTS_MAX + 1,
    )
    return DeliveryView(
        id=delivery_id(delivery),
        delivery=delivery,
        name=receiver_name(receiver) if receiver else "",
        href=receiver_href(visit, receiver) if receiver else "",
        is_enabled=receiver is not None and receiver.status == "enabled",
        event_type=event.type if event else "",
        state=state_of_delivery(delivery),
        again=again_words(delivery),
        attempts=[_attempt_line(attempt) for attempt in attempts[:_ATTEMPTS_MAX]],
        more=len(attempts) > _ATTEMPTS_MAX,
        headers=_headers(endpoint, delivery) if endpoint else [],
        body=event_json(event, api_version=endpoint.api_version) if endpoint and event else None,
    )


def _attempt_line(attempt: Attempt) -> AttemptLine:
    return AttemptLine(
        attempt=attempt.attempt,
        is_manual=attempt.manual,
        state=state_of_attempt(attempt),
        started_ms=attempt.started_at_ms,
        duration_ms=attempt.duration_ms,
        answer=attempt.response[:_ANSWER_BYTES_MAX].decode(errors="replace"),
        is_cut=len(attempt.response) > _ANSWER_BYTES_MAX,
    )


def _headers(endpoint: WebhookEndpoint, delivery: Delivery) -> list[tuple[str, str]]:
    headers = [*HEADERS.items(), ("Stripe-Signature", "t=…,v1=…")]
    if endpoint.standard_webhooks:
        headers += [
            ("webhook-id", delivery.event),
            ("webhook-timestamp", "…"),
            ("webhook-signature", "v1,…"),
        ]
    return headers


async def _resend(visit: Visit) -> Done:
    delivery = _find(visit)
    again = await resend(visit, delivery.endpoint, delivery.event)
    return Done(visit.url(f"/deliveries/{again}"), notice="delivery_resent")


ROUTES: list[Route] = [
    Page(
        path="/deliveries/{id}",
        template="delivery.html",
        view=_view,
        section="/webhooks",
        is_live=True,
    ),
    Action(path="/deliveries/{id}/resend", act=_resend),
]
