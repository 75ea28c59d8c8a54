"""A thousand hostile endpoints beside a healthy one, against a real server: rule D2, deep."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, cast

import apsw
import pytest

from meterbell.clock import SystemClock
from tests.faults.planted import plant_delivery, plant_endpoint, plant_event, vault_of
from tests.support.hostile import KINDS, url_of
from tests.support.memory import memory_kib
from tests.support.receiver import WebhookReceiver
from tests.support.server import ServerProcess
from tests.support.waiting import wait_for

ENDPOINTS = 1000
QUEUED = 10
TIMEOUT_SECONDS = 2
HEALTHY_EVENTS = 300
PER_SECOND = 10
P99_MS_MORE_MAX = 50
MEMORY_KIB_MORE_MAX = 100 * 1024


@contextmanager
def hostile_process() -> Iterator[dict[str, int]]:
    """Run the hostile endpoints in a process of their own; give their ports by kind."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.hostile"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait(30)
        process.stdout.close()


def wait_until(instant: float) -> None:
    wait_for(lambda: time.monotonic() >= instant, "the next event's time")


def rows(connection: apsw.Connection, sql: str) -> list[Any]:
    return list(connection.execute(sql))


def healthy_p99_ms(server: ServerProcess, receiver: WebhookReceiver, name: str) -> float:
    """Make events at a steady pace; return the time until they arrived that 99 of 100 kept."""
    client = server.client
    begun: dict[str, float] = {}
    start = time.monotonic()
    for number in range(HEALTHY_EVENTS):
        wait_until(start + number / PER_SECOND)
        customer = f"cus_{name}{number}"
        begun[customer] = time.time()  # noqa: TID251 - compared with the receiver's clock
        client.v1.customers.create(cast("Any", {"id": customer}))

    def arrived() -> dict[str, float]:
        found: dict[str, float] = {}
        for received in receiver.received:
            customer = json.loads(received.body)["data"]["object"]["id"]
            if customer in begun:
                found.setdefault(customer, received.received_at)
        return found

    wait_for(lambda: len(arrived()) == HEALTHY_EVENTS, "last healthy delivery", timeout_seconds=60)
    delays = sorted((at - begun[customer]) * 1000 for customer, at in arrived().items())
    return delays[len(delays) * 99 // 100]


def queue_hostile(database: Path, ports: dict[str, int]) -> int:
    """Write endpoints and what is queued for them into the database of a stopped server.

    They are in live mode, so that making the healthy one's events does not read all of them: the
    API allows for 16 in each mode.
    """
    now_ms = SystemClock().now_ms()
    vault = vault_of(database)
    events = [f"evt_hostile{number}" for number in range(QUEUED)]
    with closing(apsw.Connection(str(database))) as connection, connection:
        for event in events:
            plant_event(connection, event, deliveries=0, now_ms=now_ms)
        for number in range(ENDPOINTS):
            endpoint = f"we_hostile{number}"
            url = url_of(KINDS[number % len(KINDS)], ports, number)
            event_type = "product.created"
            plant_endpoint(connection, vault, endpoint, url, event_type=event_type, now_ms=now_ms)
            for event in events:
                plant_delivery(connection, event, endpoint, now_ms=now_ms)
    return ENDPOINTS * QUEUED


@pytest.mark.deep
def test_d2_a_thousand_hostile_endpoints_beside_a_healthy_one(tmp_path: Path) -> None:
    data = tmp_path / "data"
    arguments = ["--webhook-timeout-seconds", str(TIMEOUT_SECONDS)]
    arguments += ["--egress-allow", "http://127.0.0.0/8"]
    server = ServerProcess(data, arguments=arguments, seconds_max=120)
    with hostile_process() as ports, WebhookReceiver() as receiver, server:
        server.client.v1.webhook_endpoints.create(
            {"url": receiver.url, "enabled_events": ["customer.created"]}
        )
        baseline_ms = healthy_p99_ms(server, receiver, "baseline")
        before_kib = memory_kib(server.pid)
        server.stop()
        queued = queue_hostile(data / "meterbell.db", ports)
        server.start()
        hostile_ms = healthy_p99_ms(server, receiver, "hostile")
        after_kib = memory_kib(server.pid)
        server.stop()

    with closing(apsw.Connection(str(data / "meterbell.db"))) as connection:
        left = dict(
            rows(
                connection,
                "SELECT status, count(*) FROM delivery WHERE endpoint LIKE 'we_hostile%'"
                " GROUP BY status",
            )
        )
        ((attempted,),) = rows(
            connection,
            "SELECT count(DISTINCT endpoint) FROM delivery"
            " WHERE endpoint LIKE 'we_hostile%' AND attempts > 0",
        )
        ((longest_ms, attempts),) = rows(
            connection, "SELECT max(duration_ms), count(*) FROM attempt"
        )
        outcomes = dict(rows(connection, "SELECT outcome, count(*) FROM attempt GROUP BY outcome"))
    print(
        f"p99 {baseline_ms:.1f} ms alone, {hostile_ms:.1f} ms beside {ENDPOINTS} hostile endpoints;"
        f" memory {(after_kib - before_kib) / 1024:.0f} MiB more; {attempts} attempts, the longest"
        f" {longest_ms} ms; {outcomes}"
    )
    # All still have attempts left, and each hostile endpoint was tried.
    assert left == {"pending": queued}
    assert attempted == ENDPOINTS
    assert hostile_ms - baseline_ms <= P99_MS_MORE_MAX
    assert after_kib - before_kib < MEMORY_KIB_MORE_MAX
    assert longest_ms <= TIMEOUT_SECONDS * 1000 + 500
