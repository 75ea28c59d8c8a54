"""Usage over raw connections: whichever way it is read, the answers are alike."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from meterbell.cli.front import REQUEST_BYTES_MAX
from tests.support.server import ServerProcess

PATH = "/v1/billing/meter_events"
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
# Uvicorn reads a connection from the first of these on.
UNUSUAL = {"TE": "trailers"}


class Client:
    """A connection by hand."""

    def __init__(self, connection: socket.socket, key: str) -> None:
        self.connection = connection
        self._key = key
        self._rest = b""

    def request(
        self,
        body: str,
        *,
        line: str = f"POST {PATH} HTTP/1.1",
        **headers: str | None,
    ) -> bytes:
        """Return a request's bytes; a header that is None is left out."""
        given: dict[str, str | None] = {
            "Host": "localhost",
            "Authorization": f"Bearer {self._key}",
            "Content-Type": FORM,
            "Content-Length": str(len(body.encode())),
            "Connection": "keep-alive",
            **{name.replace("_", "-"): text for name, text in headers.items()},
        }
        lines = [line, *(f"{name}: {text}" for name, text in given.items() if text is not None)]
        return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()

    def answer(self) -> tuple[int, dict[str, str], Any]:
        """Return the next answer: status, headers, JSON; status 0 if the connection ended."""
        while b"\r\n\r\n" not in self._rest:
            data = self.connection.recv(65536)
            if not data:
                return 0, {}, None
            self._rest += data
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        pairs = [line.partition(": ")[::2] for line in lines[1:]]
        headers = {name.lower(): text for name, text in pairs}
        assert len(headers) == len(pairs), "a header twice"
        length = int(headers["content-length"])
        while len(self._rest) < length:
            self._rest += self.connection.recv(65536)
        body, self._rest = self._rest[:length], self._rest[length:]
        return int(lines[0].split()[1]), headers, json.loads(body)

    def ask(self, *args: Any, **more: Any) -> tuple[int, dict[str, str], Any]:  # noqa: ANN401
        """Send a request in one piece and return the answer."""
        self.connection.sendall(self.request(*args, **more))
        return self.answer()


@contextmanager
def connected(server: ServerProcess) -> Iterator[Client]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        yield Client(connection, server.key)


@pytest.fixture(scope="module")
def metered(server: ServerProcess) -> ServerProcess:
    """The server with a meter and a customer."""
    server.client.raw_request("post", "/v1/customers", id="cus_front")
    server.client.v1.billing.meters.create(
        {
            "display_name": "Front",
            "event_name": "front",
            "default_aggregation": {"formula": "sum"},
        }
    )
    return server


def usage(identifier: str, value: str = "1", **more: str) -> str:
    fields = {
        "event_name": "front",
        "payload[stripe_customer_id]": "cus_front",
        "payload[value]": value,
        "identifier": identifier,
        **more,
    }
    return "&".join(f"{name}={text}" for name, text in fields.items())


def shape(answer: tuple[int, dict[str, str], Any]) -> object:
    """Return an answer without what differs from one request to the next."""
    status, headers, body = answer
    for name in ("request-id", "date", "content-length"):
        assert headers.pop(name)
    if isinstance(body, dict):
        body = {key: text for key, text in body.items() if key not in ("identifier", "created")}
        body.pop("timestamp", None)
    return status, headers, body


ASKED: dict[str, tuple[str, dict[str, Any]]] = {
    "usual": (usage("{}"), {}),
    "no identifier": (usage("{}").rpartition("&")[0], {}),
    "idempotency key": (usage("{}"), {"Idempotency_Key": "key-{}"}),
    "expand": (usage("{}") + "&expand[]=nothing", {}),
    "unknown parameter": (usage("{}", colour="red"), {}),
    "bad value": (usage("{}", "x"), {}),
    "no meter": (usage("{}").replace("front", "back", 1), {}),
    "empty": ("", {}),
    "wrong key": (usage("{}"), {"Authorization": "Bearer sk_test_wrong"}),
    "no key": (usage("{}"), {"Authorization": None}),
    "json": ('{"a": 1}', {"Content_Type": "application/json"}),
    "no type": (usage("{}"), {"Content_Type": None}),
    "version": (usage("{}"), {"Stripe_Version": "2024-06-20"}),
    "long key": (usage("{}"), {"Idempotency_Key": "k" * 256}),
    "not utf-8": (usage("{}") + "&a=%ff", {}),
    "get": ("", {"line": f"GET {PATH} HTTP/1.1"}),
    "query": (usage("{}"), {"line": f"POST {PATH}?a=b HTTP/1.1"}),
    "other path": (usage("{}"), {"line": f"POST {PATH}s HTTP/1.1"}),
}


