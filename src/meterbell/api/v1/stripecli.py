"""What the Stripe CLI asks for besides everybody's routes: to listen, and events once more."""

import re
from typing import Any

from meterbell.api.call import Call, Operation, no_such_in_body
from meterbell.api.find import find_in_body, find_in_path
from meterbell.api.params import ID_LENGTH_MAX, Array, Boolean, Choice, Text
from meterbell.api.v1.cli_filters import read_filters
from meterbell.api.v1.events import render
from meterbell.delivery.listener_sessions import Wish, begin_listener, send_again
from meterbell.delivery.listener_streams import FEATURES
from meterbell.errors import InvalidParamError
from meterbell.ledger.deliveries import resend
from meterbell.ledger.transaction import Transaction
from meterbell.records import Event, ThinEvent, WebhookEndpoint
from meterbell.store.objects import Objects
from meterbell.wire.stripecli import bare_address, render_session
from meterbell.wire.versions import DEFAULT_API_VERSION

SUBSCRIBE_PATH = "/v1/stripecli/subscribe"
"""Where listeners connect."""

RECONNECT_SECONDS = 60
"""After how long the Stripe CLI begins a new connection: its own way to notice dead ones."""

_START, _NOW = "start", "now"
_HOST = re.compile(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")
_ADDRESS = Text(
    length_max=2000, can_unset=True, description="Where events are posted to, for people to read."
)


async def _begin(call: Call) -> dict[str, Any]:
    """Return a session: what it proves itself with, and where it connects.

    The answer is not kept for repeats, since it holds secrets.
    """
    url = _websocket_url(call)
    params, services = call.params, call.services
    features = list(dict.fromkeys(params["websocket_features"]))
    since, thin_since = params.get("since"), params.get("thin_since")
    filters = read_filters(params.get("filters", "{}"))
    objects = services.store.reader
    wish = Wish(
        livemode=call.livemode,
        key=call.key_id,
        device_name=params.get("device_name", ""),
        features=features,
        forward_to=_address(call, "forward_to_url", "forward_connect_to_url"),
        thin_forward_to=_address(call, "forward_thin_to_url", "forward_thin_connect_to_url"),
        filters=filters,
        types=params.get("types", []),
        resumes=since is not None or thin_since is not None,
        event_cursor=_number(call, objects, Event, since, param="since"),
        thin_cursor=_number(call, objects, ThinEvent, thin_since, param="thin_since"),
    )
    begun = await services.committer.execute(
        lambda transaction: begin_listener(
            transaction, wish, vault=services.vault, connected=services.listeners.connected
        )
    )
    session = render_session(
        websocket_id=begun.token,
        url=url,
        features=features,
        secret=begun.secret,
        version=DEFAULT_API_VERSION,
        seconds=RECONNECT_SECONDS,
    )
    if wish.resumes:
        session["since"] = begun.since or _START
        session["thin_since"] = begun.thin_since or _START
    return session


def _websocket_url(call: Call) -> str:
    """Return where to connect, as whoever asks sees this server.

    Raises:
        InvalidParamError: The request does not say how it found this server.
    """
    host = call.headers.get(b"host", b"").decode("latin-1")
    if not _HOST.fullmatch(host):
        raise InvalidParamError("The request's Host header is missing, or names no host.")
    is_secure = call.headers.get(b"x-forwarded-proto", b"").lower() == b"https"
    return f"{'wss' if is_secure else 'ws'}://{host}{SUBSCRIBE_PATH}"


def _address(call: Call, *names: str) -> str | None:
    given = [address for name in names if (address := call.params.get(name))]
    return bare_address(given[0]) if given else None


def _number(
    call: Call, objects: Objects, record: type[Event | ThinEvent], since: str | None, *, param: str
) -> int | None:
    """Return the number after which events are wanted; None for the newest.

    Raises:
        InvalidParamError: There is no such event.
    """
    if since is None or since == _NOW:
        return None
    if since == _START:
        return 0
    number = objects.number_of(record, since, livemode=call.livemode)
    if number is None:
        raise no_such_in_body("event", since, param=param)
    return number


def _retry(call: Call, transaction: Transaction) -> dict[str, Any]:
    objects, params = transaction.objects, call.params
    event = find_in_path(objects, call, Event, noun="event", placeholder="id")
    endpoint_id = params.get("webhook_endpoint")
    if endpoint_id is None and not params.get("for_stripecli"):
        raise InvalidParamError(
            "Say where the event is to go again: for_stripecli=true, or webhook_endpoint=we_….",
            param="webhook_endpoint",
            code="parameter_missing",
        )
    if endpoint_id is not None:
        endpoint = find_in_body(
            objects,
            call,
            WebhookEndpoint,
            endpoint_id,
            noun="webhook endpoint",
            param="webhook_endpoint",
        )
        if endpoint.event_payload == "thin" or endpoint.status == "disabled":
            raise InvalidParamError(
                f"The webhook endpoint {endpoint.id} does not take this event: it is disabled, or "
                "takes thin events only.",
                param="webhook_endpoint",
            )
        resend(transaction, event, endpoint)
    if params.get("for_stripecli"):
        send_again(transaction, event, connected=call.services.listeners.connected)
        transaction.after_commit(call.services.feed.notify)
    return render(objects, event)


OPERATIONS = [
    Operation(
        method="POST",
        path="/v1/stripecli/sessions",
        summary="Begin to listen over a websocket, for the Stripe CLI and `meterbell listen`",
        returns="stripecli_session",
        params={
            "device_name": Text(length_max=255, can_unset=True, description="For people to read."),
            "websocket_features": Array(
                item=Choice(values=FEATURES), required=True, description="What to receive."
            ),
            "forward_to_url": _ADDRESS,
            "forward_connect_to_url": _ADDRESS,
            "forward_thin_to_url": _ADDRESS,
            "forward_thin_connect_to_url": _ADDRESS,
            "filters": Text(length_max=5000, description="JSON: which requests to receive."),
            "since": Text(
                length_max=ID_LENGTH_MAX,
                description="Ours: begin after this event, with the oldest (`start`) or `now`.",
            ),
            "thin_since": Text(
                length_max=ID_LENGTH_MAX, description="Ours: the same for thin events."
            ),
            "types": Array(
                item=Text(length_max=100),
                description="Ours: only these types of events, or beginnings and `*`.",
            ),
        },
        answer=_begin,
    ),
    Operation(
        method="POST",
        path="/v1/events/{id}/retry",
        summary="Send an event again, to listeners or to a webhook endpoint",
        returns="event",
        params={
            "for_stripecli": Boolean(description="To everybody who listens."),
            "webhook_endpoint": Text(length_max=ID_LENGTH_MAX, description="To this endpoint."),
        },
        write=_retry,
    ),
]
