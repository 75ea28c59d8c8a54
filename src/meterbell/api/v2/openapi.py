"""The v2 routes for the OpenAPI document, from the structs that decode their bodies."""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from meterbell.api.openapi import IDEMPOTENCY_KEY, REQUEST_ID, in_query
from meterbell.api.schema_parts import Schema
from meterbell.api.v2.route import Route
from meterbell.api.v2.schemas import V2_SCHEMAS, schema_of_v2_answer

_JSON = "application/json"
_PLACEHOLDER = re.compile(r"{(\w+)}")
_REFS = "#/components/schemas/{name}"
_SESSION = "session"
_REFUSALS = {
    400: "A field is missing, unknown or not acceptable, or a limit is reached.",
    401: "There is no API key or token, or not a valid one.",
    403: "The key may not do this.",
    404: "The object in the path does not exist in the key's mode.",
    409: "The first request with this Idempotency-Key is still running.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    429: "Too many requests are waiting; send it again after a short while.",
    503: "Nothing was acknowledged; send the same request again.",
}


def describe_v2(routes: Sequence[Route], document: dict[str, Any]) -> dict[str, Any]:
    """Return an OpenAPI document with the v2 routes added."""
    bodies = [route.body for route in routes if route.method == "POST"]
    _, parts = msgspec.json.schema_components(bodies, ref_template=_REFS)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _describe(route)
    components = document["components"]
    session = {
        "type": "http",
        "scheme": "bearer",
        "description": "The authentication_token of a session; for the stream only.",
    }
    return {
        **document,
        "paths": {**document["paths"], **paths},
        "components": {
            **components,
            "schemas": {**components["schemas"], **parts, **V2_SCHEMAS},
            "securitySchemes": {**components["securitySchemes"], _SESSION: session},
            "responses": {
                **components["responses"],
                **{
                    f"v2.{status}": {
                        "description": text,
                        "headers": REQUEST_ID,
                        "content": _json({"$ref": _REFS.format(name="v2.error")}),
                    }
                    for status, text in _REFUSALS.items()
                },
            },
        },
    }


def _describe(route: Route) -> dict[str, Any]:
    names = _PLACEHOLDER.findall(route.path)
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in names
    ]
    parameters += [in_query(name, param) for name, param in route.query.items()]
    described: dict[str, Any] = {
        "operationId": "_".join(
            [route.method.lower(), *re.findall(r"\w+", route.path.replace("{", "by_"))]
        ),
        "summary": route.summary,
        "tags": [route.tag],
        "parameters": parameters,
        "responses": {
            "200": {
                "description": "Done.",
                "headers": REQUEST_ID,
                "content": _json(schema_of_v2_answer(route.returns)),
            },
            **{
                str(status): {"$ref": f"#/components/responses/v2.{status}"}
                for status in _statuses(route, in_path=bool(names))
            },
        },
    }
    if route.method != "GET":
        parameters.append(IDEMPOTENCY_KEY)
    if route.method == "POST":
        (body,), _ = msgspec.json.schema_components([route.body], ref_template=_REFS)
        described["requestBody"] = {
            "required": bool(msgspec.structs.fields(route.body)),
            "content": _json(body),
        }
    if route.takes_session:
        described["security"] = [{_SESSION: []}]
    return described


def _statuses(route: Route, *, in_path: bool) -> list[int]:
    """Return the statuses that a route may refuse with."""
    statuses = {400, 401, 403}
    if in_path:
        statuses.add(404)
    if route.method == "POST":
        statuses |= {413, 415}
    if route.method != "GET":
        statuses |= {409, 429, 503}
    return sorted(statuses)


def _json(schema: Schema) -> dict[str, Any]:
    return {_JSON: {"schema": schema}}
