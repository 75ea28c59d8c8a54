"""What answers look like, as JSON schemas: written once, as data, beside `wire.objects`."""

from typing import Any, get_args

from meterbell.engine.explain import Outcome
from meterbell.records import DeliveryStatus

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_INTEGER: Schema = {"type": "integer"}
_TIME: Schema = {"type": "integer", "description": "Unix seconds."}
_FLAG: Schema = {"type": "boolean"}
_ANY_OBJECT: Schema = {"type": "object"}
_TEXTS: Schema = {"type": "object", "additionalProperties": _TEXT}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _one_of(*values: str) -> Schema:
    return {"type": "string", "enum": list(values)}


def _list_of(item: Schema) -> Schema:
    return {"type": "array", "items": item}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(fields: dict[str, Schema], *, optional: frozenset[str] = frozenset()) -> Schema:
    """Return an object whose fields are all there, but for the optional ones."""
    return {
        "type": "object",
        "properties": fields,
        "required": [name for name in fields if name not in optional],
    }


def _record(kind: str, fields: dict[str, Schema], **more: Any) -> Schema:  # noqa: ANN401
    """Return an object that names its kind and its mode."""
    return _object({"object": _one_of(kind), "livemode": _FLAG, **fields}, **more)


def _deleted(kind: str) -> Schema:
    return _object({"id": _TEXT, "object": _one_of(kind), "deleted": {"const": True}})


_NULL_TEXT = _or_null(_TEXT)
_ADDRESS = _or_null(
    _object(
        dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"), _NULL_TEXT)
    )
)

