"""Commands that are ended in the middle, and keys that may not do everything."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.conftest import Run, clean_environment, meterbell
from tests.support.receiver import Received, Reply, WebhookReceiver
from tests.support.server import ServerProcess
from tests.support.waiting import wait_for

LINES = 300


@contextmanager
def running(
    server: ServerProcess, log: Path, *arguments: str | Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command until the end of the block; what it writes goes to `log`."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "meterbell", *map(str, arguments)],
            env={**clean_environment(), "METERBELL_DATA": str(server.data)},
            stdout=output,
            stderr=output,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait(20)


def create_customers(server: ServerProcess, *names: str) -> list[str]:
    return [server.client.v1.customers.create({"name": name}).id for name in names]


def customers_in(receiver: WebhookReceiver) -> list[str]:
    return [json.loads(request.body)["data"]["object"]["id"] for request in receiver.received]


def test_d1_a_killed_listener_loses_nothing_and_repeats_nothing_that_was_done(
    server: ServerProcess, tmp_path: Path
) -> None:
    log = tmp_path / "listen.log"
    with WebhookReceiver() as receiver:
        command = ("listen", "--forward-to", receiver.url)
        with running(server, log, *command) as listener:
            wait_for(lambda: "Ready." in log.read_text(), log.read_text)
            done = create_customers(server, "a", "b", "c")
            # What is printed is done: the place was kept before.
            wait_for(lambda: log.read_text().count("→ 200") == 3, log.read_text)
            listener.send_signal(signal.SIGKILL)
            listener.wait(20)
        missed = create_customers(server, "d", "e")
        with running(server, log, *command):
            receiver.wait_for(5)
            last = create_customers(server, "f")
            receiver.wait_for(6)

    assert customers_in(receiver) == [*done, *missed, *last]


def test_d1_a_listener_killed_before_the_answer_posts_the_event_again(
    server: ServerProcess, tmp_path: Path
) -> None:
    log = tmp_path / "listen.log"
    with WebhookReceiver() as receiver:
        command = ("listen", "--forward-to", receiver.url)
        with running(server, log, *command) as listener:
            wait_for(lambda: "Ready." in log.read_text(), log.read_text)

            def kill_it(_: Received) -> Reply:
                listener.kill()
                listener.wait(20)
                return Reply()

            receiver.respond = kill_it
            (customer,) = create_customers(server, "a")
            receiver.wait_for(1)
        receiver.respond = None
        with running(server, log, *command):
            receiver.wait_for(2)

    assert customers_in(receiver) == [customer, customer]


def test_c2_a_file_interrupted_midway_is_counted_once_in_all(
    run: Run, server: ServerProcess, tmp_path: Path
) -> None:
    client = server.client.v1
    meter = client.billing.meters.create(
        {
            "display_name": "Interrupted",
            "event_name": "interrupted",
            "default_aggregation": {"formula": "sum"},
        }
    ).id
    (customer,) = create_customers(server, "a")
    file, log = tmp_path / "usage.csv", tmp_path / "send.log"
    rows = f"interrupted,{customer},1\n" * LINES
    file.write_text(f"event_name,stripe_customer_id,value\n{rows}")

    def counted() -> float:
        summaries = client.billing.meters.event_summaries.list(
            meter, {"customer": customer, "start_time": 60, "end_time": 60 * 2**27}
        ).data
        return sum(found.aggregated_value for found in summaries)

    with running(server, log, "send", file, "--concurrency", "1") as sender:
        wait_for(lambda: counted() > 0, "usage")
        sender.send_signal(signal.SIGINT)
        status = sender.wait(20)
    before = counted()
    again = run("send", file)

    assert status == 130
    assert "already counted, 0 failed." in log.read_text(), "what was done is still told"
    assert 0 < before < LINES, "it was interrupted midway"
    assert again.returncode == 0
    assert again.stdout == (
        f"{LINES - before:.0f} counted, {before:.0f} already counted, 0 failed.\n"
    )
    assert counted() == LINES


@pytest.mark.parametrize(
    ("permission", "arguments", "message"),
    [
        ("read", ("customers", "create"), "The API key is read-only"),
        ("ingest", ("customers", "list"), "The API key"),
    ],
)
def test_a_restricted_key_is_refused_what_it_may_not_do(
    run: Run, server: ServerProcess, permission: str, arguments: tuple[str, ...], message: str
) -> None:
    key = json.loads(run("keys", "create", "--permission", permission, "--json").stdout)["key"]

    done = meterbell(*arguments, "--api-key", key, "--api-base", server.url)

    assert (done.returncode, done.stdout) == (1, "")
    assert message in done.stderr
    assert "(request req_" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_refused_reference_names_its_parameter(run: Run) -> None:
    done = run("alerts", "create", "--meter", "mtr_none", "--gte", "5")

    assert done.returncode == 1
    assert "(param usage_threshold[meter])" in done.stderr
