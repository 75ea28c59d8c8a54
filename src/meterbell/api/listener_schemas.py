"""What the answers about listeners look like, as JSON schemas."""

from meterbell.api.schema_parts import (
    FLAG,
    INTEGER,
    NULL_TEXT,
    TEXT,
    TIME,
    Schema,
    list_of,
    object_of,
    one_of,
    or_null,
    record_of,
)

LISTENER_SCHEMAS: dict[str, Schema] = {
    "stripecli_session": object_of(
        {
            "websocket_id": {**TEXT, "description": "Goes into the header `Websocket-Id`."},
            "websocket_url": TEXT,
            "websocket_authorized_feature": TEXT,
            "secret": {**TEXT, "description": "Signs what is sent; the same for everybody."},
            "reconnect_delay": {**INTEGER, "description": "Seconds until the next connection."},
            "default_version": TEXT,
            "latest_version": TEXT,
            "display_connect_filter_warning": FLAG,
            "since": {**TEXT, "description": "Ours: the event after which it was asked to begin."},
            "thin_since": {**TEXT, "description": "Ours: the same for thin events."},
        },
        optional=frozenset({"since", "thin_since"}),
    ),
    "listener": record_of(
        "listener",
        {
            "id": TEXT,
            "created": TIME,
            "device_name": TEXT,
            "features": list_of(one_of("webhooks", "v2_events", "request_logs")),
            "forward_to": NULL_TEXT,
            "forward_thin_to": NULL_TEXT,
            "seen_at": or_null(TIME),
            "status": one_of("connected", "away", "ended"),
            "types": list_of(TEXT),
        },
    ),
    "listener_answer": record_of(
        "listener_answer",
        {
            "id": TEXT,
            "created": TIME,
            "event": TEXT,
            "response": {**TEXT, "description": "How its body begins."},
            "status": INTEGER,
            "url": TEXT,
        },
    ),
}
