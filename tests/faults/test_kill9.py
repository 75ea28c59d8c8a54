"""Kill -9 under load: nothing acknowledged is lost, nothing counts twice, triggers are told once.

Every acknowledged event is counted exactly once; totals are exact; triggers are those of an outside
check; each has one event id, delivered at least once with one body.
"""

import json
import threading
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from random import Random  # noqa: TID251 - seeded, so that a failure can be repeated

import apsw
import pytest
import stripe

from tests.faults.checker import check
from tests.faults.load import CUSTOMERS, SINGLE, STREAM, Client, Promises, Way, settle
from tests.ledger.ledger_run import delete_checkpoints, recovered_state
from tests.support.receiver import WebhookReceiver
from tests.support.server import ServerProcess
from tests.support.waiting import wait_for

CLIENTS = 8
CYCLES = 10
CYCLES_STREAM = 8
CYCLES_DEEP = 200


def create_objects(client: stripe.StripeClient, url: str) -> str:
    """Create what the load needs; return the meter's id."""
    client.v1.webhook_endpoints.create({"url": url, "enabled_events": ["billing.alert.triggered"]})
    for customer in CUSTOMERS:
        client.raw_request("post", "/v1/customers", id=customer)
    meter = client.v1.billing.meters.create(
        {
            "display_name": "API requests",
            "event_name": "api_requests",
            "default_aggregation": {"formula": "sum"},
        }
    )
    for gte in (1, 20, 50, 100, 150, 300, 600, 2000):
        create_alert(client, meter.id, gte)
    return meter.id


def create_alert(client: stripe.StripeClient, meter: str, gte: int) -> str:
    alert = client.v1.billing.alerts.create(
        {
            "alert_type": "usage_threshold",
            "title": f"at {gte}",
            "usage_threshold": {"meter": meter, "gte": gte, "recurrence": "one_time"},
        }
    )
    return alert.id


def run_cycle(
    server: ServerProcess, promises: Promises, random: Random, cycle: int, way: Way
) -> None:
    """Load a running server with all clients and kill it after some acknowledgements."""
    enough = random.randrange(40, 250)
    acknowledged = threading.Semaphore(0)
    stop = threading.Event()
    clients = [
        Client(
            way=way,
            port=server.port,
            key=server.key,
            promises=promises,
            name=f"{cycle}-{number}",
            seed=random.randrange(2**32),
            on_acknowledged=acknowledged.release,
            stop=stop,
        )
        for number in range(CLIENTS)
    ]
    for client in clients:
        client.start()
    for _ in range(enough):
        assert acknowledged.acquire(timeout=60), server.output
    server.kill()
    stop.set()
    for client in clients:
        client.join()
        assert client.refused == []


def kill_and_check(tmp_path: Path, *, cycles: int, seed: int, way: Way) -> None:
    random = Random(seed)
    promises = Promises()
    data = tmp_path / "data"
    server = ServerProcess(
        data,
        environment={"METERBELL_CHECKPOINT_SECONDS": "1"},
        module="tests.support.storing_hours",
    )
    with WebhookReceiver() as receiver, server:
        meter = create_objects(server.client, receiver.url)
        for cycle in range(cycles):
            run_cycle(server, promises, random, cycle, way)
            server.start()
            settle(server.port, server.key, promises, way, random)
            late = create_alert(server.client, meter, random.randrange(1, 40))
            if random.random() < 0.5:
                server.client.v1.billing.alerts.deactivate(late)
            # Few stay, because a scope holds 25.
            if cycle % 20 or random.random() < 0.5:
                server.client.v1.billing.alerts.archive(late)
        events = wait_for_deliveries(server, receiver, data)
        server.stop()

    findings = check(data / "meterbell.db")
    assert set(findings.identifiers) == set(promises.acknowledged)
    assert set(findings.identifiers.values()) == {1}
    expected: dict[str, Decimal] = defaultdict(Decimal)
    for usage in promises.sent.values():
        expected[usage.customer] += Decimal(usage.value)
    assert {customer: total for (_, customer), total in findings.totals.items()} == expected
    assert findings.triggers
    assert len(findings.recorded) == len(set(findings.recorded))
    assert set(findings.recorded) == findings.triggers
    assert {key: len(ids) for key, ids in findings.told.items()} == {
        (alert, customer): 1 for alert, customer, _, _ in findings.triggers
    }
    assert set(events) == {ids[0] for ids in findings.told.values()}
    check_replay(data / "meterbell.db")


def wait_for_deliveries(
    server: ServerProcess, receiver: WebhookReceiver, data: Path
) -> dict[str, bytes]:
    """Wait until every trigger's event has arrived; return bodies by event id.

    Every copy of an event must have the same body (D1).
    """

    def bodies() -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        for received in receiver.received:
            event_id = json.loads(received.body)["id"]
            assert found.setdefault(event_id, received.body) == received.body
        return found

    told = {ids[0] for ids in check(data / "meterbell.db").told.values()}

    def all_arrived() -> dict[str, bytes] | None:
        arrived = bodies()
        return arrived if told <= set(arrived) else None

    return wait_for(all_arrived, lambda: f"delivery of all events:\n{server.output[-2000:]}")


def check_replay(database: Path) -> None:
    """Replaying the whole log gives the state of the checkpoints, and no new trigger.

    The hours that the store keeps count as a part of the state.
    """
    connection = apsw.Connection(str(database))
    assert connection.execute("SELECT count(*) FROM hour_part").fetchall() > [(0,)]
    connection.close()
    with_checkpoint, replayed, _ = recovered_state(database)
    delete_checkpoints(database)
    without, replayed_all, mismatches = recovered_state(database)
    assert without == with_checkpoint
    assert mismatches == 0
    assert replayed_all >= replayed


def test_c1_c2_a4_a5_d1_kill_9_under_load_loses_and_doubles_nothing(tmp_path: Path) -> None:
    kill_and_check(tmp_path, cycles=CYCLES, seed=1, way=SINGLE)


@pytest.mark.deep
def test_c1_c2_a4_a5_d1_kill_9_many_times(tmp_path: Path) -> None:
    kill_and_check(tmp_path, cycles=CYCLES_DEEP, seed=2, way=SINGLE)


def test_c1_c2_a4_a5_d1_kill_9_under_streams_loses_and_doubles_nothing(tmp_path: Path) -> None:
    kill_and_check(tmp_path, cycles=CYCLES_STREAM, seed=3, way=STREAM)


@pytest.mark.deep
def test_c1_c2_a4_a5_d1_kill_9_under_streams_many_times(tmp_path: Path) -> None:
    kill_and_check(tmp_path, cycles=CYCLES_DEEP, seed=4, way=STREAM)
