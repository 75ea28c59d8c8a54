"""What an open page is pushed, and how often."""

import asyncio
from collections.abc import AsyncIterator, Callable
from itertools import count

import pytest

from meterbell.clock import SettableClock
from meterbell.dashboard import live
from meterbell.dashboard.live import LivePages, Moment


async def first(pushes: AsyncIterator[str], wanted: int) -> list[str]:
    """Return so many pushes and end the stream."""
    found: list[str] = []
    async for push in pushes:
        found.append(push)
        if len(found) == wanted:
            break
    return found


def moments() -> Callable[[], Moment]:
    """Return a clock of commits: something is new at each look."""
    numbers = count(1)
    return lambda: Moment(next(numbers), 0, 0, 0)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "PUSH_SECONDS", 0.001)


async def test_a_push_is_the_block_with_the_commits_sequence() -> None:
    blocks = iter(["<p>1</p>\n<p>2</p>\n", "<p>3</p>"])

    async def render() -> str:
        return next(blocks)

    pages = LivePages(SettableClock(0), moments())

    assert await first(pages.pushes("a", render), 2) == [
        "id: 1\ndata: <p>1</p>\ndata: <p>2</p>\n\n",
        "id: 2\ndata: <p>3</p>\n\n",
    ]


async def test_what_did_not_change_is_not_pushed() -> None:
    blocks = iter(["a", "a", "a", "b"])

    async def render() -> str:
        return next(blocks)

    pages = LivePages(SettableClock(0), moments())

    assert await first(pages.pushes("a", render), 2) == ["id: 1\ndata: a\n\n", "id: 4\ndata: b\n\n"]


async def test_nothing_is_rendered_while_nothing_is_committed() -> None:
    rendered: list[int] = []
    looks = count()

    async def render() -> str:
        rendered.append(1)
        return "a"

    pages = LivePages(SettableClock(0), lambda: Moment(next(looks) and 0, 0, 0, 0))
    stream = pages.pushes("a", render)
    await anext(stream)
    task = asyncio.ensure_future(anext(stream))
    await asyncio.wait([task], timeout=0.1)
    task.cancel()

    assert next(looks) > 2
    assert rendered == [1]


async def test_a_stream_ends_when_nobody_may_see_it_any_more() -> None:
    async def render() -> None:
        return None

    pages = LivePages(SettableClock(0), moments())

    assert [push async for push in pages.pushes("a", render)] == []


async def test_many_or_costly_pages_are_pushed_less_often() -> None:
    clock = SettableClock(0)
    pages = LivePages(clock, moments())
    assert pages._pause(0.0) == live.PUSH_SECONDS  # noqa: SLF001
    pages._open["a"] = 10  # noqa: SLF001
    quick = [pages._pause(0.01) for _ in range(50)]  # noqa: SLF001
    slow = [pages._pause(1.0) for _ in range(50)]  # noqa: SLF001
    assert quick[-1] == pytest.approx(1.0, rel=0.01)
    assert slow[-1] == live.PAUSE_SECONDS_MAX


async def test_there_is_a_bound_on_open_pages() -> None:
    pages = LivePages(SettableClock(0), moments())
    pages._open["a"] = live.STREAMS_EACH_MAX  # noqa: SLF001
    assert pages.is_full("a")
    assert not pages.is_full("b")
    pages._open["c"] = live.STREAMS_MAX - live.STREAMS_EACH_MAX  # noqa: SLF001
    assert pages.is_full("b")