_CUSTOMER = _record(
    "customer",
    {
        "id": _TEXT,
        "created": _TIME,
        "email": _NULL_TEXT,
        "name": _NULL_TEXT,
        "phone": _NULL_TEXT,
        "description": _NULL_TEXT,
        "metadata": _TEXTS,
        "address": _ADDRESS,
        "shipping": _or_null(
            _object(
                {
                    "address": _ADDRESS,
                    "carrier": _NULL_TEXT,
                    "name": _NULL_TEXT,
                    "phone": _NULL_TEXT,
                    "tracking_number": _NULL_TEXT,
                }
            )
        ),
        "balance": _INTEGER,
        "business_name": _NULL_TEXT,
        "currency": _NULL_TEXT,
        "customer_account": _NULL_TEXT,
        "default_source": _NULL_TEXT,
        "delinquent": _or_null(_FLAG),
        "discount": _or_null(_ANY_OBJECT),
        "individual_name": _NULL_TEXT,
        "invoice_prefix": _NULL_TEXT,
        "invoice_settings": _ANY_OBJECT,
        "next_invoice_sequence": _INTEGER,
        "preferred_locales": _or_null(_list_of(_TEXT)),
        "tax_exempt": _or_null(_one_of("exempt", "none", "reverse")),
        "test_clock": _NULL_TEXT,
    },
)
_METER = _record(
    "billing.meter",
    {
        "id": _TEXT,
        "created": _TIME,
        "updated": _TIME,
        "display_name": _TEXT,
        "event_name": _TEXT,
        "status": _one_of("active", "inactive"),
        "status_transitions": _object({"deactivated_at": _or_null(_TIME)}),
        "default_aggregation": _object({"formula": _one_of("count", "last", "sum")}),
        "customer_mapping": _object({"event_payload_key": _TEXT, "type": _one_of("by_id")}),
        "value_settings": _object({"event_payload_key": _TEXT}),
        "event_time_window": _or_null(_one_of("day", "hour")),
    },
)
_METER_EVENT = _record(
    "billing.meter_event",
    {
        "created": _TIME,
        "event_name": _TEXT,
        "identifier": _TEXT,
        "payload": _TEXTS,
        "timestamp": _TIME,
    },
)
_ADJUSTMENT = _record(
    "billing.meter_event_adjustment",
    {
        "cancel": _object({"identifier": _TEXT}),
        "event_name": _TEXT,
        "status": _one_of("complete", "pending"),
        "type": _one_of("cancel"),
    },
)
_SUMMARY = _record(
    "billing.meter_event_summary",
    {
        "id": _TEXT,
        "aggregated_value": {"type": "number", "description": "Exact to its last digit."},
        "start_time": {**_TIME, "description": "Unix seconds; included."},
        "end_time": {**_TIME, "description": "Unix seconds; not included."},
        "meter": _TEXT,
    },
)
_ALERT = _record(
    "billing.alert",
    {
        "id": _TEXT,
        "alert_type": _one_of("usage_threshold"),
        "title": _TEXT,
        "status": _one_of("active", "inactive", "archived"),
        "usage_threshold": _object(
            {
                "gte": _INTEGER,
                "meter": {"anyOf": [_TEXT, _ref("billing.meter")]},
                "recurrence": _one_of("one_time"),
                "filters": _or_null(
                    _list_of(
                        _object(
                            {
                                "type": _one_of("customer"),
                                "customer": {
                                    "anyOf": [_TEXT, _ref("customer"), _ref("deleted_customer")]
                                },
                            }
                        )
                    )
                ),
                "baseline": {
                    **_one_of("creation", "lifetime"),
                    "description": "Ours: whether usage from before the alert counts.",
                },
            }
        ),
    },
)
_DECIMAL: Schema = {"type": "string", "description": "An exact decimal."}
_EXPLANATION = _record(
    "billing.alert_explanation",
    {
        "alert": _TEXT,
        "customer": _TEXT,
        "meter": _TEXT,
        "outcome": {
            **_one_of(*get_args(Outcome)),
            "description": "That it triggered, or the first thing that keeps it from that.",
        },
        "explanation": {**_TEXT, "description": "The same for people."},
        "gte": _INTEGER,
        "usage": _or_null({**_DECIMAL, "description": "What counts for the alert, exactly."}),
        "remaining": _or_null({**_DECIMAL, "description": "What is missing, exactly."}),
        "not_counted": _or_null(
            {**_DECIMAL, "description": "Usage from before the alert's creation, exactly."}
        ),
        "since": _or_null({**_TIME, "description": "Since when it has been switched off."}),
        "trigger": _or_null(
            _object(
                {
                    "created": _TIME,
                    "value_decimal": _DECIMAL,
                    "event": {**_TEXT, "description": "The event that told of it."},
                    "sequence": {**_INTEGER, "description": "Its place in commit order."},
                    "meter_event": _or_null(
                        _object(
                            {
                                "identifier": _TEXT,
                                "created": _TIME,
                                "timestamp": _TIME,
                                "cancelled": _FLAG,
                            }
                        )
                    ),
                    "deliveries": _list_of(
                        _object(
                            {
                                "endpoint": _TEXT,
                                "status": _one_of(*get_args(DeliveryStatus)),
                                "attempts": _INTEGER,
                                "next_attempt": _or_null(_TIME),
                            }
                        )
                    ),
                }
            )
        ),
    },
)
_TRIGGERED = _record(
    "billing.alert_triggered",
    {
        "alert": _ref("billing.alert"),
        "created": _TIME,
        "customer": _TEXT,
        "value": {**_INTEGER, "description": "Usage when it triggered, rounded down."},
        "value_decimal": {**_TEXT, "description": "Ours: the same, exactly."},
    },
)
_EVENT = _record(
    "event",
    {
        "id": _TEXT,
        "api_version": _NULL_TEXT,
        "created": _TIME,
        "data": _object(
            {"object": _ANY_OBJECT, "previous_attributes": _ANY_OBJECT},
            optional=frozenset({"previous_attributes"}),
        ),
        "pending_webhooks": _INTEGER,
        "request": _or_null(_object({"id": _NULL_TEXT, "idempotency_key": _NULL_TEXT})),
        "type": _TEXT,
    },
)
_ENDPOINT = _record(
    "webhook_endpoint",
    {
        "id": _TEXT,
        "api_version": _NULL_TEXT,
        "application": _NULL_TEXT,
        "created": _TIME,
        "description": _NULL_TEXT,
        "enabled_events": _list_of(_TEXT),
        "metadata": _TEXTS,
        "secret": {**_TEXT, "description": "Signs deliveries; only the answer to create has it."},
        "status": _one_of("enabled", "disabled"),
        "url": _TEXT,
    },
    optional=frozenset({"secret"}),
)
_REQUEST = _object(
    {
        "id": _TEXT,
        "object": _one_of("request"),
        "created": _TIME,
        "duration_us": {**_INTEGER, "description": "Microseconds until it was answered."},
        "error": _or_null(
            _object({"type": _NULL_TEXT, "code": _NULL_TEXT, "param": _NULL_TEXT, "message": _TEXT})
        ),
        "key_last4": {**_NULL_TEXT, "description": "Of the API key, if it is known."},
        "livemode": {**_or_null(_FLAG), "description": "Null where the key names no mode."},
        "method": _TEXT,
        "path": _TEXT,
        "skipped": {
            **_INTEGER,
            "description": "How many requests before this one are missing in the log.",
        },
        "status": _INTEGER,
    }
)
_ERROR = _object(
    {
        "error": _object(
            {
                "type": _one_of("api_error", "idempotency_error", "invalid_request_error"),
                "code": {**_TEXT, "description": "A short reason for programs."},
                "message": {**_TEXT, "description": "What was wrong and what to do, for people."},
                "param": {**_TEXT, "description": "The parameter at fault."},
            },
            optional=frozenset({"code", "param"}),
        )
    }
)

SCHEMAS: dict[str, Schema] = {
    "customer": _CUSTOMER,
    "deleted_customer": _deleted("customer"),
    "customer_or_deleted": {"anyOf": [_ref("customer"), _ref("deleted_customer")]},
    "billing.meter": _METER,
    "billing.meter_event": _METER_EVENT,
    "billing.meter_event_adjustment": _ADJUSTMENT,
    "billing.meter_event_summary": _SUMMARY,
    "billing.alert": _ALERT,
    "billing.alert_triggered": _TRIGGERED,
    "billing.alert_explanation": _EXPLANATION,
    "event": _EVENT,
    "webhook_endpoint": _ENDPOINT,
    "deleted_webhook_endpoint": _deleted("webhook_endpoint"),
    "request": _REQUEST,
    "error": _ERROR,
}


def schema_of_answer(returns: str) -> Schema:
    """Return the schema that an `Operation.returns` names; `list:…` is a list of that."""
    kind = returns.removeprefix("list:")
    if kind == returns:
        return _ref(kind)
    return _object(
        {
            "object": _one_of("list"),
            "data": _list_of(_ref(kind)),
            "has_more": {**_FLAG, "description": "Whether there is another page."},
            "url": _TEXT,
        }
    )
