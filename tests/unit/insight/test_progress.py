"""Progress read in pieces, kept for a while, and bounded."""

import asyncio

import pytest

from meterbell.engine.state import State
from meterbell.engine.value import format_value
from meterbell.errors import InvalidParamError
from meterbell.ids import CustomerId
from meterbell.insight.progress import ProgressPage, ProgressReader
from tests.builders import EngineRun, make_alert, make_meter


class TickingClock:
    """A clock that moves on by itself each time it is looked at."""

    def __init__(self, tick_ns: int) -> None:
        self.tick_ns = tick_ns
        self._now_ns = 0

    def now_ms(self) -> int:
        return self.monotonic_ns() // 1_000_000

    def monotonic_ns(self) -> int:
        self._now_ns += self.tick_ns
        return self._now_ns


def reader_of(state: State, *, tick_ns: int = 0, **limits: int) -> ProgressReader:
    return ProgressReader(state, TickingClock(tick_ns), **limits)


def told(page: ProgressPage) -> list[tuple[str, str]]:
    return [(progress.customer, format_value(progress.usage)) for progress in page.items]


def run_with_usage(**usage: str) -> EngineRun:
    run = EngineRun(customers=usage)
    run.create(make_alert(gte=10))
    for customer, value in usage.items():
        run.use(value, customer=customer)
    run.merge()
    return run


async def test_pages_follow_each_other_and_say_whether_there_are_more() -> None:
    run = run_with_usage(cus_a="1", cus_b="3", cus_c="2")
    alert = next(iter(run.state.alerts.values()))
    reader = reader_of(run.state)

    first = await reader.towards(alert, limit=2)
    second = await reader.towards(alert, limit=2, after=first.items[-1].customer)

    assert (told(first), first.has_more) == ([("cus_b", "3"), ("cus_c", "2")], True)
    assert (told(second), second.has_more) == ([("cus_a", "1")], False)
    with pytest.raises(InvalidParamError, match="cus_none"):
        await reader.towards(alert, limit=2, after=CustomerId("cus_none"))


async def test_usage_that_comes_while_pieces_are_read_is_told_all_the_same() -> None:
    names = [f"cus_{number}" for number in range(20_000)]
    run = EngineRun(customers=names)
    alert = run.create(make_alert(gte=10))
    for name in names:
        run.use("1", customer=name)
    run.merge()

    reading = asyncio.create_task(reader_of(run.state).towards(alert, limit=2))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    run.use("5.5", customer="cus_0")
    run.use("6.5", customer="cus_19999")
    run.merge()

    # The first piece was read before: that somebody overtook is seen at the next reading.
    assert ("cus_19999", "7.5") in told(await reading)
    assert told(await reader_of(run.state).towards(alert, limit=2)) == [
        ("cus_19999", "7.5"),
        ("cus_0", "6.5"),
    ]


async def test_what_took_long_to_read_is_kept_for_a_while_and_shown_exactly() -> None:
    run = run_with_usage(cus_a="1", cus_b="3", cus_c="2")
    alert = next(iter(run.state.alerts.values()))
    slow, quick = reader_of(run.state, tick_ns=6_000_000), reader_of(run.state, tick_ns=1_000)
    for reader in (slow, quick):
        await reader.towards(alert, limit=1)

    run.use("0.5", customer="cus_b")
    run.use("8", customer="cus_a")
    run.merge()

    assert told(await quick.towards(alert, limit=1)) == [("cus_a", "9")]
    assert told(await slow.towards(alert, limit=1)) == [("cus_b", "3.5")], "kept, but exact"
    pages = [await slow.towards(alert, limit=1) for _ in range(12)]
    assert told(pages[-1]) == [("cus_a", "9")], "not kept for ever"


