"""`meterbell send`: nothing twice, nothing lost, and every line that fails is named."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Run, meterbell
from tests.support.receiver import Received, Reply, WebhookReceiver
from tests.support.server import ServerProcess

HEADER = "event_name,stripe_customer_id,value\n"


@pytest.fixture(scope="module", autouse=True)
def _meter(server: ServerProcess) -> None:
    for name in ("requests", "files"):
        server.client.v1.billing.meters.create(
            {
                "display_name": name,
                "event_name": name,
                "default_aggregation": {"formula": "sum"},
            }
        )


@pytest.fixture
def customer(server: ServerProcess) -> str:
    """A new customer."""
    return server.client.v1.customers.create().id


def total(server: ServerProcess, event_name: str, customer: str) -> object:
    """Return a customer's usage on a meter."""
    meters = server.client.v1.billing.meters.list().data
    meter = next(found.id for found in meters if found.event_name == event_name)
    summaries = server.client.v1.billing.meters.event_summaries.list(
        meter, {"customer": customer, "start_time": 60, "end_time": 60 * 2**27}
    )
    return [found.aggregated_value for found in summaries]


def test_one_meter_event(run: Run, server: ServerProcess, customer: str) -> None:
    done = run(
        "send", "--event-name", "requests", "--customer", customer, "--value", "2.5",
        "--identifier", f"one-{customer}", "--payload", "model=small=er", "--json",
    )  # fmt: skip
    event = json.loads(done.stdout)

    assert done.returncode == 0
    assert event["payload"] == {
        "stripe_customer_id": customer,
        "value": "2.5",
        "model": "small=er",
    }
    assert total(server, "requests", customer) == [2.5]


def test_c2_an_identifier_counts_once(run: Run, server: ServerProcess, customer: str) -> None:
    command = ["send", "--event-name", "requests", "--customer", customer, "--value", "1"]
    command += ["--identifier", f"twice-{customer}"]

    first, second = run(*command), run(*command)

    assert (first.returncode, second.returncode) == (0, 1)
    assert "An event already exists with identifier" in second.stderr
    assert total(server, "requests", customer) == [1]


def test_c2_a_file_sent_twice_counts_once(
    run: Run, server: ServerProcess, customer: str, tmp_path: Path
) -> None:
    file = tmp_path / f"{customer}.csv"
    file.write_text(HEADER + f"files,{customer},1\n" * 200)

    first, second = run("send", file), run("send", file)

    assert first.stdout == "200 counted, 0 already counted, 0 failed.\n"
    assert second.stdout == "0 counted, 200 already counted, 0 failed.\n"
    assert (first.returncode, second.returncode) == (0, 0)
    assert total(server, "files", customer) == [200]


def test_lines_that_fail_are_named_and_can_be_corrected(
    run: Run, server: ServerProcess, customer: str, tmp_path: Path
) -> None:
    file = tmp_path / f"{customer}.csv"
    bad = f"files,{customer},abc\nfiles,,1\nnope,{customer},1\na,b,c,d\n"
    file.write_text(f"{HEADER}files,{customer},1\n{bad}files,{customer},1\n")
    first = run("send", file, "--json")
    file.write_text(f"{HEADER}files,{customer},1\nfiles,{customer},40\nfiles,{customer},1\n")
    second = run("send", file)

    shown = json.loads(first.stdout)
    assert first.returncode == 1
    assert (shown["counted"], shown["failed"]) == (2, 4)
    assert [failure["line"] for failure in shown["failures"]] == [3, 4, 5, 6]
    assert f"{file}, line 3: Invalid decimal: 'abc'" in first.stderr
    assert f"{file}, line 6: 4 cells, but the header names 3 columns" in first.stderr
    assert second.stdout == "1 counted, 2 already counted, 0 failed.\n"
    assert total(server, "files", customer) == [42]


def test_ndjson(run: Run, server: ServerProcess, customer: str, tmp_path: Path) -> None:
    file = tmp_path / f"{customer}.ndjson"
    file.write_text(
        f'{{"stripe_customer_id":"{customer}","value":0.1}}\n'
        f'{{"payload":{{"stripe_customer_id":"{customer}","value":"0.2"}}}}\n'
    )

    done = run("send", file, "--event-name", "files")

    assert (done.returncode, done.stdout) == (0, "2 counted, 0 already counted, 0 failed.\n")
    assert total(server, "files", customer) == [0.3]


@pytest.fixture
def flaky() -> Iterator[WebhookReceiver]:
    """A server that answers as it is told."""
    with WebhookReceiver() as receiver:
        yield receiver


def test_a_busy_server_is_asked_again_with_the_same_idempotency_key(
    flaky: WebhookReceiver, tmp_path: Path
) -> None:
    answers = iter([429, 503, 200])
    flaky.respond = lambda _: Reply(next(answers), b"{}")
    file = tmp_path / "usage.csv"
    file.write_text(f"{HEADER}files,cus_1,1\n")
    base = flaky.url.removesuffix("/webhook")

    done = meterbell("send", file, "--api-base", base, "--api-key", "sk_test_x")

    assert (done.returncode, done.stdout) == (0, "1 counted, 0 already counted, 0 failed.\n")
    assert len({request.headers["idempotency-key"] for request in flaky.received}) == 1
    assert len({request.body for request in flaky.received}) == 1


def test_a_refused_key_ends_it_at_once(flaky: WebhookReceiver, tmp_path: Path) -> None:
    def refuse(_: Received) -> Reply:
        return Reply(401, b'{"error":{"message":"Invalid API Key provided: sk_test_****"}}')

    flaky.respond = refuse
    file = tmp_path / "usage.csv"
    file.write_text(HEADER + "files,cus_1,1\n" * 500)
    base = flaky.url.removesuffix("/webhook")

    done = meterbell(
        "send", file, "--api-base", base, "--api-key", "sk_test_x", "--concurrency", "2"
    )

    assert done.returncode == 1
    assert "error: Invalid API Key provided: sk_test_****" in done.stderr
    assert len(flaky.received) < 500
