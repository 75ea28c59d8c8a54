"""Webhooks: the list of endpoints, how each is, and how its deliveries go."""

from dataclasses import dataclass

from meterbell.dashboard.attempt_figures import Went
from meterbell.dashboard.endpoints import ALL_EVENTS
from meterbell.dashboard.receivers import state_of_receiver
from meterbell.dashboard.states import State, outcome_words
from meterbell.dashboard.visit import Nav, Page, Route, Visit
from meterbell.records import WebhookEndpoint

_NAMED_EVENTS = 2


@dataclass(frozen=True, slots=True)
class EndpointLine:
    """One endpoint."""

    url: str
    href: str
    label: str
    kind: str
    events: str
    state: State
    went: "WentLine"


@dataclass(frozen=True, slots=True)
class WentLine:
    """How attempts of the last 24 hours went; `rate` is empty if there were none."""

    rate: str
    tone: str
    attempts: int
    p50_ms: int
    p95_ms: int
    since_ms: int
    error: str
    error_ms: int


@dataclass(frozen=True, slots=True)
class WebhooksView:
    """All endpoints: there are at most as many as the API allows."""

    lines: list[EndpointLine]


async def _view(visit: Visit) -> WebhooksView:
    objects = visit.services.store.reader
    went = await visit.figures.attempts.last_day()
    lines = [
        _line(visit, endpoint, went.get(endpoint.id) or Went())
        for endpoint in objects.fetch_all(WebhookEndpoint, livemode=visit.livemode)
    ]
    return WebhooksView(lines[::-1])


def _line(visit: Visit, endpoint: WebhookEndpoint, went: Went) -> EndpointLine:
    return EndpointLine(
        url=endpoint.url,
        href=visit.url(f"/webhooks/{endpoint.id}"),
        label=endpoint.name or endpoint.description or "",
        kind=kind_of(endpoint),
        events=events_of(endpoint),
        state=state_of_receiver(visit, endpoint),
        went=went_line(went),
    )


def kind_of(endpoint: WebhookEndpoint) -> str:
    """Return what kind an endpoint is of; empty for the usual one."""
    return f"Event destination, {endpoint.event_payload}" if endpoint.is_destination else ""


def events_of(endpoint: WebhookEndpoint) -> str:
    """Return what an endpoint is subscribed to, in short."""
    names = endpoint.enabled_events
    if ALL_EVENTS in names:
        return "All events"
    more = len(names) - _NAMED_EVENTS
    return ", ".join(names[:_NAMED_EVENTS]) + (f" and {more} more" if more > 0 else "")


def went_line(went: Went) -> WentLine:
    """Return figures of attempts as they are shown; a rate is never rounded up to all."""
    thousandths = went.succeeded * 1000 // went.attempts if went.attempts else 0
    rate = f"{thousandths // 10}.{thousandths % 10} %" if thousandths % 10 else ""
    return WentLine(
        rate=(rate or f"{thousandths // 10} %") if went.attempts else "",
        tone="" if went.succeeded == went.attempts else "bad",
        attempts=went.attempts,
        p50_ms=went.p50_ms,
        p95_ms=went.p95_ms,
        since_ms=went.since_ms,
        error=outcome_words(went.error) if went.error else "",
        error_ms=went.error_ms,
    )


ROUTES: list[Route] = [
    Page(
        path="/webhooks",
        template="webhooks.html",
        view=_view,
        nav=Nav("Webhooks", "webhook"),
        is_live=True,
    )
]
