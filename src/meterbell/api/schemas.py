"""What answers look like, as JSON schemas: written once, as data, beside `wire.objects`."""

from meterbell.api.delivery_schemas import DELIVERY_SCHEMAS
from meterbell.api.insight_schemas import INSIGHT_SCHEMAS
from meterbell.api.listener_schemas import LISTENER_SCHEMAS
from meterbell.api.schema_parts import (
    ANY_OBJECT,
    FLAG,
    INTEGER,
    NULL_TEXT,
    TEXT,
    TEXTS,
    TIME,
    Schema,
    deleted_of,
    list_of,
    object_of,
    one_of,
    or_null,
    record_of,
    ref,
)

_ADDRESS = or_null(
    object_of(
        dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"), NULL_TEXT)
    )
)

_CUSTOMER = record_of(
    "customer",
    {
        "id": TEXT,
        "created": TIME,
        "email": NULL_TEXT,
        "name": NULL_TEXT,
        "phone": NULL_TEXT,
        "description": NULL_TEXT,
        "metadata": TEXTS,
        "address": _ADDRESS,
        "shipping": or_null(
            object_of(
                {
                    "address": _ADDRESS,
                    "carrier": NULL_TEXT,
                    "name": NULL_TEXT,
                    "phone": NULL_TEXT,
                    "tracking_number": NULL_TEXT,
                }
            )
        ),
        "balance": INTEGER,
        "business_name": NULL_TEXT,
        "currency": NULL_TEXT,
        "customer_account": NULL_TEXT,
        "default_source": NULL_TEXT,
        "delinquent": or_null(FLAG),
        "discount": or_null(ANY_OBJECT),
        "individual_name": NULL_TEXT,
        "invoice_prefix": NULL_TEXT,
        "invoice_settings": ANY_OBJECT,
        "next_invoice_sequence": INTEGER,
        "preferred_locales": or_null(list_of(TEXT)),
        "tax_exempt": or_null(one_of("exempt", "none", "reverse")),
        "test_clock": NULL_TEXT,
    },
)
_CUSTOMER_PAGE = record_of(
    "customer_page",
    {
        "allow_alerts": FLAG,
        "customer": TEXT,
        "expires_at": {**TIME, "description": "When the link ends, in Unix seconds."},
        "frame_origins": list_of(TEXT),
        "url": {**TEXT, "description": "Whoever has it sees the page."},
    },
)
_METER = record_of(
    "billing.meter",
    {
        "id": TEXT,
        "created": TIME,
        "updated": TIME,
        "display_name": TEXT,
        "event_name": TEXT,
        "status": one_of("active", "inactive"),
        "status_transitions": object_of({"deactivated_at": or_null(TIME)}),
        "default_aggregation": object_of({"formula": one_of("count", "last", "sum")}),
        "customer_mapping": object_of({"event_payload_key": TEXT, "type": one_of("by_id")}),
        "value_settings": object_of({"event_payload_key": TEXT}),
        "event_time_window": or_null(one_of("day", "hour")),
    },
)
_METER_EVENT = record_of(
    "billing.meter_event",
    {
        "created": TIME,
        "event_name": TEXT,
        "identifier": TEXT,
        "payload": TEXTS,
        "timestamp": TIME,
    },
)
_ADJUSTMENT = record_of(
    "billing.meter_event_adjustment",
    {
        "cancel": object_of({"identifier": TEXT}),
        "event_name": TEXT,
        "status": one_of("complete", "pending"),
        "type": one_of("cancel"),
    },
)
_SUMMARY = record_of(
    "billing.meter_event_summary",
    {
        "id": TEXT,
        "aggregated_value": {"type": "number", "description": "Exact to its last digit."},
        "start_time": {**TIME, "description": "Unix seconds; included."},
        "end_time": {**TIME, "description": "Unix seconds; not included."},
        "meter": TEXT,
    },
)
_ALERT = record_of(
    "billing.alert",
    {
        "id": TEXT,
        "alert_type": one_of("usage_threshold"),
        "title": TEXT,
        "status": one_of("active", "inactive", "archived"),
        "usage_threshold": object_of(
            {
                "gte": INTEGER,
                "meter": {"anyOf": [TEXT, ref("billing.meter")]},
                "recurrence": one_of("one_time"),
                "filters": or_null(
                    list_of(
                        object_of(
                            {
                                "type": one_of("customer"),
                                "customer": {
                                    "anyOf": [TEXT, ref("customer"), ref("deleted_customer")]
                                },
                            }
                        )
                    )
                ),
                "baseline": {
                    **one_of("creation", "lifetime"),
                    "description": "Ours: whether usage from before the alert counts.",
                },
            }
        ),
    },
)
_TRIGGERED = record_of(
    "billing.alert_triggered",
    {
        "alert": ref("billing.alert"),
        "created": TIME,
        "customer": TEXT,
        "value": {**INTEGER, "description": "Usage when it triggered, rounded down."},
        "value_decimal": {**TEXT, "description": "Ours: the same, exactly."},
    },
)
_EVENT = record_of(
    "event",
    {
        "id": TEXT,
        "api_version": NULL_TEXT,
        "created": TIME,
        "data": object_of(
            {"object": ANY_OBJECT, "previous_attributes": ANY_OBJECT},
            optional=frozenset({"previous_attributes"}),
        ),
        "pending_webhooks": INTEGER,
        "request": or_null(object_of({"id": NULL_TEXT, "idempotency_key": NULL_TEXT})),
        "type": TEXT,
    },
)
_ENDPOINT = record_of(
    "webhook_endpoint",
    {
        "id": TEXT,
        "api_version": NULL_TEXT,
        "application": NULL_TEXT,
        "created": TIME,
        "description": NULL_TEXT,
        "enabled_events": list_of(TEXT),
        "metadata": TEXTS,
        "secret": {
            **TEXT,
            "description": "Signs deliveries; only the answer that makes it has it.",
        },
        "standard_webhooks": {**FLAG, "description": "Ours."},
        "status": one_of("enabled", "disabled"),
        "url": TEXT,
    },
    optional=frozenset({"secret"}),
)
_CHANNEL = record_of(
    "notification_channel",
    {
        "id": TEXT,
        "alerts": {
            **or_null(list_of(TEXT)),
            "description": "Ids of the alerts that it tells of; null for all.",
        },
        "body": {**TEXT, "description": "Template of the text."},
        "created": TIME,
        "name": TEXT,
        "service": {**TEXT, "description": "What its URL leads to."},
        "status": one_of("enabled", "disabled"),
        "title": {**TEXT, "description": "Template of the title."},
        "url": {**TEXT, "description": "Without its secrets."},
    },
)
_CHANNEL_TEST = record_of(
    "notification_channel_test",
    {
        "channel": TEXT,
        "duration_ms": INTEGER,
        "outcome": {**TEXT, "description": "`succeeded`, or what went wrong."},
        "response": {**TEXT, "description": "The beginning of what the service said."},
        "status_code": or_null(INTEGER),
        "succeeded": FLAG,
    },
)
_REQUEST = object_of(
    {
        "id": TEXT,
        "object": one_of("request"),
        "created": TIME,
        "duration_us": {**INTEGER, "description": "Microseconds until it was answered."},
        "error": or_null(
            object_of({"type": NULL_TEXT, "code": NULL_TEXT, "param": NULL_TEXT, "message": TEXT})
        ),
        "key_last4": {**NULL_TEXT, "description": "Of the API key, if it is known."},
        "livemode": {**or_null(FLAG), "description": "Null where the key names no mode."},
        "method": TEXT,
        "path": TEXT,
        "skipped": {
            **INTEGER,
            "description": "How many requests before this one are missing in the log.",
        },
        "status": INTEGER,
    }
)
_ERROR = object_of(
    {
        "error": object_of(
            {
                "type": one_of("api_error", "idempotency_error", "invalid_request_error"),
                "code": {**TEXT, "description": "A short reason for programs."},
                "message": {**TEXT, "description": "What was wrong and what to do, for people."},
                "param": {**TEXT, "description": "The parameter at fault."},
            },
            optional=frozenset({"code", "param"}),
        )
    }
)

