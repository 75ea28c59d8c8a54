"""Ours, beside Stripe's webhook endpoints: how they are, their deliveries, sending again.

Webhook endpoints of v1, event destinations of v2 and notification channels are the same here.
"""

from typing import Any

from meterbell.api.call import Call, Operation, no_such, no_such_in_body
from meterbell.api.find import find_in_path
from meterbell.api.lists import LIMIT_DEFAULT, PAGING, envelope, require_one_cursor
from meterbell.api.params import ID_LENGTH_MAX, Choice, Integer, Text
from meterbell.channel import CHANNEL_PREFIX, NotificationChannel
from meterbell.errors import InvalidParamError
from meterbell.ledger.deliveries import PIECE_MAX, Receiver, resend, resend_failed
from meterbell.ledger.transaction import Transaction
from meterbell.records import Delivery, Event, ThinEvent, WebhookEndpoint
from meterbell.store.deliveries import (
    STATUSES,
    find_attempts,
    find_endpoint_facts,
    page_deliveries,
)
from meterbell.store.objects import Objects
from meterbell.wire.deliveries import (
    parse_delivery_id,
    render_delivery,
    render_health,
    render_resent,
)
from meterbell.wire.objects import render_webhook_endpoint

_PATH = "/meterbell/webhook_endpoints/{id}"
_TRIGGERED = "billing.alert.triggered"
_PING = "meterbell.webhook_endpoint.ping"
_THIN_PING, _DESTINATION = "v2.core.event_destination.ping", "v2.core.event_destination"
_ATTEMPTS_SHOWN = 20
_TIME_MAX = 10**11


def _find(objects: Objects, call: Call) -> Receiver:
    if call.ids["id"].startswith(CHANNEL_PREFIX):
        noun = "notification channel"
        return find_in_path(objects, call, NotificationChannel, noun=noun, placeholder="id")
    return find_in_path(objects, call, WebhookEndpoint, noun="webhook endpoint", placeholder="id")


def _find_enabled(objects: Objects, call: Call) -> Receiver:
    endpoint = _find(objects, call)
    if endpoint.status == "disabled":
        raise InvalidParamError(
            f"{endpoint.id} is disabled. Enable it first: disabled=false for a webhook endpoint or "
            "a notification channel, /enable for an event destination."
        )
    return endpoint


def _health(call: Call) -> dict[str, Any]:
    objects = call.services.store.reader
    endpoint = _find(objects, call)
    facts = find_endpoint_facts(objects, endpoint.id, attempts_max=_ATTEMPTS_SHOWN)
    return render_health(
        endpoint,
        facts.health,
        counts=facts.counts,
        attempts=facts.attempts,
        now_ms=call.services.clock.now_ms(),
    )


def _delivery(objects: Objects, endpoint: Receiver, text: str) -> Delivery | None:
    number = parse_delivery_id(text)
    if number is None:
        return None
    return objects.fetch(Delivery, number=number, endpoint=endpoint.id)


def _cursor(objects: Objects, call: Call, endpoint: Receiver, param: str) -> int | None:
    """Return the number of the delivery that a parameter names; None if it was not sent."""
    if param not in call.params:
        return None
    found = _delivery(objects, endpoint, call.params[param])
    if found is None:
        raise no_such_in_body("delivery", call.params[param], param=param)
    return found.number


def _list(call: Call) -> dict[str, Any]:
    require_one_cursor(call)
    objects, params = call.services.store.reader, call.params
    endpoint = _find(objects, call)
    page = page_deliveries(
        objects,
        endpoint.id,
        statuses=[params["status"]] if "status" in params else STATUSES,
        limit=params.get("limit", LIMIT_DEFAULT),
        after=_cursor(objects, call, endpoint, "starting_after"),
        before=_cursor(objects, call, endpoint, "ending_before"),
    )
    return envelope(call, [render_delivery(one) for one in page.items], has_more=page.has_more)


def _retrieve(call: Call) -> dict[str, Any]:
    objects = call.services.store.reader
    delivery = _delivery(objects, _find(objects, call), call.ids["delivery"])
    if delivery is None:
        raise no_such("delivery", call.ids["delivery"])
    return render_delivery(delivery, attempts=find_attempts(objects, delivery))


