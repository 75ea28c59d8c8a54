"""Listeners over websockets, as the API serves them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.types import Message

from meterbell.delivery.listener_sessions import LISTENERS_MAX, Wish, begin_listener
from meterbell.errors import OverloadedError
from meterbell.records import Delivery, Listener
from tests.unit.api.running import LIVE_KEY, Api, Reply

SESSIONS = "/v1/stripecli/sessions"
PATH = "/v1/stripecli/subscribe"
DAY = 86_400
HOST = {"host": "127.0.0.1:4242"}


class Socket:
    """The client's end of a websocket."""

    def __init__(self) -> None:
        self.to_server: asyncio.Queue[Message] = asyncio.Queue()
        self.from_server: asyncio.Queue[Message] = asyncio.Queue()

    async def next(self) -> Message:
        async with asyncio.timeout(20):
            return await self.from_server.get()

    async def frame(self) -> dict[str, Any]:
        message = await self.next()
        frame: dict[str, Any] = json.loads(message["text"])
        return frame

    async def event(self, *, told: str | None = None) -> dict[str, Any]:
        """Return the next event, whose frames are acknowledged; `told` is what it is about."""
        frame = await self.frame()
        payload: dict[str, Any] = json.loads(frame["event_payload"])
        assert frame["endpoint"]["api_version"] is None
        latest = await self.frame()
        assert json.loads(latest["event_payload"]) == payload
        assert latest["endpoint"]["api_version"] == payload["api_version"]
        for one in (frame, latest):
            self.acknowledge(payload["id"], one["webhook_conversation_id"])
        assert told is None or payload["data"]["object"]["id"] == told
        return payload

    def acknowledge(self, event: str, conversation: str) -> None:
        self.tell(type="event_ack", event_id=event, webhook_conversation_id=conversation)

    def tell(self, **message: object) -> None:
        self.to_server.put_nowait({"type": "websocket.receive", "text": json.dumps(message)})


async def begin(api: Api, *features: str, key: str | None = None, **params: object) -> Reply:
    features = features or ("webhooks",)
    given = {"device_name": "dev", "websocket_features": list(features), **params}
    return await api.send("POST", SESSIONS, given, key=key, headers=HOST)


@asynccontextmanager
async def connected(
    api: Api, token: str, *, path: str = PATH, reason: str = ""
) -> AsyncIterator[Socket]:
    """Connect until the end of the block."""
    socket = Socket()
    scope = {
        "type": "websocket",
        "path": path,
        "headers": [(b"websocket-id", token.encode())],
        "subprotocols": ["stripecli-devproxy-v1"],
    }

    async def send(message: Message) -> None:
        await socket.from_server.put(message)
        if message["type"] == "websocket.close":
            await socket.to_server.put({"type": "websocket.disconnect", "code": message["code"]})

    await socket.to_server.put({"type": "websocket.connect"})
    waking = asyncio.create_task(api.services.listeners.run())

    async def serve() -> None:
        await api.app(scope, socket.to_server.get, send)

    serving = asyncio.create_task(serve())
    try:
        yield socket
        await socket.to_server.put({"type": "websocket.disconnect", "code": 1000, "reason": reason})
        async with asyncio.timeout(20):
            await serving
    finally:
        for task in (waking, serving):
            task.cancel()
        await asyncio.gather(waking, serving, return_exceptions=True)


async def accepted(socket: Socket) -> None:
    message = await socket.next()
    assert message == {"type": "websocket.accept", "subprotocol": "stripecli-devproxy-v1"}


async def test_a_session_says_where_and_how_to_connect(api: Api) -> None:
    first = (await begin(api)).body
    second = (await begin(api, "v2_events", "webhooks")).body
    live = (await begin(api, key=LIVE_KEY)).body

    assert first["websocket_url"] == "ws://127.0.0.1:4242/v1/stripecli/subscribe"
    assert second["websocket_authorized_feature"] == "v2_events,webhooks"
    assert first["secret"] == second["secret"] != live["secret"]
    assert first["secret"].startswith("whsec_")
    assert first["websocket_id"] != second["websocket_id"]
    assert "since" not in first


async def test_the_address_is_the_one_that_was_asked(api: Api) -> None:
    params = {"websocket_features": ["webhooks"]}
    secure = {"host": "api.stripe.com", "x-forwarded-proto": "https"}

    answered = await api.send("POST", SESSIONS, params, headers=secure)
    refused = await api.send("POST", SESSIONS, params, headers={"host": "a b?"})

    assert answered.body["websocket_url"] == "wss://api.stripe.com/v1/stripecli/subscribe"
    assert refused.status == 400


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"websocket_features": ["everything"]}, "websocket_features[0]"),
        ({"since": "evt_none"}, "since"),
        ({"thin_since": "evt_none"}, "thin_since"),
        ({"filters": "nonsense"}, "filters"),
    ],
)
async def test_what_can_not_be_listened_to_is_refused(
    api: Api, params: dict[str, Any], param: str
) -> None:
    reply = await begin(api, **params)

    assert (reply.status, reply.error["param"]) == (400, param)


