"""Kill -9 while receivers fail: all webhooks arrive, and only what was in flight comes twice.

After each kill the server starts some minutes later, so that retries come due in the run's time.
"""

import json
from collections import Counter
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from random import Random  # noqa: TID251 - seeded, so that a failure can be repeated

import apsw
import pytest

from meterbell.clock import SystemClock
from meterbell.delivery.circuit import SLOTS
from meterbell.store.migrations import migrate
from tests.faults.planted import plant_delivery, plant_endpoint, plant_event, vault_of
from tests.support.receiver import Received, Reply, WebhookReceiver
from tests.support.server import ServerProcess
from tests.support.waiting import wait_for

LATER_SECONDS = 1200
FAILING = 0.2
RECEIVERS = 2


class Flaky:
    """The receivers' mind: fails now and then, and remembers what was taken, and in which body."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.failed = 0
        self.taken: list[str] = []
        self.bodies: dict[str, set[bytes]] = {}

    def respond(self, received: Received) -> Reply:
        event = str(json.loads(received.body)["id"])
        self.bodies.setdefault(event, set()).add(received.body)
        if self._random.random() < FAILING:
            self.failed += 1
            return Reply(500)
        self.taken.append(event)
        return Reply(200)


def done_events(database: Path) -> set[str]:
    """Return the events whose delivery is recorded as done; the server is not running."""
    with closing(apsw.Connection(str(database))) as connection:
        rows = connection.execute("SELECT event FROM delivery WHERE status = 'succeeded'")
        return {str(event) for (event,) in rows}


def is_nothing_due(database: Path, now_ms: int) -> bool:
    with closing(apsw.Connection(str(database))) as connection:
        due = connection.execute(
            "SELECT 1 FROM delivery WHERE next_attempt_at_ms <= ? LIMIT 1", (now_ms,)
        )
        return not list(due)


def add_live_endpoint(database: Path, number: int, url: str) -> None:
    """Write a webhook endpoint of live mode into the database of a server that never ran."""
    vault = vault_of(database)
    with closing(apsw.Connection(str(database))) as connection:
        now_ms = SystemClock().now_ms()
        plant_endpoint(connection, vault, f"we_{number}", url, event_type="*", now_ms=now_ms)


def queue_live(database: Path, *, first: int, count: int) -> None:
    """Write events, each for one of the endpoints, into the database of a server that is off."""
    with closing(apsw.Connection(str(database))) as connection, connection:
        ((now_ms,),) = connection.execute("SELECT max(created) * 1000 FROM webhook_endpoint")
        for number in range(first, first + count):
            event, endpoint = f"evt_{number}", f"we_{number % RECEIVERS}"
            plant_event(connection, event, deliveries=1, now_ms=now_ms)
            plant_delivery(connection, event, endpoint, now_ms=now_ms)


def kill_and_check(tmp_path: Path, *, events: int, kills: int, seed: int) -> None:
    data, later = tmp_path / "data", 0
    database = data / "meterbell.db"
    flaky = Flaky(Random(seed))

    def server_later() -> ServerProcess:
        return ServerProcess(
            data,
            arguments=("--egress-allow", "http://127.0.0.0/8"),
            environment={"METERBELL_LATER_SECONDS": str(later)},
            module="tests.support.later_server",
        )

    data.mkdir()
    migrate(database)
    with ExitStack() as stack:
        receivers = [stack.enter_context(WebhookReceiver()) for _ in range(RECEIVERS)]
        for number, receiver in enumerate(receivers):
            receiver.respond = flaky.respond
            add_live_endpoint(database, number, receiver.url)
        in_flight: Counter[str] = Counter()
        for cycle in range(kills):
            queue_live(database, first=cycle * events // kills, count=events // kills)
            before, taken = len(receivers[0].received), len(flaky.taken)
            server = server_later()
            server.start()
            receivers[0].wait_for(before + events // kills // RECEIVERS // 2)
            server.kill()
            for receiver in receivers:
                receiver.settle()
            # What was taken since the start and is not on record was in flight.
            unrecorded = set(flaky.taken[taken:]) - done_events(database)
            assert len(unrecorded) <= SLOTS * RECEIVERS
            in_flight.update(unrecorded)
            later += LATER_SECONDS
        while len(done_events(database)) < events:
            with server_later():
                now_ms = SystemClock().now_ms() + later * 1000
                is_done = partial(is_nothing_due, database, now_ms)
                wait_for(is_done, "end of what is due", timeout_seconds=600)
            # What failed again is due hours later, and then it is hours later.
            later += 12 * LATER_SECONDS

    counts = Counter(flaky.taken)
    twice = sum(count > 1 for count in counts.values())
    print(
        f"{len(counts)} of {events} arrived over {kills} kills, {twice} of them more than once;"
        f" {in_flight.total()} were in flight at a kill; {flaky.failed} attempts were failed"
    )
    assert len(counts) == events
    assert [event for event, count in counts.items() if count - 1 > in_flight[event]] == []
    assert [event for event, found in flaky.bodies.items() if len(found) > 1] == []


def test_d1_kill_9_while_webhooks_fail_loses_none_and_doubles_only_what_was_in_flight(
    tmp_path: Path,
) -> None:
    kill_and_check(tmp_path, events=30, kills=1, seed=1)


@pytest.mark.deep
def test_d1_fifty_kills_while_ten_thousand_webhooks_are_sent(tmp_path: Path) -> None:
    kill_and_check(tmp_path, events=10_000, kills=50, seed=2)
