"""The request log over HTTP: what failed is found again, and no secret ever is."""

import asyncio
from dataclasses import replace
from typing import Any, cast

import pytest
from typing_extensions import override

from meterbell.api.http import Answer
from meterbell.api.requests import LIVE
from meterbell.api.routes import Api as HttpApi
from meterbell.requestlog.feed import RequestFeed
from meterbell.requestlog.log import RequestLog
from meterbell.wire.form import encode_form
from tests.unit.api.running import LIVE_KEY, TEST_KEY, Api, usage

LOG = "/meterbell/requests"
WATCH = LIVE.path

ONE = b"POST /v1/billing/meter_events HTTP/1.1\r\n"
STREAM = b"POST /v2/billing/meter_event_stream HTTP/1.1\r\n"
FORM = b"application/x-www-form-urlencoded"

SECRETS = (
    "sk_test_PlantedPlantedPlantedPlanted1234",
    "sk_live_PlantedPlantedPlantedPlanted1234",
    "rk_live_PlantedPlantedPlantedPlanted1234",
    "pk_live_PlantedPlantedPlantedPlanted1234",
    "whsec_PlantedPlantedPlantedPlantedPlantedPlant",
    "mes_tok_PlantedPlanted.PlantedPlantedPlanted",
    "https://planted:PlantedPassword@example.com/PlantedPath?token=PlantedToken",
)


async def logged(api: Api, **filters: Any) -> list[Any]:  # noqa: ANN401
    """Return what the log keeps, oldest first."""
    data: list[Any] = (await api.got(LOG, {"limit": 100, **filters}))["data"]
    return data[::-1]


async def test_a_failed_request_is_found_by_its_id(api: Api) -> None:
    reply = await api.get("/v1/customers/cus_nope?expand[]=x&limit=Planted")
    assert reply.status == 400
    reply = await api.get("/v1/customers/cus_nope")

    entry = await api.got(f"{LOG}/{reply.headers['request-id']}")

    assert entry == {
        "id": reply.headers["request-id"],
        "object": "request",
        "created": api.clock.now_ms() // 1000,
        "duration_us": 0,
        "error": {
            "type": "invalid_request_error",
            "code": "resource_missing",
            "param": "id",
            "message": "No such customer: 'cus_nope'",
        },
        "key_last4": TEST_KEY[-4:],
        "livemode": False,
        "method": "GET",
        "path": "/v1/customers/cus_nope",
        "skipped": 0,
        "status": 404,
    }


async def test_control_requests_are_kept_and_accepted_usage_is_not(api: Api) -> None:
    await api.meter()
    await api.customer()
    await api.use()
    await api.use("x")
    await api.get("/v1/customers")
    await api.get("/healthz")
    await api.got(WATCH)

    entries = await logged(api)

    assert [(entry["method"], entry["path"], entry["status"]) for entry in entries] == [
        ("POST", "/v1/billing/meters", 200),
        ("POST", "/v1/customers", 200),
        ("POST", "/v1/billing/meter_events", 400),
        ("GET", "/v1/customers", 200),
    ], "nor pages, nor looks at the log"
    assert [entry["error"] for entry in entries if entry["status"] == 200] == [None] * 3


async def test_an_error_of_v2_is_kept_as_it_was_told(api: Api) -> None:
    reply = await api.json("/v2/core/event_destinations", {"name": 1})

    (entry,) = await logged(api)

    assert entry["error"]["code"] == reply.error["code"]
    assert entry["error"]["message"] == reply.error["message"]
    assert entry["error"]["type"] is None


async def test_a_failed_stream_is_kept_with_the_key_behind_its_session(api: Api) -> None:
    token = (await api.json("/v2/billing/meter_event_session")).body["authentication_token"]
    reply = await api.json("/v2/billing/meter_event_stream", {"events": 1}, key=token)
    assert reply.status == 400

    session, stream = await logged(api)

    assert (session["path"], session["status"]) == ("/v2/billing/meter_event_session", 200)
    assert (stream["path"], stream["key_last4"]) == (
        "/v2/billing/meter_event_stream",
        TEST_KEY[-4:],
    )


