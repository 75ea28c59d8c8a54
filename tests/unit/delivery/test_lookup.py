"""Names that can't be looked up hold nobody up."""

import asyncio
import socket
import threading
from typing import Any

import pytest

from meterbell.delivery.lookup import ThreadResolver

FOUND = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 80))]


async def test_addresses_are_given_as_aiohttp_wants_them() -> None:
    asked: list[object] = []

    def lookup(host: str, port: int, **options: Any) -> list[Any]:  # noqa: ANN401
        asked.append((host, port, options["type"]))
        return FOUND

    (found,) = await ThreadResolver(lookup).resolve("example.com", 80)

    assert asked == [("example.com", 80, socket.SOCK_STREAM)]
    assert (found["hostname"], found["host"], found["port"]) == ("example.com", "192.0.2.1", 80)
    assert found["family"] == socket.AF_INET


async def test_a_failed_lookup_is_raised_where_it_is_waited_for() -> None:
    def lookup(*_: object, **__: object) -> list[Any]:
        raise socket.gaierror("no such name")

    with pytest.raises(socket.gaierror, match="no such name"):
        await ThreadResolver(lookup).resolve("example.com", 80)


async def test_d2_many_hanging_lookups_delay_no_other() -> None:
    gate = threading.Event()
    hanging = threading.Semaphore(0)

    def lookup(host: str, *_: object, **__: object) -> list[Any]:
        if host == "dead":
            hanging.release()
            gate.wait()
        return FOUND

    resolver = ThreadResolver(lookup)
    dead = [asyncio.create_task(resolver.resolve("dead", 80)) for _ in range(64)]
    try:
        (found,) = await resolver.resolve("alive", 80)

        assert found["host"] == "192.0.2.1"
        assert not any(task.done() for task in dead)
    finally:
        gate.set()
    await asyncio.gather(*dead)
    await resolver.close()


async def test_an_answer_that_nobody_waits_for_is_dropped() -> None:
    gate = threading.Event()

    def lookup(*_: object, **__: object) -> list[Any]:
        gate.wait()
        return FOUND

    resolver = ThreadResolver(lookup)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await resolver.resolve("slow", 80)
    slow = [t for t in threading.enumerate() if t.name == "meterbell-lookup slow"]
    gate.set()
    for thread in slow:
        await asyncio.to_thread(thread.join)
    await asyncio.sleep(0)


def test_an_answer_after_the_loops_end_is_dropped() -> None:
    gate = threading.Event()

    def lookup(*_: object, **__: object) -> list[Any]:
        gate.wait()
        return FOUND

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await ThreadResolver(lookup).resolve("slower", 80)

    asyncio.run(give_up())
    slow = [t for t in threading.enumerate() if t.name == "meterbell-lookup slower"]
    gate.set()
    for thread in slow:
        thread.join()
