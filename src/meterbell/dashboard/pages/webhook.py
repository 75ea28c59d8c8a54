"""One webhook endpoint: how it is, its deliveries by state, and what can be done about them."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from meterbell.dashboard.attempt_figures import Went
from meterbell.dashboard.endpoints import (
    delete_endpoint,
    find_endpoint,
    resend_failed,
    send_test_event,
    switch_endpoint,
)
from meterbell.dashboard.finding import find_event
from meterbell.dashboard.lists import PAGE_ITEMS
from meterbell.dashboard.pages.webhooks import WentLine, kind_of, went_line
from meterbell.dashboard.receivers import deliveries_to, state_of_receiver
from meterbell.dashboard.snippets import verify_snippet
from meterbell.dashboard.states import (
    State,
    again_words,
    outcome_words,
    state_of_delivery,
)
from meterbell.dashboard.tabs import Tab, filter_tabs
from meterbell.dashboard.visit import Action, Done, Page, Route, Visit
from meterbell.errors import InvalidParamError
from meterbell.records import (
    Attempt,
    Delivery,
    DeliveryStatus,
    WebhookEndpoint,
)
from meterbell.store import tables
from meterbell.store.deliveries import COUNT_MAX, STATUSES
from meterbell.wire.deliveries import delivery_id

_TABS: tuple[tuple[str, str, tuple[DeliveryStatus, ...]], ...] = (
    ("", "All", STATUSES),
    ("delivered", "Delivered", ("succeeded",)),
    ("pending", "Pending", ("pending",)),
    ("failed", "Failed", ("failed",)),
)
_ATTEMPTS_EACH = 12
"""Of a delivery with a full schedule."""

PERIODS = (
    ("3600", "the last hour"),
    ("86400", "the last 24 hours"),
    ("259200", "the last 3 days"),
    ("604800", "the last 7 days"),
    ("2592000", "the last 30 days"),
)
_delivery = tables.delivery.c


@dataclass(frozen=True, slots=True)
class DeliveryLine:
    """One event to the endpoint; `answer` is what came of the last attempt."""

    href: str
    resend: str
    again: str
    event: str
    event_type: str
    state: State
    attempts: int
    answer: str
    created_ms: int
    next_ms: int


@dataclass(frozen=True, slots=True)
class WebhookView:
    """Everything on the page.

    Attributes:
        periods: Since when to send again what failed: seconds, and words.
    """

    endpoint: WebhookEndpoint
    kind: str
    state: State
    went: WentLine
    tabs: list[Tab]
    lines: list[DeliveryLine]
    newer: str
    older: str
    periods: Sequence[tuple[str, str]]
    snippet: str


async def _view(visit: Visit) -> WebhookView:
    endpoint = find_endpoint(visit)
    went = (await visit.figures.attempts.last_day()).get(endpoint.id) or Went()
    here = visit.typed("state")
    counts = {status: _count(visit, endpoint, status) for status in STATUSES}
    statuses = next((found for key, _, found in _TABS if key == here), STATUSES)
    page = deliveries_to(visit, endpoint, statuses)
    answers = _answers(visit, page.items)
    return WebhookView(
        endpoint=endpoint,
        kind=kind_of(endpoint),
        state=state_of_receiver(visit, endpoint),
        went=went_line(went),
        tabs=filter_tabs(
            visit,
            "state",
            [
                (key, f"{label} {_counted(sum(counts[status] for status in found))}")
                for key, label, found in _TABS
            ],
        ),
        lines=[_line(visit, delivery, answers) for delivery in page.items],
        newer=page.newer,
        older=page.older,
        periods=PERIODS,
        snippet=verify_snippet(),
    )


def _count(visit: Visit, endpoint: WebhookEndpoint, status: DeliveryStatus) -> int:
    return visit.services.store.reader.count(
        Delivery,
        _delivery.endpoint == endpoint.id,
        _delivery.status == status,
        limit=COUNT_MAX,
    )


def _counted(number: int) -> str:
    return f"{number}" if number < COUNT_MAX else f"{COUNT_MAX}+"


def _answers(visit: Visit, deliveries: Sequence[Delivery]) -> Mapping[int, str]:
    """Return what came of the last attempt, by the deliveries' numbers."""
    attempts = visit.services.store.reader.find(
        Attempt,
        tables.attempt.c.delivery.in_([delivery.number for delivery in deliveries]),
        order_by=tables.attempt.c.number.desc(),
        limit=PAGE_ITEMS * _ATTEMPTS_EACH,
    )
    return {attempt.delivery: outcome_words(attempt.outcome) for attempt in reversed(attempts)}


def _line(visit: Visit, delivery: Delivery, answers: Mapping[int, str]) -> DeliveryLine:
    event = find_event(visit, delivery.event)
    href = visit.url(f"/deliveries/{delivery_id(delivery)}")
    return DeliveryLine(
        href=href,
        resend=f"{href}/resend",
        again=again_words(delivery),
        event=delivery.event,
        event_type=event.type if event else "",
        state=state_of_delivery(delivery),
        attempts=delivery.attempts,
        answer=answers.get(delivery.number, ""),
        created_ms=delivery.created_ms,
        next_ms=delivery.next_attempt_at_ms or 0,
    )


def _done(visit: Visit, notice: str) -> Done:
    return Done(visit.url(f"/webhooks/{visit.ids['id']}"), notice=notice)


def _switch(*, on: bool) -> Callable[[Visit], Awaitable[Done]]:
    async def act(visit: Visit) -> Done:
        await switch_endpoint(visit, find_endpoint(visit), on=on)
        return _done(visit, "webhook_enabled" if on else "webhook_disabled")

    return act


async def _delete(visit: Visit) -> Done:
    await delete_endpoint(visit, find_endpoint(visit))
    return Done(visit.url("/webhooks"), notice="webhook_deleted")


async def _test(visit: Visit) -> Done:
    made = await send_test_event(visit, visit.ids["id"])
    return Done(visit.url(f"/deliveries/{made}"), notice="test_event_sent")


async def resend_period(visit: Visit) -> str:
    """Send an endpoint or a channel again what failed in the chosen period; return the notice.

    Raises:
        RequestError: None was chosen, or the API would refuse it.
    """
    period = visit.typed("period")
    if period not in dict(PERIODS):
        raise InvalidParamError("Choose since when.", param="period")
    since = visit.services.clock.now_ms() // 1000 - int(period)
    is_all = await resend_failed(visit, visit.ids["id"], since=since)
    return "failed_resent" if is_all else "some_failed_resent"


async def _resend_failed(visit: Visit) -> Done:
    return _done(visit, await resend_period(visit))


ROUTES: list[Route] = [
    Page(
        path="/webhooks/{id}",
        template="webhook.html",
        view=_view,
        section="/webhooks",
        is_live=True,
        finds=WebhookEndpoint,
    ),
    Action(path="/webhooks/{id}/enable", act=_switch(on=True)),
    Action(path="/webhooks/{id}/disable", act=_switch(on=False)),
    Action(path="/webhooks/{id}/delete", act=_delete),
    Action(path="/webhooks/{id}/test", act=_test),
    Action(path="/webhooks/{id}/resend-failed", act=_resend_failed),
]
