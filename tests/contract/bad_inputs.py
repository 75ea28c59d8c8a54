"""Requests that must be refused: what is sent, the status, the parameter at fault, words to find.

`{customer}`, `{meter}`, `{alert}`, `{archived}`, `{endpoint}` stand for ids of objects that exist.
Bodies are written as they go over the wire, so that the encoding itself can be wrong.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Bad:
    """One request that must be refused.

    Attributes:
        words: What the message must contain, in any case.
        param: The parameter it must name; None where none is at fault.
    """

    name: str
    method: str
    path: str
    body: str | bytes = ""
    status: int = 400
    param: str | None = None
    words: str = ""
    headers: dict[str, str] = field(default_factory=dict)


USAGE = "event_name=requests&payload[stripe_customer_id]={customer}&payload[value]="
METER = (
    "display_name=D&event_name=fresh&default_aggregation[formula]=sum"
    "&customer_mapping[type]=by_id&customer_mapping[event_payload_key]=c"
    "&value_settings[event_payload_key]=v"
)
ALERT = "alert_type=usage_threshold&title=T&usage_threshold[recurrence]=one_time"
ALERT_ALL = ALERT + "&usage_threshold[meter]={meter}&usage_threshold[gte]=5"
ENDPOINT = "enabled_events[0]=*&url="
EVENTS = "/v1/billing/meter_events"
ADJUST = "/v1/billing/meter_event_adjustments"
METERS = "/v1/billing/meters"
ALERTS = "/v1/billing/alerts"
SUMMARIES = "/v1/billing/meters/{meter}/event_summaries"
HOOKS = "/v1/webhook_endpoints"
CUSTOMERS = "/v1/customers"

_BAD_VALUES = {
    "empty": "",
    "letters": "abc",
    "exponent": "1e5",
    "capital exponent": "1E5",
    "huge exponent": "1e1000000",
    "plus": "%2B1",
    "two minus": "--1",
    "minus only": "-",
    "point only": ".",
    "no whole part": ".5",
    "no fraction": "1.",
    "two points": "1.2.3",
    "comma": "1,5",
    "thousands": "1,000",
    "underscore": "1_000",
    "leading blank": "+1",
    "trailing blank": "1+",
    "newline": "1%0A",
    "tab": "1%09",
    "nan": "NaN",
    "infinity": "Infinity",
    "minus infinity": "-Infinity",
    "hex": "0x10",
    "sixteen digits": "1234567890123456",
    "thirteen decimals": "0.1234567890123",
    "four thousand digits": "9" * 4000,
    "fullwidth digits": "%EF%BC%91%EF%BC%92",
    "arabic digits": "%D9%A1%D9%A2",
    "superscript": "%C2%B2",
    "percent": "5%25",
    "currency": "$5",
    "boolean": "true",
    "null": "null",
    "fraction": "1/2",
}

_BAD_TIMESTAMPS = {
    "letters": "now",
    "decimal": "1700000000.5",
    "negative": "-1",
    "zero": "0",
    "far past": "1000000000",
    "far future": "99999999999",
    "twenty digits": "9" * 20,
    "four thousand digits": "9" * 4000,
    "exponent": "1e9",
    "milliseconds": "1767225600000",
    "iso": "2026-01-01T00:00:00Z",
    "blank": "+1767225600",
    "underscore": "1_767_225_600",
    "arabic digits": "%D9%A1%D9%A2",
    "fullwidth digits": "%EF%BC%91%EF%BC%92",
}

_BAD_GTE = {
    "zero": "0",
    "negative": "-5",
    "decimal": "1.5",
    "letters": "many",
    "exponent": "1e3",
    "empty": "",
    "past int64": "9223372036854775808",
    "four thousand digits": "9" * 4000,
    "underscore": "1_0",
    "fullwidth digits": "%EF%BC%91",
    "nan": "NaN",
}

_BAD_URLS = {
    "empty": "",
    "no scheme": "example.com/hook",
    "ftp": "ftp://example.com/hook",
    "file": "file:///etc/passwd",
    "javascript": "javascript:alert(1)",
    "no host": "http:///hook",
    "blank in host": "http://exa+mple.com/",
    "newline": "http://example.com/%0Ahook",
    "nul": "http://example.com/%00",
    "port letters": "http://example.com:port/",
    "port too large": "http://example.com:99999/",
    "open bracket": "http://[::1/",
    "userinfo": "http://user:secret@example.com/",
    "too long": "http://example.com/" + "a" * 5000,
    "words": "not+a+url",
}

_BAD_LIMITS = {
    "zero": "0",
    "negative": "-1",
    "too many": "101",
    "letters": "ten",
    "decimal": "1.0",
    "huge": "9" * 30,
    "empty": "",
}


def _families() -> list[Bad]:
    """Return the families of requests that differ in one value."""
    bad = [
        Bad(f"value {name}", "POST", EVENTS, USAGE + value, param="payload[value]")
        for name, value in _BAD_VALUES.items()
    ]
    bad += [
        Bad(f"timestamp {name}", "POST", EVENTS, f"{USAGE}1&timestamp={value}", param="timestamp")
        for name, value in _BAD_TIMESTAMPS.items()
    ]
    bad += [
        Bad(
            f"gte {name}",
            "POST",
            ALERTS,
            f"{ALERT}&usage_threshold[meter]={{meter}}&usage_threshold[gte]={value}",
            param="usage_threshold[gte]",
        )
        for name, value in _BAD_GTE.items()
    ]
    bad += [
        Bad(f"url {name}", "POST", HOOKS, ENDPOINT + value, param=None if "nul" in name else "url")
        for name, value in _BAD_URLS.items()
    ]
    for path in (CUSTOMERS, METERS, ALERTS, HOOKS, "/v1/events"):
        bad += [
            Bad(f"{path} limit {name}", "GET", f"{path}?limit={value}", param="limit")
            for name, value in _BAD_LIMITS.items()
        ]
        bad += [
            Bad(f"{path} unknown parameter", "GET", f"{path}?nope=1", words="unknown parameter"),
            Bad(
                f"{path} both cursors",
                "GET",
                f"{path}?starting_after=a&ending_before=b",
                words="ending_before",
            ),
            Bad(f"{path} unknown cursor", "GET", f"{path}?starting_after=nope", words="nope"),
            Bad(f"{path} expand", "GET", f"{path}?expand[]=data.nope", words="expand"),
        ]
    return bad


_MISSING = [
    (METERS, METER, "display_name=D&", "display_name"),
    (METERS, METER, "event_name=fresh&", "event_name"),
    (METERS, METER, "default_aggregation[formula]=sum&", "default_aggregation"),
    (ALERTS, ALERT_ALL, "alert_type=usage_threshold&", "alert_type"),
    (ALERTS, ALERT_ALL, "title=T&", "title"),
    (ALERTS, ALERT_ALL, "&usage_threshold[recurrence]=one_time", "usage_threshold[recurrence]"),
    (ALERTS, ALERT_ALL, "&usage_threshold[gte]=5", "usage_threshold[gte]"),
    (ALERTS, ALERT_ALL, "&usage_threshold[meter]={meter}", "usage_threshold[meter]"),
    (EVENTS, USAGE + "1", "event_name=requests&", "event_name"),
    (EVENTS, USAGE + "1", "&payload[value]=1", "payload[value]"),
    (EVENTS, USAGE + "1", "&payload[stripe_customer_id]={customer}", "payload[stripe_customer_id]"),
    (HOOKS, ENDPOINT + "http://127.0.0.1/", "enabled_events[0]=*&", "enabled_events"),
    (HOOKS, ENDPOINT + "http://127.0.0.1/", "&url=http://127.0.0.1/", "url"),
    (ADJUST, "type=cancel&event_name=requests&cancel[identifier]=x", "type=cancel&", "type"),
]

_SINGLE = [
    Bad("event name unknown", "POST", EVENTS, USAGE.replace("=requests", "=nope") + "1",
        param="event_name", words="No active meter found"),
    Bad("event name too long", "POST", EVENTS, USAGE.replace("=requests", "=" + "n" * 101) + "1",
        param="event_name", words="100"),
    Bad("customer unknown", "POST", EVENTS, USAGE.replace("{customer}", "cus_nope") + "1",
        param="payload[stripe_customer_id]", words="No such customer"),
    Bad("customer empty", "POST", EVENTS, USAGE.replace("{customer}", "") + "1",
        param="payload[stripe_customer_id]"),
    Bad("identifier empty", "POST", EVENTS, USAGE + "1&identifier=", param="identifier"),
    Bad("identifier too long", "POST", EVENTS, USAGE + "1&identifier=" + "i" * 101,
        param="identifier", words="100"),
    Bad("identifier nul", "POST", EVENTS, USAGE + "1&identifier=a%00b", words="NUL"),
    Bad("identifier control", "POST", EVENTS, USAGE + "1&identifier=a%07b", param="identifier"),
    Bad("identifier object", "POST", EVENTS, USAGE + "1&identifier[a]=b", param="identifier"),
    Bad("payload text", "POST", EVENTS, "event_name=requests&payload=text", param="payload"),
    Bad("payload list", "POST", EVENTS, "event_name=requests&payload[0]=a", param=None),
    Bad("payload nested", "POST", EVENTS, USAGE + "1&payload[a][b]=c", param="payload[a]"),
    Bad("parameter unknown", "POST", EVENTS, USAGE + "1&nope=1", words="unknown parameter: nope"),
    Bad("parameter near miss", "POST", EVENTS, USAGE + "1&identifer=1", words="Did you mean"),
    Bad("parameter twice", "POST", EVENTS, USAGE + "1&identifier=a&identifier=b",
        words="identifier"),
    Bad("parameter text and object", "POST", EVENTS, USAGE + "1&identifier=a&identifier[b]=c",
        words="identifier"),
    Bad("bracket open", "POST", EVENTS, USAGE + "1&payload[a=1"),
    Bad("bracket close", "POST", EVENTS, USAGE + "1&payload]a[=1"),
    Bad("name empty", "POST", EVENTS, USAGE + "1&=1"),
    Bad("not UTF-8", "POST", EVENTS, USAGE + "1&identifier=%FF%FE", words="UTF-8"),
    Bad("lone surrogate", "POST", EVENTS, USAGE + "1&identifier=%ED%A0%80", words="UTF-8"),
    Bad("bad percent", "POST", EVENTS, USAGE + "1&identifier=%ZZ" + "i" * 100),
    Bad("too deep", "POST", EVENTS, USAGE + "1&payload" + "[a]" * 20 + "=1"),
    Bad("too many parameters", "POST", EVENTS,
        USAGE + "1&" + "&".join(f"payload[k{number}]=1" for number in range(1100))),
    Bad("key too long", "POST", EVENTS, USAGE + "1&" + "k" * 300 + "=1"),
    Bad("sparse list", "POST", HOOKS, "url=http://127.0.0.1/&enabled_events[999999999]=*"),
    Bad("body too large", "POST", EVENTS, USAGE + "1&identifier=" + "i" * 1_100_000, status=413),
    Bad("body JSON", "POST", EVENTS, '{"event_name": "requests"}', status=415,
        headers={"Content-Type": "application/json"}, words="form"),
    Bad("adjust type", "POST", ADJUST, "event_name=requests&type=undo&cancel[identifier]=x",
        param="type", words="must be cancel"),
    Bad("adjust unknown", "POST", ADJUST, "event_name=requests&type=cancel&cancel[identifier]=x",
        param="cancel[identifier]", words="No meter event"),
    Bad("adjust without identifier", "POST", ADJUST, "event_name=requests&type=cancel",
        param="cancel"),
    Bad("adjust unknown meter", "POST", ADJUST,
        "event_name=nope&type=cancel&cancel[identifier]=x", param="event_name"),
    Bad("formula", "POST", METERS, METER.replace("=sum", "=max"),
        param="default_aggregation[formula]", words="must be one of"),
    Bad("meter twice", "POST", METERS, METER.replace("=fresh", "=requests"), param="event_name",
        words="requests"),
    Bad("meter name too long", "POST", METERS, METER.replace("=D&", "=" + "d" * 251 + "&"),
        param="display_name", words="250"),
    Bad("meter name empty", "POST", METERS, METER.replace("=D&", "=&"), param="display_name"),
    Bad("meter event name too long", "POST", METERS, METER.replace("=fresh", "=" + "e" * 101),
        param="event_name", words="100"),
    Bad("meter window", "POST", METERS, METER + "&event_time_window=week",
        param="event_time_window", words="must be"),
    Bad("meter mapping type", "POST", METERS, METER.replace("=by_id", "=by_name"),
        param="customer_mapping[type]"),
    Bad("meter update of a fixed field", "POST", METERS + "/{meter}", "event_name=other",
        words="unknown parameter"),
    Bad("meter unknown", "GET", METERS + "/mtr_nope", status=404, words="mtr_nope"),
    Bad("meter deactivate unknown", "POST", METERS + "/mtr_nope/deactivate", status=404),
    Bad("meter status", "GET", METERS + "?status=gone", param="status"),
    Bad("alert type", "POST", ALERTS, ALERT_ALL.replace("=usage_threshold&", "=credit&"),
        param="alert_type", words="usage_threshold"),
    Bad("alert title too long", "POST", ALERTS, ALERT_ALL.replace("title=T", "title=" + "t" * 257),
        param="title", words="256"),
    Bad("alert title empty", "POST", ALERTS, ALERT_ALL.replace("title=T", "title="),
        param="title"),
    Bad("alert recurrence", "POST", ALERTS, ALERT_ALL.replace("one_time", "daily"),
        param="usage_threshold[recurrence]", words="one_time"),
    Bad("alert meter unknown", "POST", ALERTS, ALERT_ALL.replace("{meter}", "mtr_nope"),
        param="usage_threshold[meter]", words="mtr_nope"),
    Bad("alert two filters", "POST", ALERTS,
        ALERT_ALL + "&usage_threshold[filters][0][type]=customer"
        "&usage_threshold[filters][0][customer]={customer}"
        "&usage_threshold[filters][1][type]=customer"
        "&usage_threshold[filters][1][customer]={customer}", param="usage_threshold[filters]"),
    Bad("alert filter type", "POST", ALERTS,
        ALERT_ALL + "&usage_threshold[filters][0][type]=tenant",
        param="usage_threshold[filters][0][type]"),
    Bad("alert filter without customer", "POST", ALERTS,
        ALERT_ALL + "&usage_threshold[filters][0][type]=customer",
        param="usage_threshold[filters][0][customer]"),
    Bad("alert filter customer unknown", "POST", ALERTS,
        ALERT_ALL + "&usage_threshold[filters][0][type]=customer"
        "&usage_threshold[filters][0][customer]=cus_nope",
        param="usage_threshold[filters][0][customer]", words="cus_nope"),
    Bad("alert baseline", "POST", ALERTS, ALERT_ALL + "&usage_threshold[baseline]=birth",
        param="usage_threshold[baseline]"),
    Bad("alert evaluates creation baseline", "POST", ALERTS,
        ALERT_ALL + "&usage_threshold[evaluate_on_create]=true",
        param="usage_threshold[evaluate_on_create]"),
    Bad("alert unknown", "GET", ALERTS + "/alrt_nope", status=404, words="alrt_nope"),
    Bad("alert activate archived", "POST", ALERTS + "/{archived}/activate", words="archived"),
    Bad("alert deactivate archived", "POST", ALERTS + "/{archived}/deactivate", words="archived"),
    Bad("alert bad expand", "GET", ALERTS + "/{alert}?expand[]=title", param="expand",
        words="cannot be expanded"),
    Bad("alert expand too deep", "GET", ALERTS + "/{alert}?expand[]=a.b.c.d.e", param="expand"),
    Bad("summary without customer", "GET", SUMMARIES + "?start_time=0&end_time=60",
        param="customer"),
    Bad("summary customer unknown", "GET",
        SUMMARIES + "?customer=cus_nope&start_time=0&end_time=60", words="cus_nope"),
    Bad("summary unaligned start", "GET",
        SUMMARIES + "?customer={customer}&start_time=1&end_time=60", param="start_time"),
    Bad("summary unaligned end", "GET",
        SUMMARIES + "?customer={customer}&start_time=0&end_time=61", param="end_time"),
    Bad("summary unaligned hour", "GET",
        SUMMARIES + "?customer={customer}&start_time=60&end_time=3600&value_grouping_window=hour",
        param="start_time"),
    Bad("summary unaligned day", "GET",
        SUMMARIES + "?customer={customer}&start_time=0&end_time=3600&value_grouping_window=day",
        param="end_time"),
    Bad("summary backwards", "GET",
        SUMMARIES + "?customer={customer}&start_time=120&end_time=60", param="end_time"),
    Bad("summary window", "GET",
        SUMMARIES + "?customer={customer}&start_time=0&end_time=60&value_grouping_window=month",
        param="value_grouping_window"),
    Bad("summary meter unknown", "GET",
        "/v1/billing/meters/mtr_nope/event_summaries?customer=a&start_time=0&end_time=60",
        status=404),
    Bad("hook event unknown", "POST", HOOKS, "url=http://127.0.0.1/&enabled_events[0]=nope",
        param="enabled_events[0]"),
    Bad("hook event wildcard", "POST", HOOKS, "url=http://127.0.0.1/&enabled_events[0]=billing.*",
        param="enabled_events[0]"),
    Bad("hook events text", "POST", HOOKS, "url=http://127.0.0.1/&enabled_events=*",
        param="enabled_events", words="array"),
    Bad("hook version", "POST", HOOKS, ENDPOINT + "http://127.0.0.1/&api_version=1999-01-01",
        param="api_version"),
    Bad("hook secret", "POST", HOOKS + "/{endpoint}", "secret=whsec_mine",
        words="unknown parameter: secret"),
    Bad("hook disabled", "POST", HOOKS + "/{endpoint}", "disabled=maybe", param="disabled",
        words="boolean"),
    Bad("hook unknown", "DELETE", HOOKS + "/we_nope", status=404),
    Bad("customer id with blank", "POST", CUSTOMERS, "id=a+b", param="id"),
    Bad("customer id too long", "POST", CUSTOMERS, "id=" + "a" * 256, param="id"),
    Bad("customer id empty", "POST", CUSTOMERS, "id=", param="id"),
    Bad("customer id taken", "POST", CUSTOMERS, "id={customer}", words="{customer}"),
    Bad("customer email too long", "POST", CUSTOMERS, "email=" + "e" * 513, param="email",
        words="512"),
    Bad("customer metadata text", "POST", CUSTOMERS, "metadata=text", param="metadata"),
    Bad("customer metadata key", "POST", CUSTOMERS, "metadata[" + "k" * 41 + "]=v",
        words="40"),
    Bad("customer metadata value", "POST", CUSTOMERS, "metadata[k]=" + "v" * 501, words="500"),
    Bad("customer metadata keys", "POST", CUSTOMERS,
        "&".join(f"metadata[k{number}]=v" for number in range(51)), words="50"),
    Bad("customer unknown id", "GET", CUSTOMERS + "/cus_nope", status=404, param="id",
        words="No such customer: 'cus_nope'"),
    Bad("customer delete unknown", "DELETE", CUSTOMERS + "/cus_nope", status=404),
    Bad("customer created range", "GET", CUSTOMERS + "?created[since]=5", words="created"),
    Bad("customer created text", "GET", CUSTOMERS + "?created=yesterday", param="created"),
    Bad("events type and types", "GET", "/v1/events?type=a&types[]=b", words="types"),
    Bad("events unknown id", "GET", "/v1/events/evt_nope", status=404, words="evt_nope"),
    Bad("events delivery", "GET", "/v1/events?delivery_success=maybe", param="delivery_success"),
    Bad("route unknown", "GET", "/v1/nope", status=404, words="Unrecognized request URL"),
    Bad("route of another version", "GET", "/v9/customers", status=404),
    Bad("idempotency key too long", "POST", CUSTOMERS, "name=a",
        headers={"Idempotency-Key": "k" * 256}, words="255"),
    Bad("no key", "GET", CUSTOMERS, status=401, headers={"Authorization": ""},
        words="You did not provide an API key"),
    Bad("wrong key", "GET", CUSTOMERS, status=401,
        headers={"Authorization": "Bearer sk_test_wrong12345678"}, words="Invalid API Key"),
    Bad("not a key", "GET", CUSTOMERS, status=401, headers={"Authorization": "Bearer hello"}),
    Bad("scheme unknown", "GET", CUSTOMERS, status=401, headers={"Authorization": "Digest a"}),
    Bad("basic garbage", "GET", CUSTOMERS, status=401, headers={"Authorization": "Basic ###"}),
    Bad("key not ASCII", "GET", CUSTOMERS, status=401,
        headers={"Authorization": "Bearer sk_test_\u00e4"}),
]  # fmt: skip

BAD = [
    *_families(),
    *(
        Bad(f"{path} without {param}", "POST", path, body.replace(part, ""), param=param)
        for path, body, part, param in _MISSING
    ),
    *_SINGLE,
]
