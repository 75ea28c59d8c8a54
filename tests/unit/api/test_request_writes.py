"""The request log is written behind the answers, within bounds, and forgets what is old."""

import asyncio

from meterbell.errors import OverloadedError
from meterbell.records import RequestEntry
from meterbell.requestlog.log import (
    ENTRIES_MAX,
    FAILURES_PER_SECOND,
    SHOWN_PER_SECOND,
    WAITING_MAX,
    RequestLog,
)
from tests.unit.api.running import Api, Failing
from tests.unit.api.test_request_reads import store
from tests.unit.requestlog.entries import add, make_entry

REFUSED = b'{"error":{"type":"invalid_request_error","code":"rate_limit","message":"No."}}'


def log_of(api: Api, *, days: int = 30) -> RequestLog:
    services = api.services
    return RequestLog(
        store=services.store, committer=services.committer, clock=services.clock, days=days
    )


def kept(api: Api) -> list[RequestEntry]:
    return api.services.store.reader.find(RequestEntry)


async def test_requests_are_kept_in_the_order_of_their_answers(api: Api) -> None:
    log = log_of(api)
    for number in range(450):
        add(log, number)
    assert kept(api) == []

    await log.flush()

    assert [entry.id for entry in kept(api)] == [f"req_{number}" for number in range(450)]


async def test_what_fails_too_often_is_counted_and_left_out(api: Api) -> None:
    """In each mode, and apart from what succeeds."""
    log = log_of(api)
    refused = {"status": 429, "body": REFUSED}
    for number in range(FAILURES_PER_SECOND + 5):
        add(log, number, **refused)
    add(log, 100, livemode=True, **refused)
    add(log, 101, livemode=None, **refused)
    add(log, 102)
    api.clock.advance(seconds=1)
    add(log, 103, **refused)
    await log.flush()

    last = {entry.id: entry.skipped for entry in kept(api)[FAILURES_PER_SECOND:]}
    assert last == {"req_100": 0, "req_101": 0, "req_102": 5, "req_103": 0}
    assert log.left_out == 5


async def test_what_waits_is_bounded(api: Api) -> None:
    log = log_of(api)
    for number in range(WAITING_MAX + 3):
        add(log, number)
    await log.flush()
    add(log, WAITING_MAX + 3)
    await log.flush()

    assert len(kept(api)) == WAITING_MAX + 1
    assert kept(api)[-1].skipped == 3


async def test_what_the_commit_queue_has_no_room_for_is_written_later(api: Api) -> None:
    log = log_of(api)
    committer, log._committer = log._committer, Failing(OverloadedError("Full."))  # type: ignore[assignment] # noqa: SLF001
    add(log, 1)
    await log.flush()
    assert kept(api) == []
    log._committer = committer  # noqa: SLF001
    add(log, 2)

    await log.flush()

    assert [entry.id for entry in kept(api)] == ["req_1", "req_2"]


async def test_what_still_waits_at_the_end_is_written(api: Api) -> None:
    log = log_of(api)
    running = asyncio.create_task(log.run())
    await asyncio.sleep(0)
    add(log, 1)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert [entry.id for entry in kept(api)] == ["req_1"]


async def test_old_requests_are_forgotten_and_young_ones_stay(api: Api) -> None:
    now_ms, day_ms = api.clock.now_ms(), 86_400_000
    ages = [9 * day_ms, *[8 * day_ms] * 450, 7 * day_ms, 6 * day_ms]
    entries = [
        make_entry(id=f"req_{number}", created_ms=now_ms - age) for number, age in enumerate(ages)
    ]
    await store(api, entries)

    await log_of(api, days=7).trim()

    assert [entry.id for entry in kept(api)] == ["req_451", "req_452"]


async def test_there_are_never_too_many_requests(api: Api) -> None:
    now_ms = api.clock.now_ms()
    await store(api, [make_entry(id=f"req_{number}", created_ms=now_ms) for number in range(3)])
    connection = api.services.store.writer._connection  # noqa: SLF001
    connection.run("UPDATE request SET number = ? WHERE number = 3", (ENTRIES_MAX + 2,))

    await log_of(api).trim()

    assert [entry.id for entry in kept(api)] == ["req_2"]


async def test_without_days_nothing_is_kept_but_shown(api: Api) -> None:
    await store(api, [make_entry()])
    log = log_of(api, days=0)
    api.clock.advance(seconds=1)
    with log.feed.listening() as cursor:
        add(log, 2)
        shown = [entry.id for entry in log.feed.after(cursor).entries]
    await log.flush()
    await log.trim()

    assert shown == ["req_2"]
    assert kept(api) == []


async def test_those_who_watch_are_told_of_so_many_a_second(api: Api) -> None:
    log = log_of(api, days=0)
    with log.feed.listening() as cursor:
        for number in range(SHOWN_PER_SECOND):
            add(log, number)
        all_shown = log.feed.after(cursor)
        add(log, SHOWN_PER_SECOND)
        heard = log.feed.after(cursor)

    assert (len(all_shown.entries), all_shown.has_gap) == (SHOWN_PER_SECOND, False)
    assert (len(heard.entries), heard.has_gap) == (SHOWN_PER_SECOND, True)
