"""What the Stripe CLI is told over its websocket, and what it tells. Pure."""

import re
from typing import Any

import msgspec
from msgspec import Struct

from meterbell.records import RequestEntry
from meterbell.wire.json import encode_json

SUBPROTOCOL = "stripecli-devproxy-v1"
FIRST, AGAIN = "we_listener", "we_listener_again"
"""Whom a frame names as its webhook: at first, and when somebody asked for the event again."""

UNKNOWN_SESSION = {"error": {"message": "Unknown WebSocket ID."}}
"""Exactly this makes the CLI open a new session; after any other refusal it tries again."""

_USER = re.compile(r"^([a-zA-Z][a-zA-Z0-9+.-]*://)?[^/@]*@")
_HEADERS = {
    "Accept": "*/*",
    "Cache-Control": "no-cache",
    "Content-Type": "application/json; charset=utf-8",
    "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
}


class EventAck(Struct, frozen=True, tag="event_ack", tag_field="type"):
    """A frame was seen.

    Attributes:
        webhook_conversation_id: What the frame said; empty for thin events.
    """

    event_id: str
    webhook_conversation_id: str = ""


class WebhookResponse(Struct, frozen=True, tag="webhook_response", tag_field="type"):
    """What a local server answered to an event.

    Attributes:
        notification_id: Id of the event.
        body: Its first bytes.
    """

    forward_url: str
    status: int
    webhook_conversation_id: str = ""
    notification_id: str = ""
    body: str = ""


Told = EventAck | WebhookResponse
_decoder: msgspec.json.Decoder[Told] = msgspec.json.Decoder(Told)


def parse_told(message: str | bytes) -> Told | None:
    """Return what a message of the CLI says; None for what is of no interest here."""
    try:
        return _decoder.decode(message)
    except (msgspec.MsgspecError, UnicodeError):
        return None


def render_snapshot(
    *, webhook: str, conversation: str, payload: bytes, signature: str, api_version: str | None
) -> bytes:
    """Return the frame of an event.

    Args:
        webhook: `FIRST` or `AGAIN`.
        conversation: Comes back with what the CLI tells of it.
        payload: The exact body of the webhook.
        signature: Of that body.
        api_version: None for listeners of the account's default version, who get no others.
    """
    return encode_json(
        {
            "type": "webhook_event",
            "webhook_id": webhook,
            "webhook_conversation_id": conversation,
            "endpoint": {"api_version": api_version},
            "event_payload": payload.decode(),
            "http_headers": {**_HEADERS, "Stripe-Signature": signature},
        }
    )


def render_thin(*, payload: bytes, signature: str) -> bytes:
    """Return the frame of a thin event.

    Args:
        payload: The exact body of the webhook.
        signature: Of that body.
    """
    return encode_json(
        {
            "type": "v2_event",
            "destination_id": "ed_listener",
            "payload": payload.decode(),
            "http_headers": {**_HEADERS, "Stripe-Signature": signature},
        }
    )


def render_request_log(entry: RequestEntry) -> bytes:
    """Return the frame of a request that was answered."""
    error = {
        "type": entry.error_type,
        "code": entry.error_code,
        "message": entry.error_message,
        "param": entry.error_param,
    }
    payload = {
        "created_at": entry.created_ms // 1000,
        "livemode": bool(entry.livemode),
        "method": entry.method,
        "request_id": entry.id,
        "status": entry.status,
        "url": entry.path,
        "error": {name: text for name, text in error.items() if text is not None},
    }
    return encode_json(
        {
            "type": "request_log_event",
            "request_log_id": entry.id,
            "event_payload": encode_json(payload).decode(),
        }
    )


def render_session(
    *, websocket_id: str, url: str, features: list[str], secret: str, version: str, seconds: int
) -> dict[str, Any]:
    """Return what tells the CLI where and how to connect.

    Args:
        websocket_id: What the CLI proves itself with.
        url: Where to connect; without a query, which the CLI adds.
        features: What it may receive.
        secret: What events are signed with.
        version: Of the API.
        seconds: After how long the CLI begins a new connection.
    """
    return {
        "websocket_id": websocket_id,
        "websocket_url": url,
        "websocket_authorized_feature": ",".join(features),
        "secret": secret,
        "reconnect_delay": seconds,
        "default_version": version,
        "latest_version": version,
        "display_connect_filter_warning": False,
    }


def bare_address(text: str) -> str:
    """Return where something is posted to, without what may be secret: user, password, query."""
    return _USER.sub(lambda match: match[1] or "", text.partition("?")[0].partition("#")[0])
