"""Endpoints that do their worst: attempts end in time, the others don't notice, nothing is lost."""

import socket
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from meterbell.delivery.circuit import SLOTS
from meterbell.delivery.lookup import Lookup
from meterbell.delivery.sender import LOOKUP_SECONDS_MAX
from meterbell.records import EndpointHealth
from tests.builders import NOW
from tests.delivery.delivery_run import open_delivery
from tests.delivery.receiver import receiving
from tests.support.hostile import DEAD_NAME, KINDS, hostile_endpoints, url_of
from tests.support.memory import memory_kib
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

MEMORY_KIB_MORE_MAX = 100 * 1024


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
            hostile_endpoints() as hostile,
            open_delivery(
                tmp_path,
                timeout_seconds=TIMEOUT_SECONDS,
                clock=VirtualClock(NOW * 1000),
                lookup=Lookup(resolve),
            ) as run,
        ):
            await run.add_endpoint(url_of(kind, hostile.ports, 0))
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
    """Everything for the healthy one arrives while each of the hostile ones does its worst."""
    gate = threading.Event()
    asked: list[str] = []

    def resolve(name: str, *_: object, **__: object) -> list[tuple[Any, ...]]:
        asked.append(name)
        gate.wait()
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    of_each, queued, healthy_events = 10, 10, 10
    async with (
        hostile_endpoints() as hostile,
        receiving() as healthy,
        open_delivery(tmp_path, start=False, timeout_seconds=600, lookup=Lookup(resolve)) as run,
    ):
        kinds = {}
        for number in range(of_each):
            for kind in KINDS:
                url = url_of(kind, hostile.ports, number)
                endpoint = await run.add_endpoint(url, enabled_events=["customer.created"])
                kinds[endpoint.id] = kind
        await run.emit(queued)
        before_kib = memory_kib()
        run.start()
        for kind in WHOLE:
            await hostile.until_reached(kind, of_each)
        # Each of the others has failed at least once.
        failing = of_each * (len(KINDS) - len(WHOLE) - 1)
        await run.until(lambda: run.store.reader.count(EndpointHealth) >= failing)

        endpoint = await run.add_endpoint(healthy.url, enabled_events=["customer.updated"])
        for _ in range(healthy_events):
            await run.emit(event_type="customer.updated")
        await run.until(lambda: run.statuses(endpoint).count("succeeded") == healthy_events)

        assert len(set(healthy.event_ids)) == len(healthy.event_ids) == healthy_events
        waiting = [one for one in run.deliveries() if one.endpoint in kinds]
        assert Counter(kinds[one.endpoint] for one in waiting) == dict.fromkeys(
            KINDS, of_each * queued
        )
        assert {one.status for one in waiting} == {"pending"}
        assert {kind: hostile.most[kind] for kind in WHOLE} == dict.fromkeys(WHOLE, of_each)
        assert max(hostile.most.values()) <= of_each * SLOTS
        assert len(asked) == len(set(asked)) > 0
        assert memory_kib() - before_kib < MEMORY_KIB_MORE_MAX
        gate.set()
