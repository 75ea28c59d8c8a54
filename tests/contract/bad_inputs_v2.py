"""Requests of the v2 API that must be refused: what is sent, the status, the code, words to find.

`{customer}`, `{meter}`, `{destination}`, `{hook}` stand for what exists; `{token}` is the token of
a session. Bodies are written as they go over the wire.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Bad:
    """One request that must be refused.

    Attributes:
        words: What the message must contain, in any case.
        param: The field it must name; None where none is at fault.
    """

    name: str
    path: str
    body: str | bytes = ""
    method: str = "POST"
    status: int = 400
    code: str = "invalid_fields"
    param: str | None = None
    words: str = ""
    headers: dict[str, str] = field(default_factory=dict)


EVENTS = "/v2/billing/meter_events"
STREAM = "/v2/billing/meter_event_stream"
SESSION = "/v2/billing/meter_event_session"
ADJUST = "/v2/billing/meter_event_adjustments"
DESTINATIONS = "/v2/core/event_destinations"
THIN = "/v2/core/events"
MISSING, UNKNOWN = "parameter_missing", "parameter_unknown"
TOKEN = {"Authorization": "Bearer {token}"}

PAYLOAD = '"payload": {"stripe_customer_id": "{customer}", "value": "1"}'
USAGE = '"event_name": "requests", ' + PAYLOAD
HOOK = '"webhook_endpoint": {"url": "http://127.0.0.1:9009/"}'
NAMED = '"name": "N", "type": "webhook_endpoint", '
THIN_ONE = NAMED + '"event_payload": "thin", "enabled_events": ["*"], '


def event(name: str, body: str, *, param: str | None = None, **more: object) -> Bad:
    """Return a bad meter event."""
    return Bad(name, EVENTS, "{" + body + "}", param=param, **more)  # type: ignore[arg-type]


def value(name: str, text: str) -> Bad:
    """Return a meter event with a value that is no number."""
    payload = '"event_name": "requests", "payload": {"stripe_customer_id": "{customer}", "value": '
    return event(
        f"value {name}",
        payload + f'"{text}"' + "}",
        code="payload_invalid_value",
        param="payload[value]",
        words="invalid decimal",
    )


def stamp(name: str, text: str, **more: object) -> Bad:
    """Return a meter event with a bad timestamp."""
    more = {"words": "rfc 3339", **more}
    return event(f"timestamp {name}", f'{USAGE}, "timestamp": "{text}"', param="timestamp", **more)


def batch(name: str, body: str, **more: object) -> Bad:
    """Return a bad stream request with a good token."""
    return Bad(f"stream {name}", STREAM, body, headers=TOKEN, **more)  # type: ignore[arg-type]


def create(name: str, body: str, **more: object) -> Bad:
    """Return a bad new destination."""
    return Bad(f"destination {name}", DESTINATIONS, "{" + body + "}", **more)  # type: ignore[arg-type]


def update(name: str, body: str, **more: object) -> Bad:
    """Return a bad change of a destination."""
    path = DESTINATIONS + "/{destination}"
    return Bad(f"update {name}", path, "{" + body + "}", **more)  # type: ignore[arg-type]


def get(name: str, path: str, **more: object) -> Bad:
    """Return a bad GET."""
    return Bad(name, path, method="GET", **more)  # type: ignore[arg-type]


BODIES = [
    Bad("no json", EVENTS, "event_name=requests", words="not valid json"),
    Bad("half a body", EVENTS, '{"event_name": ', words="not valid json"),
    Bad("two bodies", EVENTS, "{" + USAGE + "}{}", words="not valid json"),
    Bad("a list", EVENTS, "[]", words="expected object"),
    Bad("a text", EVENTS, '"x"', words="expected object"),
    Bad("null", EVENTS, "null", words="expected object"),
    Bad("not a number", EVENTS, '{"event_name": NaN}', words="not valid json"),
    Bad("deep", EVENTS, "[" * 5000, words="expected object"),
    Bad("not utf-8", EVENTS, b'{"event_name": "\xff"}', words="not valid json"),
    Bad("half a surrogate", EVENTS, '{"event_name": "\\ud800"}', words="not valid json"),
    Bad("empty", EVENTS, "", code=MISSING, param="event_name", words="missing required param"),
    event("NUL", f'{USAGE}, "identifier": "a\\u0000b"', words="nul character"),
    event("DEL", f'{USAGE}, "identifier": "a\x7fb"', param="identifier", words="control"),
    event(
        "NUL in the payload",
        '"event_name": "requests", "payload": {"stripe_customer_id": "{customer}\\u0000"}',
        words="nul character",
    ),
    event("a key twice", f'{USAGE}, "event_name": "requests"', param="event_name", words="twice"),
    event(
        "a payload key twice",
        '"event_name": "requests", "payload": {"value": "1", "value": "2"}',
        param="value",
        words="twice",
    ),
    Bad(
        "a form",
        EVENTS,
        "a=b",
        status=415,
        code="unsupported_media_type",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        words="reads json",
    ),
    Bad("too large", EVENTS, b" " * (2**20 + 1), status=413, code="body_too_large", words="large"),
    Bad(
        "long idempotency key",
        EVENTS,
        "{" + USAGE + "}",
        headers={"Idempotency-Key": "k" * 256},
        words="255 characters",
    ),
]

METER_EVENTS = [
    event("no name", PAYLOAD, code=MISSING, param="event_name"),
    event("no payload", '"event_name": "requests"', code=MISSING, param="payload"),
    event("unknown field", f'{USAGE}, "customer": "x"', code=UNKNOWN, param="customer"),
    event("name is a number", f'"event_name": 1, {PAYLOAD}', param="event_name", words="str"),
    event("name is null", f'"event_name": null, {PAYLOAD}', param="event_name", words="str"),
    event("name is empty", f'"event_name": "", {PAYLOAD}', param="event_name", words="length"),
    event("long name", f'"event_name": "{"n" * 101}", {PAYLOAD}', param="event_name"),
    event("newline", f'"event_name": "a\\n", {PAYLOAD}', param="event_name", words="control"),
    event("payload is a text", '"event_name": "requests", "payload": "x"', param="payload"),
    event(
        "a number in the payload",
        '"event_name": "requests", "payload": {"stripe_customer_id": "c", "value": 5}',
        param="payload.value",
        words="str",
    ),
    event(
        "null in the payload",
        '"event_name": "requests", "payload": {"value": null}',
        param="payload.value",
    ),
    event(
        "a long value in the payload",
        f'"event_name": "requests", "payload": {{"value": "{"1" * 501}"}}',
        param="payload.value",
        words="500",
    ),
    event(
        "a long key in the payload",
        f'"event_name": "requests", "payload": {{"{"k" * 101}": "1"}}',
        param="payload",
        words="a key of payload",
    ),
    event(
        "many keys in the payload",
        '"event_name": "requests", "payload": {'
        + ", ".join(f'"k{n}": "1"' for n in range(51))
        + "}",
        param="payload",
        words="50",
    ),
    event(
        "a number in the payload, then no JSON",
        '"event_name": "requests", "payload": {"value": 1, nonsense',
        param="payload.…",
        words="str",
    ),
    event(
        "a number in the payload, then depth",
        '"event_name": "requests", "payload": {"value": 1}, "x": ' + "[" * 5000,
        param="payload.…",
        words="str",
    ),
    event(
        "a number in the payload, then another payload",
        '"event_name": "requests", "payload": {"value": 1}, "payload": "x"',
        param="payload.…",
        words="str",
    ),
    event("identifier is a number", f'{USAGE}, "identifier": 5', param="identifier"),
    event("identifier is empty", f'{USAGE}, "identifier": ""', param="identifier"),
    event("long identifier", f'{USAGE}, "identifier": "{"i" * 101}"', param="identifier"),
    event("known identifier", f'{USAGE}, "identifier": "known"', code="duplicate_meter_event"),
    event("unknown meter", f'"event_name": "other", {PAYLOAD}', code="no_meter"),
    event("archived meter", f'"event_name": "archived", {PAYLOAD}', code="archived_meter"),
    event(
        "no customer",
        '"event_name": "requests", "payload": {"value": "1"}',
        code="payload_no_customer_defined",
    ),
    event(
        "no value",
        '"event_name": "requests", "payload": {"stripe_customer_id": "{customer}"}',
        code="payload_no_value_defined",
    ),
    event(
        "unknown customer",
        '"event_name": "requests", "payload": {"stripe_customer_id": "cus_x", "value": "1"}',
        code="meter_event_customer_not_found",
        words="create the customer first",
    ),
    value("letters", "abc"),
    value("exponent", "1e5"),
    value("sixteen digits", "1234567890123456"),
    value("thirteen decimals", "0.1234567890123"),
    value("arabic digits", "\u0661"),
    stamp("as a number in a text", "1700000000"),
    stamp("without zone", "2026-06-01T12:00:00"),
    stamp("without seconds", "2026-06-01T12:00Z"),
    stamp("without time", "2026-06-01"),
    stamp("of no day", "2026-02-30T12:00:00Z"),
    stamp("of no hour", "2026-06-01T25:00:00Z"),
    stamp("of no zone", "2026-06-01T12:00:00+99:00"),
    stamp("with other digits", "\u0662026-06-01T12:00:00Z"),
    stamp("empty", ""),
    stamp("long", "2" * 41, words="length"),
    stamp("too old", "2001-01-01T00:00:00Z", code="timestamp_too_far_in_past", words="past"),
    stamp("too new", "9999-12-31T23:59:59.999Z", code="timestamp_in_future", words="future"),
    event("timestamp is a number", f'{USAGE}, "timestamp": 1700000000', param="timestamp"),
]

STREAMS = [
    batch("no events", "{}", code=MISSING, param="events"),
    batch("one event", "{" + USAGE + "}", code=UNKNOWN, param="event_name"),
    batch("events is an object", '{"events": {}}', param="events", words="array"),
    batch("an event is a text", '{"events": ["x"]}', param="events[0]"),
    batch("no name", '{"events": [{' + PAYLOAD + "}]}", code=MISSING, param="events[0].event_name"),
    batch(
        "unknown field",
        '{"events": [{' + USAGE + '}, {"x": 1}]}',
        code=UNKNOWN,
        param="events[1].x",
    ),
    batch(
        "a number in the second payload",
        '{"events": [{' + USAGE + '}, {"event_name": "a", "payload": {"value": 1}}]}',
        param="events[1].payload.value",
    ),
    batch(
        "a bad time in the third",
        '{"events": [{%s}, {%s}, {%s, "timestamp": "noon"}]}' % (USAGE, USAGE, USAGE),  # noqa: UP031 - braces
        param="events[2].timestamp",
        words="rfc 3339",
    ),
    batch(
        "a newline in the second name",
        '{"events": [{' + USAGE + '}, {"event_name": "a\\n", "payload": {}}]}',
        param="events[1].event_name",
        words="control",
    ),
    batch("a key twice", '{"events": [], "events": []}', param="events", words="twice"),
    batch("a key twice, spaced", '{"events" : [], "events": []}', param="events", words="twice"),
    batch(
        "a field twice in an event",
        '{"events": [{' + USAGE + ', "event_name": "x"}]}',
        param="event_name",
        words="twice",
    ),
    batch("too many events", '{"events": [' + ", ".join(["{" + USAGE + "}"] * 101) + "]}",
          param="events", words="at most 100 meter events"),
    batch("no json", "x", words="not valid json"),
    Bad("stream with an API key", STREAM, '{"events": []}', status=401, code="unauthorized",
        words="authentication_token"),
    Bad("stream with a forged token", STREAM, '{"events": []}', status=401, code="unauthorized",
        headers={"Authorization": "Bearer {token}0"}, words="authentication_token"),
    Bad("stream without anything", STREAM, '{"events": []}', status=401, code="unauthorized",
        headers={"Authorization": ""}),
    Bad("session with a parameter", SESSION, '{"livemode": true}', code=UNKNOWN, param="livemode"),
    Bad("session without a key", SESSION, "{}", status=401, code="unauthorized",
        headers={"Authorization": ""}),
]  # fmt: skip

_CANCEL = '"event_name": "requests", "type": "cancel", '
ADJUSTMENTS = [
    Bad("cancel nothing", ADJUST, "{" + _CANCEL[:-2] + "}", code=MISSING, param="cancel"),
    Bad("cancel without identifier", ADJUST, "{" + _CANCEL + '"cancel": {}}', code=MISSING,
        param="cancel.identifier"),
    Bad("cancel of another type", ADJUST,
        '{"event_name": "requests", "type": "change", "cancel": {"identifier": "known"}}',
        param="type", words="must be one of cancel"),
    Bad("cancel an unknown identifier", ADJUST,
        "{" + _CANCEL + '"cancel": {"identifier": "nothing"}}',
        code="invalid_cancel_configuration", words="no meter event"),
    Bad("cancel for an unknown meter", ADJUST,
        '{"event_name": "other", "type": "cancel", "cancel": {"identifier": "known"}}',
        code="no_meter"),
    Bad("cancel a newline", ADJUST, "{" + _CANCEL + '"cancel": {"identifier": "a\\n"}}',
        param="cancel.identifier", words="control"),
    Bad("cancel a list", ADJUST, "{" + _CANCEL + '"cancel": []}', param="cancel"),
]  # fmt: skip

DESTINATION = [
    create("empty", "", code=MISSING, param="name"),
    create("without a type", '"name": "N"', code=MISSING, param="type"),
    create("without a target", THIN_ONE[:-2], code=MISSING, param="webhook_endpoint.url"),
    create("without a url", THIN_ONE + '"webhook_endpoint": {}', code=MISSING,
           param="webhook_endpoint.url"),
    create("with an empty name", THIN_ONE.replace('"N"', '""') + HOOK, param="name"),
    create("with another payload", THIN_ONE.replace('"thin"', '"fat"') + HOOK,
           param="event_payload", words="thin"),
    create("on a bus", THIN_ONE.replace("webhook_endpoint", "amazon_eventbridge") + HOOK,
           param="type", words="not available here"),
    create("on a grid", THIN_ONE.replace("webhook_endpoint", "azure_event_grid") + HOOK,
           param="type", words="not available here"),
    create("with a bus too", THIN_ONE + HOOK + ', "amazon_eventbridge": {}',
           param="amazon_eventbridge"),
    create("of no kind", THIN_ONE.replace("webhook_endpoint", "pigeon") + HOOK, param="type",
           words="webhook_endpoint"),
    create("with a thin version", THIN_ONE + HOOK + ', "snapshot_api_version": "2024-06-20"',
           param="snapshot_api_version"),
    create("with a version that is none",
           THIN_ONE.replace('"thin"', '"snapshot"') + HOOK + ', "snapshot_api_version": "1999"',
           param="snapshot_api_version"),
    create("for others", THIN_ONE + HOOK + ', "events_from": ["@accounts"]', param="events_from",
           words="no other accounts"),
    create("with no events", THIN_ONE.replace('["*"]', "[]") + HOOK, param="enabled_events"),
    create("with a snapshot type",
           THIN_ONE.replace('["*"]', '["billing.meter.created"]') + HOOK,
           param="enabled_events[0]"),
    create("with a thin type for snapshots",
           THIN_ONE.replace('["*"]', '["v1.billing.meter.no_meter_found"]')
           .replace('"thin"', '"snapshot"') + HOOK,
           param="enabled_events[0]"),
    create("with a bad url", THIN_ONE + '"webhook_endpoint": {"url": "ftp://x"}',
           code="url_invalid", param="webhook_endpoint.url"),
    create("with a password in the url",
           THIN_ONE + '"webhook_endpoint": {"url": "http://a:b@127.0.0.1/"}',
           code="url_invalid", param="webhook_endpoint.url"),
    create("with an unknown include", THIN_ONE + HOOK + ', "include": ["url"]',
           param="include[0]", words="webhook_endpoint.signing_secret"),
    create("with a number in metadata", THIN_ONE + HOOK + ', "metadata": {"a": 1}',
           param="metadata.a"),
    create("with an unknown field", THIN_ONE + HOOK + ', "url": "x"', code=UNKNOWN, param="url"),
    update("of the type", '"type": "webhook_endpoint"', code=UNKNOWN, param="type"),
    update("of the payload", '"event_payload": "snapshot"', code=UNKNOWN, param="event_payload"),
    update("to no name", '"name": null', param="name"),
    update("to no events", '"enabled_events": []', param="enabled_events"),
    update("to a bad url", '"webhook_endpoint": {"url": "x"}', code="url_invalid"),
    update("that shows the secret", '"include": ["webhook_endpoint.signing_secret"]',
           param="include[0]", words="webhook_endpoint.url"),
    Bad("enable with a parameter", DESTINATIONS + "/{destination}/enable", '{"x": 1}',
        code=UNKNOWN),
    Bad("ping nobody", DESTINATIONS + "/ed_x/ping", status=404, code="not_found",
        words="no such event destination"),
    Bad("delete nobody", DESTINATIONS + "/ed_x", method="DELETE", status=404, code="not_found"),
    Bad("delete a webhook endpoint", DESTINATIONS + "/{hook}", method="DELETE", status=404,
        code="not_found"),
    get("retrieve nobody", DESTINATIONS + "/ed_x", status=404, code="not_found"),
    get("show the secret",
        DESTINATIONS + "/{destination}?include[0]=webhook_endpoint.signing_secret",
        param="include[0]", words="webhook_endpoint.url"),
    get("v1 sees no destination", "/v1/webhook_endpoints/{destination}", status=404,
        code="resource_missing"),
]  # fmt: skip

LISTS = [
    get("limit 0", THIN + "?limit=0", code="parameter_invalid_integer", param="limit"),
    get("limit 101", THIN + "?limit=101", code="parameter_invalid_integer", param="limit"),
    get("a page that is none", THIN + "?page=2", param="page", words="next_page_url"),
    get("a cursor of v1", THIN + "?starting_after=evt_x", code=UNKNOWN, param="starting_after"),
    get("created in seconds", THIN + "?created[gte]=1700000000", param="created[gte]",
        words="rfc 3339"),
    get("created at once", THIN + "?created=2026-06-01T12:00:00Z", param="created"),
    get("created between", THIN + "?created[eq]=2026-06-01T12:00:00Z", code=UNKNOWN,
        param="created[eq]"),
    get("many types", THIN + "?" + "&".join(f"types[{n}]=a" for n in range(21)), param="types",
        words="20"),
    get("one type", THIN + "?types=a", param="types"),
    get("no such event", THIN + "/evt_x", status=404, code="not_found", words="no such event"),
    get("unknown route", "/v2/billing/nothing", status=404, code="url_not_found"),
    get("another method", EVENTS, status=405, code="method_not_allowed", words="POST"),
    get("no key", THIN, status=401, code="unauthorized", headers={"Authorization": ""}),
    get("bad key", THIN, status=401, code="unauthorized",
        headers={"Authorization": "Bearer sk_test_nobody"}),
    get("key of another kind", THIN, status=401, code="unauthorized",
        headers={"Authorization": "Digest x"}),
]  # fmt: skip

BAD = [*BODIES, *METER_EVENTS, *STREAMS, *ADJUSTMENTS, *DESTINATION, *LISTS]