SCHEMAS: dict[str, Schema] = {
    "customer": _CUSTOMER,
    "deleted_customer": deleted_of("customer"),
    "customer_or_deleted": {"anyOf": [ref("customer"), ref("deleted_customer")]},
    "customer_page": _CUSTOMER_PAGE,
    "billing.meter": _METER,
    "billing.meter_event": _METER_EVENT,
    "billing.meter_event_adjustment": _ADJUSTMENT,
    "billing.meter_event_summary": _SUMMARY,
    "billing.alert": _ALERT,
    "billing.alert_triggered": _TRIGGERED,
    **DELIVERY_SCHEMAS,
    **INSIGHT_SCHEMAS,
    "event": _EVENT,
    "webhook_endpoint": _ENDPOINT,
    "deleted_webhook_endpoint": deleted_of("webhook_endpoint"),
    "notification_channel": _CHANNEL,
    "deleted_notification_channel": deleted_of("notification_channel"),
    "notification_channel_test": _CHANNEL_TEST,
    "request": _REQUEST,
    **LISTENER_SCHEMAS,
    "error": _ERROR,
}


def schema_of_answer(returns: str) -> Schema:
    """Return the schema that an `Operation.returns` names; `list:…` is a list of that."""
    kind = returns.removeprefix("list:")
    if kind == returns:
        return ref(kind)
    return object_of(
        {
            "object": one_of("list"),
            "data": list_of(ref(kind)),
            "has_more": {**FLAG, "description": "Whether there is another page."},
            "url": TEXT,
        }
    )
