"""Those who wait for events are woken, all of them and only once."""

import asyncio

from meterbell.delivery.listeners import EventFeed


async def test_everybody_who_waits_is_woken() -> None:
    feed = EventFeed()
    waiting = [asyncio.create_task(feed.wait(timeout_seconds=20)) for _ in range(3)]
    await asyncio.sleep(0)

    feed.notify()

    assert await asyncio.gather(*waiting) == [True, True, True]


async def test_what_happened_before_does_not_wake() -> None:
    feed = EventFeed()
    feed.notify()

    assert not await feed.wait(timeout_seconds=0.01)


async def test_a_cancellation_that_comes_with_an_event_is_not_forgotten() -> None:
    feed = EventFeed()

    async def listen() -> None:
        while True:
            await feed.wait(timeout_seconds=20)

    listening = asyncio.create_task(listen())
    await asyncio.sleep(0)

    feed.notify()
    listening.cancel()

    async with asyncio.timeout(20):
        await asyncio.wait([listening])
    assert listening.cancelled()
