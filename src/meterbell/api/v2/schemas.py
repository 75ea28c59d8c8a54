"""What v2 answers look like, as JSON schemas: written once, as data, beside `wire.objects_v2`."""

from typing import Any

from meterbell.api.schema_parts import Schema

_TEXT: Schema = {"type": "string"}
_COUNT: Schema = {"type": "integer"}
_TIME: Schema = {"type": "string", "format": "date-time"}
_FLAG: Schema = {"type": "boolean"}
_TEXTS: Schema = {"type": "object", "additionalProperties": _TEXT}
_NULL: Schema = {"type": "null"}


def _object(fields: dict[str, Schema], *, optional: tuple[str, ...] = ()) -> Schema:
    """Return an object whose fields are all there, but for the optional ones."""
    required = [name for name in fields if name not in optional]
    return {"type": "object", "properties": fields, "required": required}


def _one_of(*values: str) -> Schema:
    return {"type": "string", "enum": list(values)}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, _NULL]}


def _list_of(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


def _record(kind: str, fields: dict[str, Schema], **more: Any) -> Schema:  # noqa: ANN401
    """Return an object that names its kind, its mode and when it was made."""
    own = {"object": _one_of(kind), "livemode": _FLAG, "created": _TIME}
    return _object({**own, **fields}, **more)


_METER_EVENT = _record(
    "v2.billing.meter_event",
    {"event_name": _TEXT, "identifier": _TEXT, "payload": _TEXTS, "timestamp": _TIME},
)
_ADJUSTMENT = _record(
    "v2.billing.meter_event_adjustment",
    {
        "id": _TEXT,
        "cancel": _object({"identifier": _TEXT}),
        "event_name": _TEXT,
        "status": _one_of("complete", "pending"),
        "type": _one_of("cancel"),
    },
)
_SESSION = _record(
    "v2.billing.meter_event_session",
    {
        "id": _TEXT,
        "authentication_token": {**_TEXT, "description": "The bearer of stream requests."},
        "expires_at": _TIME,
    },
)
_REPORT = _object(
    {
        "developer_message_summary": _TEXT,
        "reason": _object(
            {
                "error_count": _COUNT,
                "error_types": _list_of(
                    _object(
                        {
                            "code": _TEXT,
                            "error_count": _COUNT,
                            "sample_errors": _list_of(
                                _object(
                                    {
                                        "error_message": _TEXT,
                                        "request": _object({"identifier": _TEXT}),
                                    }
                                )
                            ),
                        }
                    )
                ),
            }
        ),
        "validation_end": _TIME,
        "validation_start": _TIME,
    }
)
_EVENT = _record(
    "v2.core.event",
    {
        "id": _TEXT,
        "changes": _NULL,
        "context": _NULL,
        "data": {**_REPORT, "description": "Of the events about refused usage."},
        "reason": _or_null(
            _object(
                {
                    "type": _one_of("request"),
                    "request": _object({"id": _TEXT, "idempotency_key": _TEXT}),
                }
            )
        ),
        "related_object": _or_null(_object({"id": _TEXT, "type": _TEXT, "url": _TEXT})),
        "snapshot_event": _NULL,
        "type": _TEXT,
    },
    optional=("data",),
)
_DESTINATION = _record(
    "v2.core.event_destination",
    {
        "id": _TEXT,
        "amazon_eventbridge": _NULL,
        "azure_event_grid": _NULL,
        "description": _TEXT,
        "enabled_events": _list_of(_TEXT),
        "event_payload": _one_of("snapshot", "thin"),
        "events_from": _list_of(_TEXT),
        "metadata": _TEXTS,
        "name": _TEXT,
        "snapshot_api_version": _or_null(_TEXT),
        "status": _one_of("disabled", "enabled"),
        "status_details": _or_null(_object({"disabled": _object({"reason": _TEXT})})),
        "type": _one_of("webhook_endpoint"),
        "updated": _TIME,
        "webhook_endpoint": _object(
            {
                "signing_secret": {
                    **_or_null(_TEXT),
                    "description": "Only in the answer that makes it: to create, if it was "
                    "asked for, and to roll_secret.",
                },
                "standard_webhooks": {**_FLAG, "description": "Ours."},
                "url": _or_null(_TEXT),
            }
        ),
    },
)
_ERROR = _object(
    {
        "error": _object(
            {
                "code": {**_TEXT, "description": "A short reason for programs."},
                "message": {**_TEXT, "description": "What was wrong and what to do, for people."},
                "type": _one_of("idempotency_error", "temporary_session_expired"),
                "doc_url": _TEXT,
                "param": {**_TEXT, "description": "The parameter at fault."},
            },
            optional=("type", "doc_url", "param"),
        )
    }
)

V2_SCHEMAS: dict[str, Schema] = {
    "v2.billing.meter_event": _METER_EVENT,
    "v2.billing.meter_event_adjustment": _ADJUSTMENT,
    "v2.billing.meter_event_session": _SESSION,
    "v2.billing.meter_event_stream": {"type": "object", "properties": {}, "required": []},
    "v2.core.event": _EVENT,
    "v2.core.event_destination": _DESTINATION,
    "v2.deleted_object": _object({"id": _TEXT, "object": _TEXT}),
    "v2.error": _ERROR,
}


def schema_of_v2_answer(returns: str) -> Schema:
    """Return the schema that a `Route.returns` names; `list:…` is a page of that."""
    kind = returns.removeprefix("list:")
    ref = {"$ref": f"#/components/schemas/{kind}"}
    if kind == returns:
        return ref
    url = {**_or_null(_TEXT), "description": "The whole URL, without the host."}
    return _object({"data": _list_of(ref), "next_page_url": url, "previous_page_url": url})