async def test_no_more_is_kept_than_may_be() -> None:
    run = run_with_usage(cus_a="1", cus_b="3")
    alert = next(iter(run.state.alerts.values()))
    reader = reader_of(run.state, tick_ns=6_000_000, kept_max=1)
    await reader.towards(alert, limit=1)

    run.use("7", customer="cus_a")
    run.merge()

    assert told(await reader.towards(alert, limit=1)) == [("cus_a", "8")]


async def test_a6_an_archived_alert_has_no_progress() -> None:
    run = run_with_usage(cus_a="1")
    archived = run.set_status("alert", "archived")

    assert await reader_of(run.state).towards(archived, limit=5) == ProgressPage([], has_more=False)


def run_near_thresholds() -> EngineRun:
    run = EngineRun(make_meter(), make_meter("seats"), make_meter("off", status="active"))
    run.create(make_alert("any", gte=10))
    run.create(make_alert("own", gte=8, customer="cus_a"))
    run.create(make_alert("seats", gte=4, meter="seats"))
    run.create(make_alert("silent", gte=2, meter="seats"))
    run.create(make_alert("off", gte=2, meter="off"))
    for customer, value, meter in (
        ("cus_a", "6", "requests"),
        ("cus_b", "5", "requests"),
        ("cus_b", "1", "seats"),
        ("cus_a", "1", "off"),
    ):
        run.use(value, customer=customer, meter=meter)
    run.set_status("silent", "inactive")
    run.state.put_meter(make_meter("off", status="inactive"))
    run.merge()
    return run


async def test_the_nearest_are_told_of_all_alerts_that_may_fire() -> None:
    run = run_near_thresholds()
    reader = reader_of(run.state)

    everywhere = await reader.nearest(livemode=False, limit=5)
    seats = await reader.nearest(livemode=False, limit=5, meter=make_meter("seats").id)

    assert everywhere.complete
    assert [(p.customer, p.alert.title) for p in everywhere.items] == [
        ("cus_a", "own"),
        ("cus_b", "any"),
        ("cus_b", "seats"),
    ]
    assert [p.customer for p in seats.items] == ["cus_b"]
    assert (await reader.nearest(livemode=True, limit=5)).items == []


@pytest.mark.parametrize("read_max", [-1, 2])
async def test_the_nearest_say_when_not_all_were_looked_at(read_max: int) -> None:
    reader = reader_of(run_near_thresholds().state, nearest_read_max=read_max)

    assert not (await reader.nearest(livemode=False, limit=5)).complete


async def test_what_takes_long_to_look_for_is_shown_as_it_is_now_and_looked_for_behind() -> None:
    run = run_near_thresholds()
    reader = reader_of(run.state, tick_ns=6_000_000)
    await reader.nearest(livemode=False, limit=2)

    run.use("5", customer="cus_b")
    run.set_status("own", "archived")
    run.use("3", customer="cus_b", meter="seats")
    run.merge()

    found = await reader.nearest(livemode=False, limit=2)
    assert found.items == [], "one triggered, the other's alert is archived"
    while not found.items:
        await asyncio.sleep(0)
        found = await reader.nearest(livemode=False, limit=2)
    assert [(p.customer, format_value(p.usage)) for p in found.items] == [("cus_a", "6")]


async def test_deleted_customers_are_not_near_to_anything() -> None:
    run = run_near_thresholds()
    run.state.remove_customer(CustomerId("cus_a"), livemode=False)

    found = await reader_of(run.state).nearest(livemode=False, limit=5)

    assert {progress.customer for progress in found.items} == {"cus_b"}


def test_a_customer_sees_every_alert_that_watches_it() -> None:
    run = run_near_thresholds()
    run.use("9", customer="cus_a")

    found = reader_of(run.state).of_customer(CustomerId("cus_a"), livemode=False)

    assert [(p.alert.title, format_value(p.usage), p.triggered) for p in found] == [
        ("off", "1", False),
        ("seats", "0", False),
        ("silent", "0", False),
        ("own", "15", True),
        ("any", "15", True),
    ]
