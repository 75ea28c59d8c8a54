"""The v1 routes as an OpenAPI document, from the same declarations that decode requests."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, assert_never

from meterbell.api.call import Operation
from meterbell.api.idempotency import KEY_LENGTH_MAX
from meterbell.api.params import (
    EXPAND,
    INT64_MAX,
    INT64_MIN,
    METADATA_KEY_MAX,
    METADATA_KEYS_MAX,
    METADATA_VALUE_MAX,
    RANGE_FIELDS,
    Array,
    Boolean,
    Choice,
    Integer,
    Metadata,
    Object,
    Param,
    Range,
    Text,
    Texts,
)
from meterbell.api.schema_parts import Schema
from meterbell.api.schemas import SCHEMAS, schema_of_answer

_FORM = "application/x-www-form-urlencoded"
_PLACEHOLDER = re.compile(r"{(\w+)}")
_NO_CONTROL = r"^[^\u0000-\u001f\u007f]*$"
_UNSET: Schema = {"type": "string", "const": ""}
_DESCRIPTION = """\
Stripe Billing's meters, meter events, alerts, events and webhook endpoints, on your own server.
The official Stripe SDKs are clients of it.

Form parameters nest with brackets: `usage_threshold[gte]=100`, `enabled_events[0]=*`. In lists the
newest comes first. An unknown parameter is refused by name. Routes under `/v2/` take and give JSON,
with times as RFC 3339.
"""
_TAGS = {
    "/v1/customers": "Customers",
    "/v1/billing/meters": "Meters",
    "/v1/billing/meter_event": "Usage",
    "/v1/billing/alerts": "Alerts",
    "/v1/events": "Events",
    "/v1/webhook_endpoints": "Webhook endpoints",
    "/v1/notification_channels": "Notification channels",
    "/v1/stripecli": "Listeners",
    "/meterbell/listeners": "Listeners",
    "/meterbell/webhook_endpoints": "Webhook endpoints",
    "/meterbell/requests": "Request log",
}
TAGS = [*dict.fromkeys(_TAGS.values()), "Event destinations"]
_REFUSALS = {
    400: "A parameter is missing, unknown or not acceptable, or a limit is reached.",
    401: "There is no API key, or not a valid one.",
    403: "The key may not do this.",
    404: "The object in the path does not exist in the key's mode.",
    409: "The first request with this Idempotency-Key is still running.",
    413: "The body is too large.",
    415: "The body is not a form.",
    429: "Too many requests are waiting; send it again after a short while.",
    503: "Nothing was acknowledged; send the same request again.",
}
REQUEST_ID = {
    "Request-Id": {
        "required": True,
        "schema": {"type": "string"},
        "description": "Names the request in the server's log.",
    }
}
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "maxLength": KEY_LENGTH_MAX},
    "description": "The same request with the same key gets the first answer again, for 24 hours.",
}


def describe(operations: Sequence[Operation], *, version: str) -> dict[str, Any]:
    """Return the OpenAPI document of routes.

    Args:
        operations: In the order of the reference.
        version: Of meterbell.
    """
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _describe(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "meterbell", "version": version, "description": _DESCRIPTION},
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}, {"basic": []}],
        "tags": [{"name": name} for name in TAGS],
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "basic": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "The key as the user name, no password.",
                },
            },
            "responses": {
                str(status): {
                    "description": text,
                    "headers": REQUEST_ID,
                    "content": _json({"$ref": "#/components/schemas/error"}),
                }
                for status, text in _REFUSALS.items()
            },
        },
    }


def _describe(operation: Operation) -> dict[str, Any]:
    names = _PLACEHOLDER.findall(operation.path)
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in names
    ]
    described: dict[str, Any] = {
        "operationId": _operation_id(operation),
        "summary": operation.summary,
        "tags": [tag for prefix, tag in _TAGS.items() if operation.path.startswith(prefix)][:1],
        "parameters": parameters,
        "responses": {
            "200": {
                "description": "Done.",
                "headers": REQUEST_ID,
                "content": _json(schema_of_answer(operation.returns)),
            },
            **{
                str(status): {"$ref": f"#/components/responses/{status}"}
                for status in _refusals(operation, in_path=bool(names))
            },
        },
    }
    if operation.method == "POST":
        if operation.answer is None:
            parameters.append(IDEMPOTENCY_KEY)
        described["requestBody"] = _body(_documented(operation))
    else:
        parameters += [in_query(name, param) for name, param in _documented(operation).items()]
    return described


def _documented(operation: Operation) -> dict[str, Param]:
    """Return the parameters worth telling of: `expand` only where something can be expanded."""
    if not operation.expandable:
        return dict(operation.params)
    prefix = "data." if operation.is_list else ""
    names = tuple(sorted(f"{prefix}{name}" for name in operation.expandable))
    return {**operation.params, "expand": replace(EXPAND, item=Choice(values=names))}


def _operation_id(operation: Operation) -> str:
    words = re.findall(r"\w+", operation.path.replace("{", "by_"))
    return "_".join([operation.method.lower(), *words])


def _refusals(operation: Operation, *, in_path: bool) -> list[int]:
    """Return the statuses that a route may refuse with."""
    statuses = {400, 401, 403}
    if in_path:
        statuses.add(404)
    if operation.method == "POST":
        statuses |= {409, 413, 415}
    if operation.method != "GET":
        statuses |= {429, 503}
    return sorted(statuses)


def _body(declared: Mapping[str, Param]) -> dict[str, Any]:
    nested = [name for name, param in declared.items() if _is_nested(param)]
    return {
        "required": any(param.required for param in declared.values()),
        "content": {
            _FORM: {
                "schema": _fields(declared),
                "encoding": {name: {"style": "deepObject", "explode": True} for name in nested},
            }
        },
    }


def in_query(name: str, param: Param) -> dict[str, Any]:
    """Return the description of a parameter in the query string."""
    described: dict[str, Any] = {
        # Query strings repeat a list's name, and a repeated name needs the brackets.
        "name": f"{name}[]" if isinstance(param, Array) else name,
        "in": "query",
        "required": param.required,
        "schema": schema_of(param),
    }
    if param.description:
        described["description"] = param.description
    if _is_nested(param) and not isinstance(param, Array):
        described |= {"style": "deepObject", "explode": True}
    return described


def _is_nested(param: Param) -> bool:
    return isinstance(param, Object | Array | Texts | Metadata | Range)


def _fields(declared: Mapping[str, Param]) -> Schema:
    properties = {}
    for name, param in declared.items():
        schema = schema_of(param)
        properties[name] = (
            {**schema, "description": param.description} if param.description else schema
        )
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    required = [name for name, param in declared.items() if param.required]
    return {**schema, "required": required} if required else schema


def schema_of(param: Param) -> Schema:
    """Return the JSON schema of what a declared parameter takes."""
    match param:
        case Text() | Integer() | Boolean() | Choice():
            return _schema_of_scalar(param)
        case Object(fields=fields, can_unset=can_unset):
            return _maybe_unset(_fields(fields), can_unset=can_unset)
        case Array(item=item, items_max=items_max, can_unset=can_unset):
            schema = {"type": "array", "items": schema_of(item), "maxItems": items_max}
            return _maybe_unset(schema, can_unset=can_unset)
        case Texts():
            return _texts(param.keys_max, param.key_length_max, param.value_length_max)
        case Metadata():
            texts = _texts(METADATA_KEYS_MAX, METADATA_KEY_MAX, METADATA_VALUE_MAX)
            return _maybe_unset(texts, can_unset=True)
        case Range():
            return {"anyOf": [{"type": "integer", "minimum": 0}, _fields(RANGE_FIELDS)]}
        case _:
            raise AssertionError(param)


def _schema_of_scalar(param: Text | Integer | Boolean | Choice) -> Schema:
    match param:
        case Text():
            least = 0 if param.can_unset else 1
            text: Schema = {"type": "string", "minLength": least, "maxLength": param.length_max}
            return {**text, "pattern": _NO_CONTROL} if param.is_plain else text
        case Integer():
            schema: Schema = {"type": "integer", "format": "int64"}
            if param.minimum != INT64_MIN:
                schema["minimum"] = param.minimum
            if param.maximum != INT64_MAX:
                schema["maximum"] = param.maximum
            return schema
        case Boolean():
            return {"type": "boolean"}
        case Choice():
            words = [*param.values, ""] if param.can_unset else list(param.values)
            return {"type": "string", "enum": words}
        case _:
            assert_never(param)


def _texts(keys_max: int, key_length_max: int, value_length_max: int) -> Schema:
    return {
        "type": "object",
        "maxProperties": keys_max,
        "propertyNames": {"type": "string", "maxLength": key_length_max},
        "additionalProperties": {"type": "string", "maxLength": value_length_max},
    }


def _maybe_unset(schema: Schema, *, can_unset: bool) -> Schema:
    return {"anyOf": [schema, _UNSET]} if can_unset else schema


def _json(schema: Schema) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}
