"""`meterbell listen`: signed, in order, nothing lost."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import stripe

from tests.cli.conftest import clean_environment, meterbell
from tests.support.receiver import WebhookReceiver
from tests.support.server import ServerProcess
from tests.support.waiting import wait_for


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server of one test's own, since it is restarted and its events are counted."""
    with ServerProcess(tmp_path / "data") as running:
        yield running


class Listener:
    """A running `meterbell listen`."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path, notes: Path) -> None:
        self.process = process
        self._output = output
        self._notes = notes

    @property
    def notes(self) -> str:
        """What it told people."""
        return self._notes.read_text()

    @property
    def lines(self) -> list[dict[str, Any]]:
        """What it printed for programs, one object a line."""
        written = self._output.read_text()
        return [json.loads(line) for line in written.split("\n")[:-1]]

    def wait_for(self, count: int) -> list[dict[str, Any]]:
        """Wait until so many events were printed."""
        wait_for(lambda: len(self.lines) >= count, lambda: f"line {count}: {self.notes}")
        return self.lines


@contextmanager
def listening(server: ServerProcess, *arguments: str) -> Iterator[Listener]:
    """Run `meterbell listen --json` until the end of the block; it is ready at its start."""
    folder = server.data.parent
    number = len(list(folder.glob("listen-*")))
    output, notes = folder / f"listen-{number}.out", folder / f"listen-{number}.err"
    command = [sys.executable, "-m", "meterbell", "listen", "--json", *arguments]
    with output.open("wb") as out, notes.open("wb") as err:
        process = subprocess.Popen(
            command,
            env={**clean_environment(), "METERBELL_DATA": str(server.data)},
            stdout=out,
            stderr=err,
        )
    listener = Listener(process, output, notes)
    try:
        wait_for(lambda: "Ready." in listener.notes, lambda: f"'Ready.': {listener.notes}")
        yield listener
    finally:
        process.send_signal(signal.SIGINT)
        status = process.wait(20)
    assert status == 130


def create_customers(server: ServerProcess, *ids: str) -> None:
    for customer in ids:
        server.client.raw_request("post", "/v1/customers", id=customer)


def customers_in(receiver: WebhookReceiver) -> list[str]:
    return [json.loads(request.body)["data"]["object"]["id"] for request in receiver.received]


def test_d1_events_are_forwarded_signed_and_in_order(server: ServerProcess) -> None:
    create_customers(server, "cus_before")
    with WebhookReceiver() as receiver, listening(server, "--forward-to", receiver.url) as listener:
        secret = meterbell("listen", "--print-secret", "--data", server.data).stdout.strip()
        create_customers(server, "cus_1", "cus_2", "cus_3")
        requests = receiver.wait_for(3)
        lines = listener.wait_for(3)

        assert f"Signing secret: {secret}" in listener.notes

    assert customers_in(receiver) == ["cus_1", "cus_2", "cus_3"], "and none from before"
    for request in requests:
        event = stripe.Webhook.construct_event(request.body, request.signature, secret)
        assert event.type == "customer.created"
    assert [line["status"] for line in lines] == [200, 200, 200]


def test_d1_what_happens_in_between_is_not_lost(server: ServerProcess) -> None:
    with WebhookReceiver() as receiver:
        with listening(server, "--forward-to", receiver.url) as listener:
            create_customers(server, "cus_1")
            listener.wait_for(1)
        create_customers(server, "cus_2")
        with listening(server, "--forward-to", receiver.url) as listener:
            assert "Going on where it stopped" in listener.notes
            create_customers(server, "cus_3")
            listener.wait_for(2)

    assert customers_in(receiver) == ["cus_1", "cus_2", "cus_3"]


def test_d1_a_local_server_that_is_not_up_yet_misses_nothing(server: ServerProcess) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        with listening(server, "--forward-to", f"127.0.0.1:{port}/hook") as listener:
            create_customers(server, "cus_1", "cus_2")
            wait_for(lambda: "Nothing answers" in listener.notes, "the note that nothing answers")
            assert listener.lines == []
            reserved.listen()
            for _ in range(2):
                connection, _ = reserved.accept()
                with connection:
                    connection.settimeout(20)
                    received = b""
                    while not received.endswith(b"}"):
                        received += connection.recv(65536)
                    connection.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
            lines = listener.wait_for(2)

    assert [line["status"] for line in lines] == [204, 204]


def test_d1_a_restarted_server_is_found_on_another_port(server: ServerProcess) -> None:
    with WebhookReceiver() as receiver, listening(server, "--forward-to", receiver.url) as listener:
        create_customers(server, "cus_1")
        listener.wait_for(1)
        server.stop()
        server.port = 0
        server.start()
        create_customers(server, "cus_2")
        listener.wait_for(2)

    assert customers_in(receiver) == ["cus_1", "cus_2"]


def test_d1_a_refusing_local_server_is_shown_and_the_next_event_comes(
    server: ServerProcess,
) -> None:
    with (
        WebhookReceiver(status=500) as receiver,
        listening(server, "--forward-to", receiver.url) as listener,
    ):
        create_customers(server, "cus_1", "cus_2")
        lines = listener.wait_for(2)

    assert [line["status"] for line in lines] == [500, 500]


def test_only_the_chosen_types(server: ServerProcess) -> None:
    with listening(server, "--events", "billing.meter.*,customer.deleted") as listener:
        create_customers(server, "cus_1")
        server.client.v1.customers.delete("cus_1")
        lines = listener.wait_for(1)

    assert lines[0]["type"] == "customer.deleted"
    assert lines[0]["event"]["data"]["object"]["id"] == "cus_1"


def test_since_start_shows_all_there_is(server: ServerProcess) -> None:
    create_customers(server, "cus_1", "cus_2")

    with listening(server, "--since", "start") as listener:
        first, _ = listener.wait_for(2)
    with listening(server, "--since", first["id"]) as listener:
        (second,) = listener.wait_for(1)

    assert second["event"]["data"]["object"]["id"] == "cus_2"


def test_a_place_that_the_server_does_not_know_is_refused(server: ServerProcess) -> None:
    state = server.data / "listen"
    with WebhookReceiver() as receiver:
        with listening(server, "--forward-to", receiver.url):
            pass
        (file,) = state.iterdir()
        file.write_text(json.dumps({"secret": "whsec_x", "cursor": "evt_gone"}))
        done = meterbell("listen", "--forward-to", receiver.url, "--data", server.data)

    assert done.returncode == 1
    assert "--since now" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--forward-thin-to", "http://"], 2),
        (["--since", "evt_none"], 1),
        (["--api-key", "sk_test_wrong"], 1),
        (["--api-base", "http://127.0.0.1:9", "--api-key", "sk_test_x"], 1),
    ],
    ids=str,
)
def test_what_can_not_work_ends_in_one_line(
    server: ServerProcess, arguments: list[str], status: int
) -> None:
    done = meterbell("listen", *arguments, "--data", server.data, HOME=os.devnull)

    assert done.returncode == status
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
