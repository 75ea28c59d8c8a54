"""Very many deliveries are sent again, waited with, and given up: meter events don't wait."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from meterbell.clock import SystemClock
from tests.cli.conftest import meterbell
from tests.support.server import ServerProcess
from tests.support.waiting import wait_for

MANY = 100_000
BASELINE_SECONDS = 10
PAUSE_SECONDS = 0.01
P99_MS_MORE_MAX = 50
# Nobody listens there.
URL = "http://127.0.0.1:9009/hook"


class Reporter:
    """Reports meter events one after the other, and notes how long each takes.

    Attributes:
        taken_ms: By the phase that it fell into.
        phase: The present one.
    """

    def __init__(self, server: ServerProcess) -> None:
        self.taken_ms: dict[str, list[float]] = {}
        self.phase = "baseline"
        self._server = server
        self._end = threading.Event()

    def run(self) -> None:
        """Report until stopped."""
        client = self._server.client
        while not self._end.wait(PAUSE_SECONDS):
            payload = {"stripe_customer_id": "cus_a", "value": "1"}
            phase, begun = self.phase, time.monotonic()
            client.v1.billing.meter_events.create({"event_name": "a", "payload": payload})
            self.taken_ms.setdefault(phase, []).append((time.monotonic() - begun) * 1000)

    def stop(self) -> None:
        """End with the present event."""
        self._end.set()

    def p99_ms(self, phase: str) -> float:
        """Return the time that 99 of 100 events of a phase took at most."""
        taken = sorted(self.taken_ms[phase])
        return taken[len(taken) * 99 // 100]


def add_failed(data: Path, endpoint: str) -> None:
    """Write very many failed deliveries into the database of a server that is off."""
    with closing(apsw.Connection(str(data / "meterbell.db"))) as connection, connection:
        now_ms = SystemClock().now_ms()
        connection.execute(
            "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < ?)"
            " INSERT INTO event (id, livemode, created, type, api_version, data, deliveries)"
            " SELECT 'evt_' || x, 0, ?, 'product.created', '2026-10-28.endive',"
            " '{\"object\": {}}', 1 FROM n",
            (MANY, now_ms // 1000),
        )
        connection.execute(
            "INSERT INTO delivery (event, endpoint, livemode, created_ms, status, attempts)"
            " SELECT id, ?, 0, ?, 'failed', 4 FROM event WHERE type = 'product.created'",
            (endpoint, now_ms),
        )


def count(data: Path, status: str) -> int:
    with closing(apsw.Connection(str(data / "meterbell.db"))) as connection:
        ((found,),) = connection.execute(
            "SELECT count(*) FROM delivery WHERE status = ?", (status,)
        )
        return int(found)


@pytest.mark.deep
def test_d2_meter_events_do_not_wait_for_very_many_deliveries(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with ServerProcess(data, seconds_max=120) as server:
        client = server.client
        meter = {"display_name": "A", "event_name": "a", "default_aggregation": {"formula": "sum"}}
        client.raw_request("post", "/v1/billing/meters", **meter)
        client.raw_request("post", "/v1/customers", id="cus_a")
        endpoint = str(client.v1.webhook_endpoints.create({"url": URL, "enabled_events": ["*"]}).id)
        server.stop()
        add_failed(data, endpoint)
        server.start()
        reporter = Reporter(server)
        with ThreadPoolExecutor(1) as pool:
            reporting = pool.submit(reporter.run)
            end = time.monotonic() + BASELINE_SECONDS
            wait_for(lambda: time.monotonic() >= end, "end of the baseline")

            def done(phase: str, *words: str) -> None:
                reporter.phase = phase
                address = ("--api-base", server.url, "--api-key", server.key)
                answer = meterbell("webhooks", *words, *address)
                assert answer.returncode == 0, answer.stderr

            done("resend", "resend-failed", endpoint, "--since", "1d")
            assert count(data, "failed") == 0
            done("disable", "disable", endpoint)
            done("enable", "enable", endpoint)
            reporter.phase = "delete"
            server.client.v1.webhook_endpoints.delete(endpoint)
            wait_for(lambda: not count(data, "pending"), "end of deliveries", timeout_seconds=200)
            reporter.stop()
            reporting.result()

    figures = {phase: (reporter.p99_ms(phase), max(t)) for phase, t in reporter.taken_ms.items()}
    print({phase: f"p99 {p99:.1f} ms, max {most:.1f} ms" for phase, (p99, most) in figures.items()})
    assert all(p99 <= figures["baseline"][0] + P99_MS_MORE_MAX for p99, _ in figures.values())