@pytest.mark.parametrize("name", ASKED)
def test_both_ways_answer_alike(metered: ServerProcess, name: str) -> None:
    body, more = ASKED[name]

    def ask(way: str, **unusual: str) -> object:
        filled = {key: text and text.replace("{}", f"{name}-{way}") for key, text in more.items()}
        with connected(metered) as client:
            told = shape(client.ask(body.replace("{}", f"{name}-{way}"), **{**filled, **unusual}))
        return json.loads(json.dumps(told).replace(f"{name}-{way}", ""))

    assert ask("front") == ask("uvicorn", **UNUSUAL)


STREAM = {"line": "POST /v2/billing/meter_event_stream HTTP/1.1", "Content_Type": JSON}


def batch(*identifiers: str | None, **more: object) -> str:
    events = [
        {
            "event_name": "front",
            "payload": {"stripe_customer_id": "cus_front", "value": "1"},
            **({"identifier": identifier} if identifier else {}),
            **more,
        }
        for identifier in identifiers
    ]
    return json.dumps({"events": events})


@pytest.fixture(scope="module")
def token(metered: ServerProcess) -> str:
    """The token of a session."""
    session = metered.client.v2.billing.meter_event_session.create()
    return session.authentication_token


STREAMED: dict[str, tuple[str, dict[str, Any]]] = {
    "usual": (batch("{}-1", "{}-2"), {}),
    "compact": (batch("{}-1", "{}-2").replace(" ", ""), {}),
    "idempotency key": (batch("{}-1").replace(" ", ""), {"Idempotency_Key": "key-{}"}),
    "no identifier": (batch("{}-1", None), {}),
    "other payload": (batch("{}-1", payload={"stripe_customer_id": "cus_front", "kind": "x"}), {}),
    "no events": (batch(), {}),
    "too many": (batch(*["{}"] * 101).replace(" ", ""), {}),
    "unknown field": (batch("{}-1", colour="red"), {}),
    "broken": (batch("{}-1")[:-2], {}),
    "empty": ("", {}),
    "form": (batch("{}-1").replace(" ", ""), {"Content_Type": FORM}),
    "no token": (batch("{}-1").replace(" ", ""), {"Authorization": None}),
    "wrong token": (batch("{}-1").replace(" ", ""), {"Authorization": "Bearer mes_tok_x"}),
    "long key": (batch("{}-1").replace(" ", ""), {"Idempotency_Key": "k" * 256}),
    "get": ("", {"line": "GET /v2/billing/meter_event_stream HTTP/1.1"}),
}


@pytest.mark.parametrize("name", STREAMED)
def test_both_ways_answer_a_stream_alike(metered: ServerProcess, token: str, name: str) -> None:
    body, more = STREAMED[name]

    def ask(way: str, **unusual: str) -> object:
        filled = {key: text and text.replace("{}", f"{name}-{way}") for key, text in more.items()}
        headers = {**STREAM, "Authorization": f"Bearer {token}", **filled, **unusual}
        with connected(metered) as client:
            told = shape(client.ask(body.replace("{}", f"{name}-{way}"), **headers))
        return json.loads(json.dumps(told).replace(f"{name}-{way}", ""))

    assert ask("front") == ask("uvicorn", **UNUSUAL)


def test_a_stream_that_is_sent_again_is_known_on_both_ways(
    metered: ServerProcess, token: str
) -> None:
    body = batch("again-1").replace(" ", "")
    headers = {**STREAM, "Authorization": f"Bearer {token}", "Idempotency_Key": "again"}
    with connected(metered) as client:
        first = client.ask(body, **headers)
        second = client.ask(body, **headers)
        third = client.ask(body, **headers, **UNUSUAL)

    assert [status for status, _, _ in (first, second, third)] == [200, 200, 200]
    replayed = [told.get("idempotent-replayed") for _, told, _ in (first, second, third)]
    assert replayed == [None, "true", "true"]


def test_a_connection_takes_streams_and_single_events_in_turn(
    metered: ServerProcess, token: str
) -> None:
    """What the front leaves to others takes the connection along, and nothing is lost."""
    bearer = f"Bearer {token}"
    with connected(metered) as client:
        statuses = [
            client.ask(batch("turn-1").replace(" ", ""), **STREAM, Authorization=bearer)[0],
            client.ask(usage("turn-2"))[0],
            client.ask(batch("turn-3", None), **STREAM, Authorization=bearer)[0],
            client.ask(batch("turn-4").replace(" ", ""), **STREAM, Authorization=bearer)[0],
            client.ask(usage("turn-1"))[0],
            client.ask(usage("turn-4"))[0],
        ]

    assert statuses == [200, 200, 200, 200, 400, 400]


