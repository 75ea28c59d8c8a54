"""Files for a spreadsheet: others get their turn meanwhile, and few are sent at once."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise

import pytest
from starlette.types import Message

from meterbell.dashboard.app import Dashboard
from meterbell.dashboard.files import FILES_MAX, Files, csv_pieces
from meterbell.dashboard.visit import Table
from meterbell.errors import OverloadedError
from tests.unit.api.running import Api
from tests.unit.dashboard.visiting import Visitor


async def numbers(count: int) -> AsyncIterator[Sequence[str]]:
    """Yield rows that never wait for anything."""
    for number in range(count):
        yield (str(number),)


def table() -> Table:
    return Table("numbers.csv", numbers(3))


async def never() -> Message:
    return await asyncio.Future()


async def test_another_task_gets_its_turn_between_any_two_pieces_of_a_file() -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    running = asyncio.create_task(other())
    pieces, seen = [], []
    async for piece in csv_pieces(numbers(10_000)):
        pieces.append(piece)
        seen.append(turns)
    running.cancel()

    assert "".join(pieces).split() == [str(number) for number in range(10_000)]
    assert max(piece.count("\n") for piece in pieces) <= 300
    assert all(before < after for before, after in pairwise(seen))


async def test_a_file_that_ended_in_any_way_makes_room_for_another() -> None:
    files = Files()
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def fail(_: Message) -> None:
        raise ConnectionError

    whole, broken = files.answer(table()), files.answer(table())
    with pytest.raises(OverloadedError, match="2 files are being downloaded at this moment"):
        files.answer(table())
    scope = {"type": "http", "asgi": {"spec_version": "2.4"}}
    await whole(scope, never, send)
    with pytest.raises(Exception):  # noqa: B017, PT011 - Starlette's own for a client that is gone
        await broken(scope, never, fail)

    assert b"".join(message.get("body", b"") for message in sent) == b"0\r\n1\r\n2\r\n"
    assert [files.answer(table()).status_code for _ in range(FILES_MAX)] == [200, 200]


async def test_a_third_file_at_once_is_refused_with_a_page_that_says_why(
    api: Api, dashboard: Dashboard, viewer: Visitor
) -> None:
    place = f"/dashboard/test/meters/{await api.meter()}/customers.csv"
    for _ in range(FILES_MAX):
        dashboard._files.answer(table())  # noqa: SLF001

    refused = await viewer.get(place)

    assert refused.status == 429
    assert "2 files are being downloaded at this moment" in refused.words
    assert "Try again once one of them is done." in refused.words


async def test_files_one_after_the_other_are_never_refused(api: Api, viewer: Visitor) -> None:
    place = f"/dashboard/test/meters/{await api.meter()}/customers.csv"

    told = [(await viewer.get(place)).status for _ in range(FILES_MAX + 2)]

    assert set(told) == {200}
