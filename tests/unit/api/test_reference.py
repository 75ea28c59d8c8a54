"""The OpenAPI document says what the routes do; `/docs` needs nothing from other hosts."""

import hashlib
import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest

from meterbell.api.openapi import describe, schema_of
from meterbell.api.params import Array, Choice, Integer, Metadata, Range, Text
from meterbell.api.routes import OPERATIONS, OURS
from meterbell.api.schemas import SCHEMAS
from meterbell.api.v2.openapi import describe_v2
from meterbell.api.v2.router import ROUTES
from tests.unit.api.running import Api, usage

DOCUMENT = describe_v2(ROUTES, describe([*OPERATIONS, *OURS], version="1"))
STATIC = files("meterbell.api").joinpath("static")


def references(node: object) -> Iterator[str]:
    """Yield everything that a document refers to."""
    match node:
        case dict():
            for key, value in node.items():
                if key == "$ref":
                    yield value
                yield from references(value)
        case list():
            for item in node:
                yield from references(item)
        case _:
            pass


def test_every_route_is_described_and_nothing_else() -> None:
    described = {
        (method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods
    }

    assert described == {
        *((o.method, o.path) for o in (*OPERATIONS, *OURS)),
        *((route.method, route.path) for route in ROUTES),
    }


def test_names_of_operations_are_unique() -> None:
    names = [d["operationId"] for methods in DOCUMENT["paths"].values() for d in methods.values()]

    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"\w+", name) for name in names)


def test_references_lead_somewhere() -> None:
    for reference in references(DOCUMENT):
        node: Any = DOCUMENT
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]
        assert node


@pytest.mark.parametrize(
    ("param", "schema"),
    [
        (Text(length_max=5), {"type": "string", "minLength": 1, "maxLength": 5}),
        (Text(length_max=5, can_unset=True), {"type": "string", "minLength": 0, "maxLength": 5}),
        (Integer(), {"type": "integer", "format": "int64"}),
        (Integer(minimum=1, maximum=9), {"type": "integer", "format": "int64", "minimum": 1,
                                         "maximum": 9}),
        (Choice(values=("a", "b")), {"type": "string", "enum": ["a", "b"]}),
        (Choice(values=("a",), can_unset=True), {"type": "string", "enum": ["a", ""]}),
        (Array(item=Choice(values=("a",)), items_max=2),
         {"type": "array", "items": {"type": "string", "enum": ["a"]}, "maxItems": 2}),
    ],
)  # fmt: skip
def test_declarations_become_schemas(param: Any, schema: dict[str, Any]) -> None:  # noqa: ANN401
    assert schema_of(param) == schema


def test_metadata_may_be_emptied_and_ranges_may_be_one_instant() -> None:
    assert schema_of(Metadata())["anyOf"][1] == {"type": "string", "const": ""}
    assert schema_of(Range())["anyOf"][0] == {"type": "integer", "minimum": 0}


async def test_the_document_and_its_page_need_no_key(api: Api) -> None:
    document = await api.got("/openapi.json", key="")
    page = await api.get("/docs", key="")

    assert document["openapi"].startswith("3.")
    assert page.status == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    for path in re.findall(r'(?:src|href)="(/[^"]+)"', page.raw.decode()):
        assert (await api.get(path, key="")).status == 200, path


async def test_a_browser_may_ask_no_other_host_for_anything(api: Api) -> None:
    page = await api.get("/docs")

    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none';")
    assert "http" not in policy
    assert "*" not in policy
    assert "unsafe-eval" not in policy
    assert re.findall(rb'(?:src|href)="(?!/|data:)', page.raw) == []
    assert b"<script>" not in page.raw


def test_vendored_files_are_unchanged() -> None:
    table = STATIC.joinpath("README.md").read_text()
    for name in ("swagger-ui-bundle.js", "swagger-ui.css"):
        digest = hashlib.sha256(STATIC.joinpath(name).read_bytes()).hexdigest()
        assert digest in table


async def test_answers_have_the_fields_that_the_document_promises(api: Api) -> None:
    customer = await api.made("/v1/customers", {"id": "cus_a"})
    meter = await api.got(f"/v1/billing/meters/{await api.meter()}")
    alert = await api.got(f"/v1/billing/alerts/{await api.alert(meter['id'], gte=1)}")
    event = (await api.use(identifier="i")).body
    adjustment = await api.made(
        "/v1/billing/meter_event_adjustments",
        {"event_name": "requests", "type": "cancel", "cancel": {"identifier": "i"}},
    )
    summaries = await api.got(
        f"/v1/billing/meters/{meter['id']}/event_summaries",
        {"customer": "cus_a", "start_time": 0, "end_time": 60},
    )
    explained = await api.got(f"/v1/billing/alerts/{alert['id']}/explain", {"customer": "cus_a"})
    tried = await api.made(
        "/v1/billing/alerts/dry_run", {"usage_threshold": {"meter": meter["id"], "gte": 1}}
    )
    endpoint = await api.made(
        "/v1/webhook_endpoints", {"url": "http://127.0.0.1/", "enabled_events": ["*"]}
    )
    told = (await api.events(type="billing.alert.triggered"))[0]
    gone = (await api.send("DELETE", "/v1/customers/cus_a")).body
    refused = (await api.post("/v1/billing/meter_events", usage())).body

    fits(customer, SCHEMAS["customer"])
    fits(meter, SCHEMAS["billing.meter"])
    fits(alert, SCHEMAS["billing.alert"])
    fits(event, SCHEMAS["billing.meter_event"])
    fits(adjustment, SCHEMAS["billing.meter_event_adjustment"])
    fits(summaries["data"][0], SCHEMAS["billing.meter_event_summary"])
    fits(tried, SCHEMAS["billing.alert_dry_run"])
    fits(explained, SCHEMAS["billing.alert_explanation"])
    fits(endpoint, SCHEMAS["webhook_endpoint"])
    fits(told, SCHEMAS["event"])
    fits(told["data"]["object"], SCHEMAS["billing.alert_triggered"])
    fits(gone, SCHEMAS["deleted_customer"])
    fits(refused, SCHEMAS["error"])


TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "object": dict,
    "array": list,
    "null": type(None),
}


def fits(value: Any, schema: dict[str, Any]) -> None:  # noqa: ANN401
    """Fail unless a value has a schema's shape, with no field that it does not name."""
    if "$ref" in schema:
        return fits(value, SCHEMAS[schema["$ref"].rpartition("/")[2]])
    if "anyOf" in schema:
        wanted = [s for s in schema["anyOf"] if "$ref" in s or isinstance(value, TYPES[s["type"]])]
        assert wanted, (value, schema)
        return fits(value, wanted[0])
    if "const" in schema:
        assert value == schema["const"]
        return None
    kind: Any = TYPES[schema["type"]]
    assert isinstance(value, kind), (value, schema)
    assert value in schema.get("enum", [value])
    if "properties" in schema:
        assert value.keys() <= schema["properties"].keys()
        assert value.keys() >= set(schema["required"])
        for name, item in value.items():
            fits(item, schema["properties"][name])
    if "items" in schema:
        for item in value:
            fits(item, schema["items"])
    return None
