"""One attempt against endpoints that behave and endpoints that don't."""

import asyncio
import gzip
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from meterbell.delivery.egress import Egress, parse_exempt
from meterbell.delivery.exchange import HEAD_BYTES_MAX
from meterbell.delivery.lookup import Lookup
from meterbell.delivery.outcome import KEPT_BYTES_MAX, Outcome
from meterbell.delivery.sender import Sender
from tests.delivery.delivery_run import LENIENT
from tests.delivery.receiver import Answer, Received, always, held, receiving

CERTIFICATE = Path(__file__).with_name("self_signed.pem")
SIGNED = {"Stripe-Signature": "t=1,v1=a"}
OK_HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture
def sender() -> Sender:
    return Sender(timeout_seconds=20, egress=LENIENT)


@pytest.fixture
def hasty() -> Sender:
    """Return a sender that soon gives up, whatever the endpoint does."""
    return Sender(timeout_seconds=0.3, egress=LENIENT)


@pytest.fixture
def brisk() -> Sender:
    """Return a sender that gives up, but not before an answer has begun on a busy machine."""
    return Sender(timeout_seconds=2, egress=LENIENT)


async def post(sender: Sender, url: str, body: bytes = b"{}") -> Outcome:
    return await sender.send(url, livemode=False, body=body, headers=SIGNED)


async def post_to(sender: Sender, answer: Answer) -> Outcome:
    """Return what comes of an attempt that is answered like this."""
    async with receiving(answer) as receiver:
        return await post(sender, receiver.url)


def finds(*addresses: str) -> Lookup:
    """Return a lookup that finds the same addresses under any name."""

    def resolve(*_: object, **__: object) -> list[tuple[Any, ...]]:
        return [(0, 0, 0, "", (address, 0)) for address in addresses]

    return Lookup(resolve)


async def test_an_attempt_is_a_plain_post(sender: Sender) -> None:
    async with receiving() as receiver:
        outcome = await post(sender, receiver.url + "?a=b", b'{"a": 1}')

        (received,) = receiver.received
        assert received.line == "POST /webhook?a=b HTTP/1.1"
        assert received.body == b'{"a": 1}'
        assert {name: received.headers[name] for name in received.headers if name != "host"} == {
            "accept": "*/*",
            "accept-encoding": "identity",
            "connection": "close",
            "content-length": "8",
            "content-type": "application/json; charset=utf-8",
            "stripe-signature": "t=1,v1=a",
            "user-agent": received.headers["user-agent"],
        }
        assert received.headers["user-agent"].startswith("meterbell/")
    assert outcome == Outcome("succeeded", 200, None, b"ok")
    assert outcome.succeeded


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_any_2xx_is_success(sender: Sender, status: int) -> None:
    outcome = await post_to(sender, always(status, body=b""))

    assert outcome.succeeded
    assert outcome.status_code == status


@pytest.mark.parametrize("status", [400, 401, 404, 410, 429, 500, 503, 599])
async def test_an_error_is_named_by_its_status(sender: Sender, status: int) -> None:
    outcome = await post_to(sender, always(status, Retry_After="7"))

    assert outcome == Outcome(f"status_{status}", status, "7", b"ok")
    assert not outcome.succeeded
    assert not outcome.is_final


@pytest.mark.parametrize("status", [301, 302, 303, 304, 307, 308])
async def test_redirects_are_failures_and_never_followed(sender: Sender, status: int) -> None:
    async with receiving() as target:
        outcome = await post_to(sender, always(status, b"", Location=target.url))

        assert (outcome.text, outcome.status_code) == ("redirect", status)
        assert target.received == []


async def test_switching_protocols_is_no_success(sender: Sender) -> None:
    outcome = await post_to(sender, always(101, Upgrade="x", Connection="upgrade"))

    assert not outcome.succeeded


async def test_cookies_are_not_kept() -> None:
    """Under a name: no cookie jar keeps the cookies of a bare address."""
    sender = Sender(timeout_seconds=20, egress=LENIENT, lookup=finds("127.0.0.1"))
    async with receiving(always(200, Set_Cookie="a=b")) as receiver:
        await post(sender, f"http://hooks.example:{receiver.port}/")
        await post(sender, f"http://hooks.example:{receiver.port}/")

        assert ["cookie" in received.headers for received in receiver.received] == [False, False]


async def test_answers_are_not_unpacked(sender: Sender) -> None:
    packed = gzip.compress(b"0" * 10_000_000)

    outcome = await post_to(sender, always(200, body=packed, Content_Encoding="gzip"))

    assert outcome.response == packed