async def test_d1_events_come_until_acknowledged_and_never_again(api: Api) -> None:
    await api.customer("cus_before")
    token = (await begin(api)).body["websocket_id"]
    await api.customer("cus_1")
    async with connected(api, token) as socket:
        await accepted(socket)
        await socket.event(told="cus_1")
        await api.customer("cus_2")
        await socket.frame()  # not acknowledged
    await api.customer("cus_3")
    await api.customer("cus_live", key=LIVE_KEY)

    async with connected(api, token) as socket:
        await accepted(socket)
        await socket.event(told="cus_2")
        await socket.event(told="cus_3")
    await api.customer("cus_4")
    async with connected(api, token) as socket:
        await accepted(socket)
        await socket.event(told="cus_4")


async def test_d1_a_stop_waits_for_acknowledgements_and_says_goodbye(api: Api) -> None:
    token = (await begin(api)).body["websocket_id"]
    async with connected(api, token) as socket:
        await accepted(socket)
        await api.customer("cus_1")
        frames = [await socket.frame(), await socket.frame()]
        stopping = asyncio.create_task(api.services.listeners.stop())
        await asyncio.sleep(0)
        event = json.loads(frames[0]["event_payload"])["id"]
        for frame in frames:
            socket.acknowledge(event, frame["webhook_conversation_id"])
        await stopping
        assert (await socket.next())["code"] == 1012
    (listener,) = api.services.store.reader.find(Listener)
    assert (listener.event_cursor, listener.done) == (1, [])

    async with connected(api, token) as socket:
        refused = await socket.next()
        assert refused["status"] == 503


async def test_an_unknown_session_is_told_so_in_the_words_that_the_cli_knows(api: Api) -> None:
    for token in ("", "cliws_guessed"):
        async with connected(api, token) as socket:
            assert (await socket.next())["status"] == 401
            body = (await socket.next())["body"]
        assert json.loads(body) == {"error": {"message": "Unknown WebSocket ID."}}
    async with connected(api, "x", path="/elsewhere") as socket:
        assert (await socket.next())["status"] == 404


