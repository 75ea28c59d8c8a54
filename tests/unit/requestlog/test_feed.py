"""Those who watch requests: in order, told of gaps, and free while nobody watches."""

import asyncio

from meterbell.requestlog.feed import KEPT_MAX, RequestFeed
from tests.unit.requestlog.entries import make_entry


def tell(feed: RequestFeed, *ids: str) -> None:
    for request_id in ids:
        feed.tell(make_entry(id=request_id))


def heard(feed: RequestFeed, cursor: int) -> tuple[list[str], bool]:
    found = feed.after(cursor)
    return [entry.id for entry in found.entries], found.has_gap


def test_a_listener_hears_what_comes_after_its_cursor_in_order() -> None:
    feed = RequestFeed(newest=7)
    with feed.listening() as cursor:
        tell(feed, "a", "b")
        first = feed.after(cursor)
        tell(feed, "c")

        assert cursor == 7
        assert [entry.id for entry in first.entries] == ["a", "b"]
        assert heard(feed, first.cursor) == (["c"], False)
        assert heard(feed, cursor) == (["a", "b", "c"], False)


def test_nobody_listens_before_the_first_and_after_the_last() -> None:
    feed = RequestFeed()
    states = [feed.is_listened]
    with feed.listening():
        with feed.listening():
            states.append(feed.is_listened)
        states.append(feed.is_listened)
    states.append(feed.is_listened)

    assert states == [False, True, True, False]


def test_a_listener_that_is_too_slow_is_told_so() -> None:
    feed = RequestFeed()
    with feed.listening() as cursor:
        tell(feed, *(str(number) for number in range(KEPT_MAX + 1)))
        ids, has_gap = heard(feed, cursor)

    assert has_gap
    assert ids == [str(number) for number in range(1, KEPT_MAX + 1)]
    assert heard(feed, cursor + 1)[1], "who has left has missed the rest"


def test_a_request_that_is_skipped_is_a_gap() -> None:
    feed = RequestFeed()
    with feed.listening() as cursor:
        tell(feed, "a")
        feed.skip()
        tell(feed, "b")

        assert heard(feed, cursor) == (["a", "b"], True)
        assert heard(feed, cursor + 2) == (["b"], False)


def test_who_comes_back_has_missed_what_was_not_told_meanwhile() -> None:
    feed = RequestFeed()
    with feed.listening() as cursor:
        pass
    with feed.listening():
        assert heard(feed, cursor) == ([], True)


def test_a_cursor_of_another_process_is_a_gap() -> None:
    feed = RequestFeed(newest=1_000)

    assert heard(feed, 999) == ([], True)
    assert heard(feed, 1_001) == ([], True)


async def test_who_asks_again_soon_misses_nothing() -> None:
    feed = RequestFeed()
    with feed.listening() as cursor:
        feed.linger(60)
    tell(feed, "a")
    with feed.listening():
        found = heard(feed, cursor)
        feed.linger(0)
    await asyncio.sleep(0.01)  # the loop's next turns, in which timers fire

    assert found == (["a"], False)
    assert not feed.is_listened


async def test_waiting_ends_with_the_next_request_for_everybody() -> None:
    feed = RequestFeed()
    with feed.listening() as cursor:
        waiting = [
            asyncio.create_task(feed.wait_after(cursor, timeout_seconds=60)) for _ in range(2)
        ]
        await asyncio.sleep(0)
        tell(feed, "a")
        found = await asyncio.gather(*waiting)

    assert [[entry.id for entry in one.entries] for one in found] == [["a"], ["a"]]


async def test_waiting_ends_when_the_time_is_up() -> None:
    feed = RequestFeed()
    with feed.listening() as cursor:
        assert await feed.wait_after(cursor, timeout_seconds=0) == ([], cursor, False)