async def test_proxies_of_the_environment_are_not_used(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with receiving() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("http_proxy", proxy.url)
        outcome = await post_to(sender, always(200))

        assert outcome.succeeded
        assert proxy.received == []


async def test_of_a_long_answer_the_beginning_is_kept(sender: Sender) -> None:
    body = bytes(range(256)) * 1024

    outcome = await post_to(sender, always(200, body=body))

    assert outcome.succeeded
    assert outcome.response == body[:KEPT_BYTES_MAX]


async def test_an_endless_answer_is_cut_off(sender: Sender) -> None:
    async def answer(received: Received) -> None:
        await received.write(b"HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            await received.write(b"400\r\n" + b"a" * 1024 + b"\r\n")

    outcome = await post_to(sender, answer)

    assert outcome == Outcome("status_500", 500, None, b"a" * KEPT_BYTES_MAX)


async def test_an_answer_that_never_ends_counts_by_its_status(brisk: Sender) -> None:
    gate = asyncio.Event()

    async def answer(received: Received) -> None:
        await received.write(OK_HEAD + b"Content-Length: 100\r\n\r\nbegun")
        await gate.wait()

    assert await post_to(brisk, answer) == Outcome("succeeded", 200, None, b"begun")


async def test_an_answer_broken_off_counts_by_its_status(sender: Sender) -> None:
    async def answer(received: Received) -> None:
        await received.write(OK_HEAD + b"Content-Length: 100\r\n\r\nbegun")

    assert await post_to(sender, answer) == Outcome("succeeded", 200, None, b"begun")


async def test_an_endpoint_may_answer_without_reading(sender: Sender) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    with listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        attempt = asyncio.create_task(post(sender, url, b" " * 1_000_000))
        connection, _ = await asyncio.to_thread(listener.accept)
        with connection:
            connection.sendall(OK_HEAD + b"Content-Length: 0\r\n\r\n")
            outcome = await attempt

    assert outcome.succeeded


async def test_an_endpoint_that_hangs_is_a_timeout(hasty: Sender) -> None:
    assert await post_to(hasty, held(asyncio.Event())) == Outcome("timeout")


async def test_headers_that_drip_are_a_timeout(brisk: Sender) -> None:
    """The deadline is for the whole attempt: each piece comes soon enough by itself."""
    drips = 0

    async def answer(received: Received) -> None:
        nonlocal drips
        await received.write(OK_HEAD)
        while True:
            await received.write(b"X: y\r\n" if drips < 10 else b"X")
            drips += 1
            await asyncio.sleep(0.01)

    assert await post_to(brisk, answer) == Outcome("timeout")
    assert drips > 1


async def test_a_connection_that_is_never_taken_up_is_a_timeout(hasty: Sender) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        port = server.getsockname()[1]
        assert await post(hasty, f"http://127.0.0.1:{port}/") == Outcome("timeout")


async def test_nobody_listening_is_a_refusal(sender: Sender) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    assert await post(sender, f"http://127.0.0.1:{port}/") == Outcome("connection_refused")


async def test_a_connection_without_an_answer_is_closed(sender: Sender) -> None:
    async def answer(_received: Received) -> None:
        return

    assert await post_to(sender, answer) == Outcome("connection_closed")


async def test_a_reset_connection_is_closed(sender: Sender) -> None:
    async def answer(received: Received) -> None:
        received.writer.transport.abort()

    assert await post_to(sender, answer) == Outcome("connection_closed")


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 two OK\r\n\r\n",
        OK_HEAD + b"X: " + b"y" * HEAD_BYTES_MAX + b"\r\n\r\n",
        b"HTTP/1.1 103 Early\r\n\r\n" * (HEAD_BYTES_MAX // 20),
        OK_HEAD + b"".join(b"X%d: y\r\n" % number for number in range(120)) + b"\r\n",
    ],
    ids=["no HTTP", "no status", "long header", "interim answers", "many headers"],
)
async def test_what_is_no_proper_answer_is_a_failure(sender: Sender, data: bytes) -> None:
    async def answer(received: Received) -> None:
        await received.write(data)

    assert await post_to(sender, answer) == Outcome("bad_answer")


async def test_an_unknown_name_is_a_failure() -> None:
    def resolve(*_: object, **__: object) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    sender = Sender(timeout_seconds=20, egress=LENIENT, lookup=Lookup(resolve))
    outcome = await post(sender, "http://hooks.example/")

    assert outcome == Outcome("dns_error")


async def test_a_name_is_looked_up_and_named_in_the_request() -> None:
    sender = Sender(timeout_seconds=20, egress=LENIENT, lookup=finds("127.0.0.1"))
    async with receiving() as receiver:
        outcome = await post(sender, f"http://Hooks.example.:{receiver.port}/")

        assert outcome.succeeded
        assert receiver.received[0].headers["host"] == f"hooks.example:{receiver.port}"


async def test_the_next_address_is_tried_if_one_takes_no_connection() -> None:
    lookup = finds("::1", "127.0.0.1")
    sender = Sender(
        timeout_seconds=20, egress=Egress(exempt=parse_exempt("hooks.example")), lookup=lookup
    )
    async with receiving() as receiver:
        outcome = await post(sender, f"http://hooks.example:{receiver.port}/")

    assert outcome.succeeded


async def test_plain_http_behind_https_is_a_failure(sender: Sender) -> None:
    def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert await post(sender, f"https://127.0.0.1:{port}/") == Outcome("tls_error")


async def test_a_certificate_that_nobody_vouches_for_is_a_failure(sender: Sender) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE)
    taken = False

    def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal taken
        taken = True
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert await post(sender, f"https://127.0.0.1:{port}/") == Outcome("tls_error")
    assert not taken


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "http://",
        "http://[::1",
        "http://127.0.0.1:99999/",
        "http://a..b/",
        f"http://{'a' * 64}.example/",
        "http://127.0.0.256/",
        "http://0x7g.1/",
    ],
)
async def test_what_is_no_address_fails_for_good(sender: Sender, url: str) -> None:
    outcome = await post(sender, url)

    assert outcome == Outcome("bad_url")
    assert outcome.is_final


async def test_the_unforeseen_is_a_failure_too(sender: Sender) -> None:
    async with receiving() as receiver:
        with capture_logs() as logs:
            outcome = await sender.send(
                receiver.url,
                livemode=False,
                body=b"",
                headers={"Stripe-Signature": "a\r\nb: c"},
            )

        assert [line["event"] for line in logs] == ["attempt failed unexpectedly"]
        assert outcome == Outcome("internal_error")
        assert receiver.received == []


async def test_only_the_end_of_the_process_breaks_an_attempt_off(sender: Sender) -> None:
    async with receiving(held(asyncio.Event())) as receiver:
        attempt = asyncio.create_task(post(sender, receiver.url))
        await receiver.wait_for(1)
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
