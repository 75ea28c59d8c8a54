"""The exact bytes of a delivery: the same on every attempt (D1)."""

from typing import Any

from meterbell.records import Event, ThinEvent
from meterbell.wire.json import encode_json
from meterbell.wire.objects import render_event
from meterbell.wire.objects_v2 import render_notification

_PREVIEW = ".preview"


def event_body(event: Event | ThinEvent, *, api_version: str | None) -> bytes:
    """Return an event as one endpoint is told of it, byte by byte; see `event_json`."""
    return encode_json(event_json(event, api_version=api_version))


def event_json(event: Event | ThinEvent, *, api_version: str | None) -> dict[str, Any]:
    """Return an event as one endpoint is told of it.

    `pending_webhooks` is what it was when the event was made, so that a later attempt sends the
    same bytes. Preview versions write a trigger's `value` as an exact decimal string. A thin event
    is told without its data, and has no version.

    Args:
        event: As stored.
        api_version: The endpoint's own version; None for the event's.
    """
    if isinstance(event, ThinEvent):
        return render_notification(event)
    rendered = render_event(event, pending_webhooks=event.deliveries)
    if api_version is not None:
        rendered["api_version"] = api_version
        obj = event.data["object"]
        if api_version.endswith(_PREVIEW) and obj.get("object") == "billing.alert_triggered":
            rendered["data"] = {**event.data, "object": {**obj, "value": obj["value_decimal"]}}
    return rendered
