"""Reads of deliveries and attempts for people: lists, counts, how an endpoint is. All bounded."""

from collections.abc import Sequence
from typing import NamedTuple, get_args

from meterbell.records import Attempt, Delivery, DeliveryStatus, EndpointHealth, WebhookEndpoint
from meterbell.store import tables
from meterbell.store.objects import Objects, Page

COUNT_MAX = 10_000
"""Where counting ends: more are told as this many."""

ATTEMPTS_MAX = 100
STATUSES: tuple[DeliveryStatus, ...] = get_args(DeliveryStatus)

_delivery = tables.delivery.c
_attempt = tables.attempt.c


class EndpointFacts(NamedTuple):
    """How an endpoint is and how its deliveries go.

    Attributes:
        counts: Deliveries by status, each `COUNT_MAX` at most.
        attempts: Of its newest deliveries, the newest first.
    """

    health: EndpointHealth
    counts: dict[DeliveryStatus, int]
    attempts: Sequence[Attempt]


def health_of(objects: Objects, endpoint_id: str) -> EndpointHealth:
    """Return how an endpoint is, as those who read these objects see it."""
    found = objects.fetch(EndpointHealth, endpoint=endpoint_id)
    return found or EndpointHealth(endpoint=endpoint_id)


def find_endpoint_facts(objects: Objects, endpoint_id: str, *, attempts_max: int) -> EndpointFacts:
    """Return how an endpoint is."""
    newest = page_deliveries(objects, endpoint_id, statuses=STATUSES, limit=attempts_max)
    attempts = objects.find(
        Attempt,
        _attempt.delivery.in_([delivery.number for delivery in newest.items]),
        order_by=_attempt.number.desc(),
        limit=attempts_max,
    )
    return EndpointFacts(
        health_of(objects, endpoint_id),
        {
            status: objects.count(
                Delivery,
                _delivery.endpoint == endpoint_id,
                _delivery.status == status,
                limit=COUNT_MAX,
            )
            for status in STATUSES
        },
        attempts,
    )


def find_outbox_readings(objects: Objects) -> dict[str, float]:
    """Return what metrics tell of the outbox and of endpoints, by the metrics' names."""
    health = tables.endpoint_health.c
    return {
        "meterbell_deliveries_pending": objects.count(
            Delivery, _delivery.next_attempt_at_ms.is_not(None), limit=COUNT_MAX
        ),
        "meterbell_circuits_open": objects.count(
            EndpointHealth, health.openings > 0, health.disabled_at_ms.is_(None)
        ),
        "meterbell_endpoints_disabled": objects.count(
            WebhookEndpoint, tables.webhook_endpoint.c.status == "disabled"
        ),
    }


def page_deliveries(
    objects: Objects,
    endpoint_id: str,
    *,
    statuses: Sequence[DeliveryStatus],
    limit: int,
    after: int | None = None,
    before: int | None = None,
) -> Page:
    """Return one page of an endpoint's deliveries, newest first.

    Args:
        objects: Where to read.
        endpoint_id: Whose.
        statuses: Which ones. Each is read by itself, in the order of the index.
        limit: Deliveries at most.
        after: Number of the delivery before the page in list order.
        before: Number of the delivery after the page in list order.
    """
    pages = [
        objects.page(
            Delivery,
            [_delivery.endpoint == endpoint_id, _delivery.status == status],
            limit=limit,
            after=after,
            before=before,
        )
        for status in statuses
    ]
    found = sorted(
        (one for page in pages for one in page.items), key=lambda one: one.number, reverse=True
    )
    kept = found[:limit] if before is None else found[-limit:]
    has_more = len(found) > limit or any(page.has_more for page in pages)
    return Page(kept, has_more, [one.number for one in kept])


def find_attempts(objects: Objects, delivery: Delivery) -> list[Attempt]:
    """Return a delivery's latest attempts, oldest first."""
    latest = objects.find(
        Attempt,
        _attempt.delivery == delivery.number,
        order_by=_attempt.number.desc(),
        limit=ATTEMPTS_MAX,
    )
    return latest[::-1]
