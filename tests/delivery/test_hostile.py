"""Endpoints that do their worst: attempts end in time, the others don't notice, nothing is lost."""

import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from meterbell.delivery.lookup import Lookup
from meterbell.delivery.sender import LOOKUP_SECONDS_MAX
from tests.builders import NOW
from tests.delivery.delivery_run import open_delivery
from tests.delivery.receiver import receiving
from tests.support.hostile import DEAD_NAME, KINDS, hostile_endpoints, url_of
from tests.support.virtual_time import VirtualClock, run_virtually

TIMEOUT_SECONDS = 15
OUTCOMES = {
    "hang": "timeout",
    "tls_stall": "timeout",
    "drip_head": "timeout",
    "drip_body": "status_500",
    "endless_body": "status_500",
    "reset": "connection_closed",
    "error": "status_500",
    "too_many": "status_429",
    "redirect": "redirect",
    DEAD_NAME: "timeout",
}
WHOLE = {"hang", "tls_stall", "drip_head", "drip_body"}
"""Those that would go on for ever."""


@pytest.mark.parametrize("kind", KINDS)
def test_d2_every_attempt_ends_in_time_whatever_the_endpoint_does(
    tmp_path: Path, kind: str
) -> None:
    """By the attempt log, with a clock that goes with the loop's own time."""
    gate = threading.Event()

    def resolve(*_: object, **__: object) -> list[tuple[Any, ...]]:
        gate.wait()
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    async def attempt() -> None:
        async with (
            hostile_endpoints() as ports,
            open_delivery(
                tmp_path,
                timeout_seconds=TIMEOUT_SECONDS,
                clock=VirtualClock(NOW * 1000),
                lookup=Lookup(resolve),
            ) as run,
        ):
            await run.add_endpoint(url_of(kind, ports, 0))
            await run.emit()
            (made, *_) = await run.until_attempts(1)
            assert made.outcome == OUTCOMES[kind]
            if kind in WHOLE:
                least, most = TIMEOUT_SECONDS * 1000, TIMEOUT_SECONDS * 1000 + 500
            elif kind == DEAD_NAME:
                least = round(LOOKUP_SECONDS_MAX * 1000)
                most = least + 500
            else:
                least, most = 0, 500
            assert least <= made.duration_ms <= most

    try:
        run_virtually(attempt())
    finally:
        gate.set()


async def test_d2_a_hundred_hostile_endpoints_hold_up_nobody_and_lose_nothing(
    tmp_path: Path,
) -> None:
    """Everything for the healthy one arrives while those that hang still do."""
    gate = threading.Event()

    def resolve(*_: object, **__: object) -> list[tuple[Any, ...]]:
        gate.wait()
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    queued, healthy_events = 3, 10
    async with (
        hostile_endpoints() as ports,
        receiving() as healthy,
        open_delivery(tmp_path, start=False, timeout_seconds=600, lookup=Lookup(resolve)) as run,
    ):
        hostile = [
            await run.add_endpoint(url_of(kind, ports, number))
            for number in range(10)
            for kind in KINDS
        ]
        await run.emit(queued)
        endpoint = await run.add_endpoint(healthy.url, enabled_events=["customer.updated"])
        run.start()
        for _ in range(healthy_events):
            await run.emit(event_type="customer.updated")
        await run.until(lambda: run.statuses(endpoint).count("succeeded") == healthy_events)

        assert len(set(healthy.event_ids)) == len(healthy.event_ids) == healthy_events
        stalled = [one for one in hostile if one.url.startswith("https")]
        assert [run.attempts(one) for one in stalled] == [[]] * 10
        waiting = [one for one in run.deliveries() if one.endpoint != endpoint.id]
        # The hostile ones want updates of customers, too: nothing of theirs is done or gone.
        assert len(waiting) == len(hostile) * (queued + healthy_events)
        assert {one.status for one in waiting} == {"pending"}
        gate.set()