def _resend(call: Call, transaction: Transaction) -> dict[str, Any]:
    objects = transaction.objects
    endpoint = _find_enabled(objects, call)
    event_id = call.params["event"]
    is_channel = isinstance(endpoint, NotificationChannel)
    is_thin = isinstance(endpoint, WebhookEndpoint) and endpoint.event_payload == "thin"
    event: Event | ThinEvent | None
    if is_thin:
        event = objects.get(ThinEvent, event_id, livemode=call.livemode)
    else:
        event = objects.get(Event, event_id, livemode=call.livemode)
    if event is None:
        raise no_such_in_body("thin event" if is_thin else "event", event_id, param="event")
    if is_channel and event.type != _TRIGGERED:
        raise InvalidParamError(
            f"A notification channel is told of {_TRIGGERED} events only; this is {event.type}.",
            param="event",
        )
    return render_delivery(resend(transaction, event, endpoint))


def _resend_failed(call: Call, transaction: Transaction) -> dict[str, Any]:
    endpoint = _find_enabled(transaction.objects, call)
    resent = resend_failed(
        transaction,
        endpoint,
        since_ms=call.params["since"] * 1000,
        after=_cursor(transaction.objects, call, endpoint, "starting_after") or 0,
    )
    return render_resent(endpoint, count=len(resent.deliveries), last=resent.last)


def _ping(call: Call, transaction: Transaction) -> dict[str, Any]:
    """Make an event for one endpoint alone, whatever that is subscribed to."""
    endpoint = _find_enabled(transaction.objects, call)
    if isinstance(endpoint, NotificationChannel):
        raise InvalidParamError(
            "A notification channel is tested by POST /v1/notification_channels/{id}/test."
        )
    if endpoint.is_destination:
        transaction.emit_thin(
            _THIN_PING,
            livemode=call.livemode,
            related=(_DESTINATION, endpoint.id),
            to=endpoint,
            cause=call.cause,
        )
    else:
        transaction.emit(
            _PING,
            render_webhook_endpoint(endpoint),
            livemode=call.livemode,
            to=endpoint,
            cause=call.cause,
        )
    return render_delivery(transaction.deliveries[-1])


OPERATIONS = [
    Operation(
        method="GET",
        path=f"{_PATH}/health",
        summary="Tell how an endpoint is: circuit, deliveries, why it is disabled",
        returns="meterbell.webhook_endpoint_health",
        read=_health,
    ),
    Operation(
        method="GET",
        path=f"{_PATH}/deliveries",
        summary="List an endpoint's deliveries",
        returns="list:meterbell.delivery",
        params={"status": Choice(values=STATUSES), **PAGING},
        read=_list,
    ),
    Operation(
        method="GET",
        path=f"{_PATH}/deliveries/{{delivery}}",
        summary="Retrieve a delivery with its attempts",
        returns="meterbell.delivery",
        read=_retrieve,
    ),
    Operation(
        method="POST",
        path=f"{_PATH}/resend",
        summary="Send an event to an endpoint again, or for the first time",
        returns="meterbell.delivery",
        params={"event": Text(length_max=ID_LENGTH_MAX, required=True)},
        write=_resend,
    ),
    Operation(
        method="POST",
        path=f"{_PATH}/resend_failed",
        summary=f"Send an endpoint again what failed since a time, {PIECE_MAX} at a time",
        returns="meterbell.resent",
        params={
            "since": Integer(
                minimum=0,
                maximum=_TIME_MAX,
                required=True,
                description="Unix seconds: earlier deliveries stay as they are.",
            ),
            "starting_after": Text(
                length_max=ID_LENGTH_MAX, description="`last` of the answer before this one."
            ),
        },
        write=_resend_failed,
    ),
    Operation(
        method="POST",
        path=f"{_PATH}/ping",
        summary="Send an endpoint an event that says nothing, to see whether it arrives",
        returns="meterbell.delivery",
        write=_ping,
    ),
]