def test_a_connection_goes_on_whatever_comes_next(metered: ServerProcess) -> None:
    with connected(metered) as client:
        statuses = [
            client.ask(usage("next-1"))[0],
            client.ask(usage("next-1"))[0],
            client.ask(usage("next-2"))[0],
            client.ask("", line="GET /healthz HTTP/1.1")[0],
            client.ask(usage("next-3"))[0],
            client.ask("", line="GET /v1/billing/meters?limit=1 HTTP/1.1")[0],
        ]

    assert statuses == [200, 400, 200, 200, 200, 200]


@pytest.mark.parametrize("size", [1, 7, 100])
def test_requests_may_come_in_pieces(metered: ServerProcess, size: int) -> None:
    with connected(metered) as client:
        client.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number in range(3):
            data = client.request(usage(f"pieces-{size}-{number}"))
            for start in range(0, len(data), size):
                client.connection.sendall(data[start : start + size])
            status, _, body = client.answer()
            assert (status, body["identifier"]) == (200, f"pieces-{size}-{number}")


def test_requests_may_come_all_at_once(metered: ServerProcess) -> None:
    """Pipelined, with another kind in the middle: answers come in the same order."""
    with connected(metered) as client:
        names = [f"pipe-{number}" for number in range(300)]
        sent = [client.request(usage(name)) for name in names]
        sent.insert(200, client.request("", line="GET /healthz HTTP/1.1"))
        client.connection.sendall(b"".join(sent))
        answers = [client.answer() for _ in sent]

    assert {status for status, _, _ in answers} == {200}
    told = [body.get("identifier") for _, _, body in answers]
    assert told == [*names[:200], None, *names[200:]]


def test_a_body_over_the_bound_is_read_all_the_same(metered: ServerProcess) -> None:
    with connected(metered) as client:
        status, _, body = client.ask(usage("long") + "&pad=" + "x" * (2 * REQUEST_BYTES_MAX))

    assert (status, body["error"]["param"]) == (400, "pad")


@pytest.mark.parametrize(
    "headers",
    [
        {"Content_Length": None, "Transfer_Encoding": "chunked"},
        {"Connection": "close"},
        {"Expect": "100-continue"},
        {"Content_Length": "+5"},
        {"Content_Length": "5, 5"},
        {"Content_Length": "-1"},
        {"X": "a\x00b"},
        {"X": "a\rb"},
        {"X Y": "a"},
        {"Connection": "upgrade", "Upgrade": "websocket"},
    ],
    ids=str,
)
def test_what_is_not_usual_is_left_to_uvicorn(
    metered: ServerProcess, headers: dict[str, Any]
) -> None:
    """And a new connection works as before: nothing but this one is touched."""
    with connected(metered) as client:
        client.connection.sendall(client.request("5\r\nhello\r\n0\r\n\r\n", **headers))
        data = client.connection.recv(65536)
    with connected(metered) as other:
        status = other.ask(usage(f"after-{headers}"[:90].replace("&", "")))[0]

    assert data.startswith((b"HTTP/1.1 ", b""))
    assert b"HTTP/1.1 500" not in data
    assert status == 200


def test_a_length_given_twice_is_not_guessed(metered: ServerProcess) -> None:
    with connected(metered) as client:
        data = client.request(usage("twice")).replace(
            b"\r\nConnection", b"\r\nContent-Length: 3\r\nConnection", 1
        )
        client.connection.sendall(data)
        answered = client.connection.recv(65536)

    assert not answered.startswith(b"HTTP/1.1 200")


def test_a_client_that_reads_nothing_is_not_served_without_end(metered: ServerProcess) -> None:
    with connected(metered) as client:
        client.connection.settimeout(2)
        data = client.request(usage("unread")) * 100
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < 60_000_000:
                sent += client.connection.send(data)
    with connected(metered) as other:
        assert other.ask(usage("after-unread"))[0] == 200


def test_stopping_answers_what_has_begun_and_ends_idle_connections(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data", key="sk_test_front") as server, connected(server) as idle:
        idle.ask(usage("a"))
        status = server.stop()
        rest = idle.answer()

    assert status == 0
    assert rest[0] == 0