async def test_a_mode_sees_its_own_requests(api: Api) -> None:
    """And those whose key is of it by its beginning, even if there is no such key."""
    await api.get("/v1/customers", key=LIVE_KEY)
    await api.get("/v1/customers", key="sk_live_nobody")
    test = await api.get("/v1/customers")
    keyless = await api.get("/v1/customers", key="")

    seen = [entry["id"] for entry in await logged(api)]
    refused = await api.get(f"{LOG}/{test.headers['request-id']}", key=LIVE_KEY)

    assert seen == [test.headers["request-id"], keyless.headers["request-id"]]
    assert len((await api.got(LOG, key=LIVE_KEY))["data"]) == 4, "with the look that found nothing"
    assert (refused.status, refused.error["code"]) == (404, "resource_missing")
    assert "accepted" in refused.error["message"]


async def test_filters_and_pages(api: Api) -> None:
    await api.customer()
    for _ in range(3):
        await api.get("/v1/customers/cus_nope")
    await api.get("/v1/billing/meters")

    assert len(await logged(api, status="4xx")) == 3
    assert len(await logged(api, method="post")) == 1
    assert len(await logged(api, path="/v1/customers*")) == 4
    assert len(await logged(api, key_last4=TEST_KEY[-4:])) == 5
    assert len(await logged(api, created={"lt": api.clock.now_ms() // 1000})) == 0
    first = await api.got(LOG, {"limit": 2, "status": "404"})
    last = {"limit": 2, "status": "404", "starting_after": first["data"][-1]["id"]}
    second = await api.got(LOG, last)
    assert (first["has_more"], second["has_more"]) == (True, False)
    assert len({entry["id"] for entry in first["data"] + second["data"]}) == 3
    back = await api.got(LOG, {"ending_before": second["data"][0]["id"], "limit": 1})
    assert [entry["id"] for entry in back["data"]] == [first["data"][-1]["id"]]


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"status": "40x"}, "status"),
        ({"status": "abcd"}, "status"),
        ({"starting_after": "req_nope"}, "starting_after"),
        ({"starting_after": "a", "ending_before": "b"}, "ending_before"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_what_can_not_be_asked_is_refused(
    api: Api, params: dict[str, str], param: str
) -> None:
    reply = await api.get(LOG, params)

    assert (reply.status, reply.error["param"]) == (400, param)


@pytest.mark.parametrize("secret", SECRETS)
async def test_no_secret_reaches_the_log(api: Api, secret: str) -> None:
    """Wherever in a request it was planted."""
    quoted = secret.replace("/", "%2F").replace("?", "%3F")
    with api.services.requests.feed.listening() as cursor:
        await api.get(f"/v1/customers/{secret}")
        await api.get(f"/v1/{secret}/{secret}")
        await api.get("/" + secret, key=secret)
        await api.get(f"/v1/customers?{quoted}={quoted}")
        await api.get("/v1/customers", {"email": secret, "limit": secret})
        await api.get("/v1/customers", headers={"cookie": secret, "authorization": secret})
        await api.post("/v1/customers", {"id": secret, secret: secret})
        await api.post("/v1/webhook_endpoints", {"url": secret, "enabled_events": [secret]})
        await api.post("/v1/billing/meter_events", usage(secret, name=secret))
        await api.post("/v1/billing/meter_events", {"payload": {secret: ""}, "identifier": secret})
        await api.json("/v2/billing/meter_events", {secret: secret}, key=secret)
        await api.json("/v2/billing/meter_event_stream", {secret: secret}, key=secret)
        for _ in range(2):
            await api.post("/v1/customers", {}, headers={"idempotency-key": secret})
        heard = api.services.requests.feed.after(cursor).entries
    entries = await logged(api) + await logged(replace(api, key=LIVE_KEY))

    assert "Planted" not in repr((heard, entries))
    assert len(heard) == 14
    assert len({entry["id"] for entry in entries}) >= 13


class _NoEntries(RequestLog):
    """A request log that fails if anything is told to it."""

    def __init__(self, real: RequestLog) -> None:
        self.feed, self.keys = RequestFeed(), real.keys

    @override
    def add(self, **_facts: object) -> None:
        raise AssertionError("an entry is built")


async def report(api: HttpApi, line: bytes, key: str, body: bytes, kind: bytes) -> Answer:
    """Report usage in the quicker way and return the answer."""
    answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
    headers = {b"authorization": b"Bearer " + key.encode(), b"content-type": kind}

    def respond(answer: Answer, _more: object) -> None:
        answered.set_result(answer)

    began = asyncio.get_running_loop().time()
    assert api.reports[line](headers, body, respond, began)
    return await answered


async def test_accepted_usage_costs_the_log_nothing_while_nobody_watches(api: Api) -> None:
    """Neither one by one nor in a stream: nothing is told to the log, so nothing is built."""
    await api.meter()
    await api.customer()
    token = (await api.json("/v2/billing/meter_event_session")).body["authentication_token"]
    quiet = HttpApi(replace(api.services, requests=_NoEntries(api.services.requests)))
    one = encode_form(usage())
    event = '{"event_name":"requests","identifier":"a","payload":'
    event += '{"stripe_customer_id":"cus_a","value":"1"}}'
    stream = f'{{"events":[{event}]}}'.encode()

    first = await report(quiet, ONE, TEST_KEY, one, FORM)
    second = await report(quiet, STREAM, token, stream, b"application/json")
    third = await Api(quiet, api.services, api.clock).use()

    assert (first.status, second.status, third.status) == (200, 200, 200)


async def test_accepted_usage_is_shown_to_those_who_watch_and_not_kept(api: Api) -> None:
    await api.meter()
    await api.customer()
    token = (await api.json("/v2/billing/meter_event_session")).body["authentication_token"]
    http = cast("HttpApi", api.app)
    with api.services.requests.feed.listening() as cursor:
        await report(http, ONE, TEST_KEY, encode_form(usage()), FORM)
        await report(http, ONE, TEST_KEY, encode_form(usage("x")), FORM)
        await api.use()
        stream = b'{"events":[{"event_name":"requests","identifier":"a","payload":%b}]}'
        stream %= b'{"stripe_customer_id":"cus_a","value":"x"}'
        await report(http, STREAM, token, stream, b"application/json")
        await report(http, STREAM, "nobody", b"{}", b"application/json")
        await api.json("/v2/billing/meter_events", {"event_name": "requests", "payload": {}})
        heard = api.services.requests.feed.after(cursor).entries

    shown = [(entry.path.rpartition("/")[2], entry.status, entry.key_last4) for entry in heard]
    last4 = TEST_KEY[-4:]
    assert shown == [
        ("meter_events", 200, last4),
        ("meter_events", 400, last4),
        ("meter_events", 200, last4),
        ("meter_event_stream", 200, last4),
        ("meter_event_stream", 401, None),
        ("meter_events", 400, last4),
    ]
    kept = [entry["status"] for entry in await logged(api)][3:]
    assert kept == [400, 401, 400]


async def test_watching_waits_for_a_request_that_the_filter_lets_through(api: Api) -> None:
    begin = await api.got(WATCH)

    async def happenings() -> None:
        await asyncio.sleep(0)
        await api.get("/v1/customers", key=LIVE_KEY)
        await api.get("/v1/customers")
        await api.get("/v1/customers/cus_nope")

    watched, _ = await asyncio.gather(
        api.got(WATCH, {"after": begin["cursor"], "wait": 60, "status": "4xx"}), happenings()
    )

    assert [entry["path"] for entry in watched["data"]] == ["/v1/customers/cus_nope"]
    assert not watched["has_gap"]
    again = await api.got(WATCH, {"after": watched["cursor"]})
    assert (again["data"], again["cursor"]) == ([], watched["cursor"])


async def test_watching_from_a_cursor_of_long_ago_tells_of_the_gap(api: Api) -> None:
    watched = await api.got(WATCH, {"after": 1, "wait": 60})

    assert (watched["data"], watched["has_gap"]) == ([], True)