async def test_a_session_ends_with_its_key(api: Api) -> None:
    key = await api.add_key("sk_test_expires_soon", expires_at=api.clock.now_ms() // 1000 + 10)
    token = (await begin(api, key=key)).body["websocket_id"]
    async with connected(api, token) as socket:
        await accepted(socket)
        api.clock.advance(seconds=12)
        await api.customer("cus_1")
        assert (await socket.next())["code"] == 1008
    async with connected(api, token) as socket:
        assert (await socket.next())["status"] == 401


async def test_a_listener_that_says_goodbye_does_not_come_back(api: Api) -> None:
    token = (await begin(api)).body["websocket_id"]
    async with connected(api, token, reason="Connection Done") as socket:
        await accepted(socket)

    async with connected(api, token) as socket:
        assert (await socket.next())["status"] == 401
    (shown,) = (await api.got("/meterbell/listeners"))["data"]
    assert (shown["status"], shown["device_name"]) == ("ended", "dev")


async def test_what_a_local_server_answered_is_kept(api: Api) -> None:
    session = await begin(api, forward_to_url="http://me:secret@localhost:3000/hook?token=x")
    token = session.body["websocket_id"]
    async with connected(api, token) as socket:
        await accepted(socket)
        await api.customer("cus_1")
        event = await socket.event()
        socket.tell(
            type="webhook_response",
            webhook_conversation_id="w1",
            notification_id=event["id"],
            forward_url="http://me:secret@localhost:3000/hook?token=x",
            status=500,
            body="broken" * 1000,
        )
    (listener,) = (await api.got("/meterbell/listeners"))["data"]
    (answer,) = (await api.got(f"/meterbell/listeners/{listener['id']}/answers"))["data"]

    assert listener["forward_to"] == answer["url"] == "http://localhost:3000/hook"
    assert (answer["event"], answer["status"]) == (event["id"], 500)
    assert len(answer["response"]) == 5000
    assert (await api.get("/meterbell/listeners/lsn_none/answers")).status == 404


async def test_an_event_is_sent_again_to_those_who_listen(api: Api) -> None:
    token = (await begin(api)).body["websocket_id"]
    await begin(api)  # never connected, as for --print-secret
    async with connected(api, token) as socket:
        await accepted(socket)
        await api.customer("cus_1")
        event = await socket.event()
        path = f"/v1/events/{event['id']}/retry"
        assert (await api.send("POST", path, {"for_stripecli": "true"})).status == 200
        assert (await socket.event())["id"] == event["id"]
        assert (await api.send("POST", path)).error["code"] == "parameter_missing"
        unknown = await api.send("POST", path, {"webhook_endpoint": "we_none"})
        assert unknown.error["code"] == "resource_missing"
    await api.send("POST", path, {"for_stripecli": "true"})  # while it is away

    async with connected(api, token) as socket:
        await accepted(socket)
        assert (await socket.event())["id"] == event["id"]
        await api.customer("cus_2")
        await socket.event(told="cus_2")


async def test_an_event_is_sent_again_to_one_endpoint(api: Api) -> None:
    params = {"url": "http://127.0.0.1:4243/", "enabled_events": ["customer.deleted"]}
    endpoint = (await api.made("/v1/webhook_endpoints", params))["id"]
    await api.customer("cus_1")
    (event,) = await api.events()
    path, again = f"/v1/events/{event['id']}/retry", {"webhook_endpoint": endpoint}

    answered = await api.made(path, again)
    deliveries = api.services.store.reader.find(Delivery)
    await api.made(f"/v1/webhook_endpoints/{endpoint}", {"disabled": "true"})
    refused = await api.send("POST", path, again)

    assert (answered["id"], answered["pending_webhooks"]) == (event["id"], 1)
    assert [(d.event, d.endpoint, d.status) for d in deliveries] == [
        (event["id"], endpoint, "pending")
    ]
    assert (refused.status, refused.error["param"]) == (400, "webhook_endpoint")


async def test_one_that_resumes_says_where_and_gets_each_event_in_one_frame(api: Api) -> None:
    await api.customer("cus_1")
    start = (await begin(api, since="start", thin_since="start")).body
    now = (await begin(api, since="now", types=["customer.*"])).body
    assert (start["since"], start["thin_since"]) == ("start", "start")
    assert now["since"].startswith("evt_")

    api.clock.advance(seconds=3 * DAY)
    async with connected(api, start["websocket_id"]) as socket:
        await accepted(socket)
        payload = json.loads((await socket.frame())["event_payload"])
        assert (payload["id"], payload["data"]["object"]["id"]) == (now["since"], "cus_1")
        await api.meter()
        assert "billing.meter" in (await socket.frame())["event_payload"]
    await api.customer("cus_2")
    async with connected(api, now["websocket_id"]) as socket:
        await accepted(socket)
        assert "cus_2" in (await socket.frame())["event_payload"], "the meter is not wanted"


async def test_what_is_older_than_a_day_does_not_wait(api: Api) -> None:
    token = (await begin(api)).body["websocket_id"]
    await api.customer("cus_old")
    api.clock.advance(seconds=2 * DAY)
    await api.customer("cus_new")

    async with connected(api, token) as socket:
        await accepted(socket)
        await socket.event(told="cus_new")


async def test_a_new_connection_takes_the_place_of_a_dead_one(api: Api) -> None:
    token = (await begin(api)).body["websocket_id"]
    async with connected(api, token) as dead:
        await accepted(dead)
        async with connected(api, token) as socket:
            await accepted(socket)
            await api.customer("cus_1")
            await socket.event(told="cus_1")
        assert dead.from_server.empty()


async def test_requests_are_shown_as_the_filters_say(api: Api) -> None:
    filters = json.dumps({"filter_status_code_type": ["400"]})
    token = (await begin(api, "request_logs", filters=filters)).body["websocket_id"]
    async with connected(api, token) as socket:
        await accepted(socket)
        while not api.services.requests.feed.is_listened:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0)
        await api.got("/v1/customers")
        await api.get("/v1/nope")
        frame = await socket.frame()

    shown = json.loads(frame["event_payload"])
    assert (frame["type"], shown["url"], shown["status"]) == ("request_log_event", "/v1/nope", 404)
    assert shown["error"]["type"] == "invalid_request_error"
    assert not api.services.requests.feed.is_listened, "nobody is left to collect for"


async def test_old_listeners_make_room_and_connected_ones_do_not(api: Api) -> None:
    token = (await begin(api)).body["websocket_id"]
    async with connected(api, token) as socket:
        await accepted(socket)
        second = (await begin(api)).body["websocket_id"]
        for _ in range(LISTENERS_MAX - 1):
            await begin(api)
        assert api.services.store.reader.count(Listener) == LISTENERS_MAX
        async with connected(api, second) as forgotten:
            assert (await forgotten.next())["status"] == 401
        await api.customer("cus_1")
        await socket.event(told="cus_1")

    api.clock.advance(seconds=8 * DAY)
    await begin(api)
    assert api.services.store.reader.count(Listener) == 1


async def test_no_more_than_so_many_are_connected(api: Api) -> None:
    for _ in range(LISTENERS_MAX):
        await begin(api)
    ids = {listener.id for listener in api.services.store.reader.find(Listener)}
    services = api.services
    wish = Wish(
        livemode=False,
        key="",
        device_name="",
        features=["webhooks"],
        forward_to=None,
        thin_forward_to=None,
        filters={},
        types=[],
        resumes=False,
        event_cursor=None,
        thin_cursor=None,
    )

    with pytest.raises(OverloadedError, match="there may be 100"):
        await services.committer.execute(
            lambda transaction: begin_listener(
                transaction, wish, vault=services.vault, connected=ids
            )
        )
