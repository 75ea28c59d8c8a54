"""The tests' own tools: the guard against the network, the webhook receiver."""

import socket
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.conftest import is_local
from tests.support.receiver import Received, Reply, WebhookReceiver


def test_a_test_can_not_reach_another_machine() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock,
        pytest.raises(pytest.fail.Exception, match="this machine only"),
    ):
        sock.connect(("192.0.2.1", 80))


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("10.0.0.1", False),
        ("a.test", False),
    ],
)
def test_only_loopback_addresses_are_local(host: str, local: bool) -> None:  # noqa: FBT001
    assert is_local(socket.AF_INET, (host, 80)) is local


def test_the_receiver_keeps_what_came_and_answers_as_told() -> None:
    with WebhookReceiver(status=204) as receiver:
        with urlopen(Request(receiver.url, data=b"one", headers={"X-Name": "v"})) as answer:
            assert answer.status == 204
        receiver.respond = lambda _: Reply(503, b"later", {"Retry-After": "7"})
        with pytest.raises(HTTPError) as caught:
            urlopen(Request(receiver.url, data=b"two"))
        received = receiver.wait_for(2)

    assert (caught.value.code, caught.value.headers["Retry-After"]) == (503, "7")
    assert [request.body for request in received] == [b"one", b"two"]
    first: Received = received[0]
    assert (first.method, first.path, first.headers["x-name"]) == ("POST", "/webhook", "v")
    caught.value.close()
