"""Names that can't be looked up hold nobody up."""

import asyncio
import socket
import threading
from ipaddress import ip_address
from typing import Any

import pytest

from meterbell.delivery.lookup import ADDRESSES_MAX, Lookup, is_own

FOUND = [
    (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("2600::1", 0, 0, 0)),
    (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", 0)),
    (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", 0)),
]
ADDRESSES = [ip_address("2600::1"), ip_address("8.8.8.8")]


def threads_for(name: str) -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == f"meterbell-lookup {name}"]


async def test_addresses_keep_their_order_and_come_once() -> None:
    asked: list[object] = []

    def resolve(host: str, port: None, **options: Any) -> list[Any]:  # noqa: ANN401
        asked.append((host, port, options["type"]))
        return FOUND

    assert await Lookup(resolve).addresses("example.com") == ADDRESSES
    assert asked == [("example.com", None, socket.SOCK_STREAM)]


@pytest.mark.parametrize("count", [0, ADDRESSES_MAX + 1])
async def test_a_name_has_some_addresses_but_not_any_number(count: int) -> None:
    def resolve(*_: object, **__: object) -> list[Any]:
        return [(0, 0, 0, "", (f"8.8.8.{number}", 0)) for number in range(count)]

    with pytest.raises(OSError, match=f"{count} addresses"):
        await Lookup(resolve).addresses("example.com")


async def test_a_failed_lookup_is_raised_where_it_is_waited_for() -> None:
    def resolve(*_: object, **__: object) -> list[Any]:
        raise socket.gaierror("no such name")

    with pytest.raises(socket.gaierror, match="no such name"):
        await Lookup(resolve).addresses("example.com")


async def test_d2_many_hanging_lookups_delay_no_other() -> None:
    gate = threading.Event()

    def resolve(host: str, *_: object, **__: object) -> list[Any]:
        if host != "alive":
            gate.wait()
        return FOUND

    lookup = Lookup(resolve)
    dead = [asyncio.create_task(lookup.addresses(f"dead{number}")) for number in range(64)]
    try:
        assert await lookup.addresses("alive") == ADDRESSES
        assert not any(task.done() for task in dead)
    finally:
        gate.set()
    await asyncio.gather(*dead)


async def test_d2_a_name_takes_one_thread_however_many_ask_and_give_up() -> None:
    gate = threading.Event()
    asked = 0

    def resolve(*_: object, **__: object) -> list[Any]:
        nonlocal asked
        asked += 1
        gate.wait()
        return FOUND

    lookup = Lookup(resolve)
    try:
        for _ in range(20):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.001):
                    await lookup.addresses("slow")
        assert (asked, len(threads_for("slow"))) == (1, 1)
    finally:
        gate.set()

    assert await lookup.addresses("slow") == ADDRESSES


async def test_d2_only_so_many_names_at_a_time_where_a_limit_is_given() -> None:
    gate = threading.Event()

    def resolve(*_: object, **__: object) -> list[Any]:
        gate.wait()
        return FOUND

    lookup = Lookup(resolve, names_max=2)
    asking = [asyncio.create_task(lookup.addresses(name)) for name in ("a", "b", "a")]
    await asyncio.sleep(0)
    try:
        with pytest.raises(OSError, match="too many names"):
            await lookup.addresses("c")
    finally:
        gate.set()
    await asyncio.gather(*asking)


def test_an_answer_after_the_loops_end_is_dropped() -> None:
    gate = threading.Event()

    def resolve(*_: object, **__: object) -> list[Any]:
        gate.wait()
        return FOUND

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await Lookup(resolve).addresses("slower")

    asyncio.run(give_up())
    slow = threads_for("slower")
    gate.set()
    for thread in slow:
        thread.join()


def test_an_address_is_this_machines_if_the_system_would_send_from_it() -> None:
    assert is_own(ip_address("127.0.0.1"))
    assert not is_own(ip_address("127.9.8.7"))
