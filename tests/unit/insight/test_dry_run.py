"""Dry runs in turns, with bounds, and what they tell beside the customers. Rules A2, A3."""

import asyncio

import pytest

from meterbell.engine.dry_run import Candidate, DryRun
from meterbell.engine.value import SCALE, format_value
from meterbell.errors import InvalidParamError
from meterbell.ids import CustomerId
from meterbell.insight.dry_run import LIMIT_MAX, DryRunner, Trial
from tests.builders import DAY, HOUR, NOW, EngineRun, make_meter
from tests.unit.insight.fakes import FakeStore, TickingClock, dry_runner


class Bench:
    """A run of the engine, and dry runs over it."""

    def __init__(self, *, customers: int = 4, tick_ms: int = 0) -> None:
        names = [f"cus_{number}" for number in range(customers)]
        self.run = EngineRun(make_meter(), make_meter("other"), customers=names)
        self.store = FakeStore(self.run)
        self.clock = TickingClock(self.run.now_ms, tick_ms=tick_ms)
        self.runner: DryRunner = dry_runner(self.run, self.store, self.clock)

    def use(
        self,
        *values: str,
        customer: int = 0,
        days: float = 0,
        meter: str = "requests",
        identifier: str | None = None,
    ) -> None:
        """Count usage, some days after the one before."""
        self.advance(days)
        self.run.use(*values, customer=f"cus_{customer}", meter=meter, identifier=identifier)
        self.run.merge()

    def advance(self, days: float) -> None:
        """Let time pass."""
        self.run.advance(days * DAY)
        self.clock.set(self.run.now_ms)

    async def ask(
        self,
        gte: int,
        *,
        start: int = NOW,
        customer: str | None = None,
        limit: int = LIMIT_MAX,
        wait_ms: int = 1000,
    ) -> DryRun:
        named = None if customer is None else CustomerId(customer)
        trial = Trial(make_meter(), gte, named, start)
        return await self.runner.run(trial, limit=limit, wait_ms=wait_ms)


def told(found: DryRun) -> list[tuple[str, str, int | None]]:
    return [(c.customer, format_value(c.peak), crossed_at(c)) for c in found.fired]


def crossed_at(candidate: Candidate) -> int | None:
    return None if candidate.crossing is None else candidate.crossing.sequence


async def test_a2_a3_usage_from_the_start_on_counts_and_the_first_event_above_fires() -> None:
    bench = Bench()
    bench.use("100", customer=0)
    bench.use("100", customer=1)
    bench.use("4", customer=0, days=1)
    bench.use("7.5", customer=0, days=1, identifier="reaches")
    bench.use("9", customer=0)
    bench.use("3", customer=2)
    bench.use("50", customer=0, meter="other")

    found = await bench.ask(10, start=NOW + DAY)

    assert found.complete
    assert (found.customers, found.count) == (2, 1)
    assert told(found) == [("cus_0", "20.5", 4)]
    crossing = found.fired[0].crossing
    assert crossing is not None
    assert (crossing.identifier, format_value(crossing.value)) == ("reaches", "11.5")
    assert crossing.received_at_ms == (NOW + 2 * DAY) * 1000
    assert [(c.customer, c.peak) for c in found.near] == [("cus_2", 3 * SCALE)]
    assert list(found.shares) == [0, 0, 0, 1, 0, 0, 0, 0, 0, 0]


async def test_steps_are_utc_days_up_to_the_present() -> None:
    bench = Bench()
    bench.use("10", customer=0, days=0.5)
    bench.use("10", customer=1, days=2)
    bench.use("10", customer=2, days=0.1)
    bench.advance(1)

    found = await bench.ask(10)

    assert [((s.start - NOW) / DAY, (s.end - NOW) / DAY, s.customers) for s in found.steps] == [
        (0, 1, 1),
        (1, 2, 0),
        (2, 3, 2),
        (3, 3.6, 0),
    ]
    assert found.end == found.steps_end == found.steps[-1].end


async def test_another_threshold_reads_nothing_anew() -> None:
    bench = Bench()
    bench.use("3", "3", "3", customer=0)
    await bench.ask(2)
    views = bench.store.views

    found = await bench.ask(5)

    assert (found.count, told(found)) == (1, [("cus_0", "9", 2)])
    assert bench.store.views == views + 1, "only to find the event"
    assert (await bench.ask(5)).fired == found.fired
    assert bench.store.views == views + 1, "which is found once"


async def test_new_usage_is_taken_in_by_the_next_dry_run() -> None:
    bench = Bench()
    bench.use("3", customer=0)
    assert (await bench.ask(5)).count == 0

    bench.use("3", customer=0)
    bench.use("8", customer=1)

    assert told(await bench.ask(5)) == [("cus_1", "8", 3), ("cus_0", "6", 2)]


async def test_a_dry_run_of_one_customer_tells_of_no_other() -> None:
    bench = Bench()
    bench.use("6", customer=0)
    bench.use("7", customer=1, days=1)

    one, other = await bench.ask(7, customer="cus_1"), await bench.ask(7, customer="cus_0")
    none = await bench.ask(7, customer="cus_3")

    assert (one.count, one.customers, told(one)) == (1, 1, [("cus_1", "7", 2)])
    assert [step.customers for step in one.steps] == [0, 1]
    assert (other.count, [c.customer for c in other.near]) == (0, ["cus_0"])
    assert [step.customers for step in other.steps] == [0, 0]
    assert (none.count, none.customers, none.near) == (0, 0, [])


async def test_c6_a_cancelled_event_counts_until_it_is_cancelled() -> None:
    bench = Bench()
    bench.use("12", customer=0, identifier="a")
    bench.run.cancel("a")
    bench.use("6", customer=1, identifier="b")
    bench.run.cancel("b")
    bench.use("5", customer=1)

    found = await bench.ask(10)

    assert told(found) == [("cus_0", "12", 1)]
    assert [(c.customer, format_value(c.peak)) for c in found.near] == [("cus_1", "6")]


async def test_c3_usage_beyond_what_a_row_can_hold_is_told_exactly() -> None:
    bench = Bench()
    for _ in range(2500):
        bench.use("999999999999999.5", customer=0)

    found = await bench.ask(10**18)

    assert found.count == 1
    assert format_value(found.fired[0].peak) == "2499999999999998750"
    assert crossed_at(found.fired[0]) == 1001


@pytest.mark.parametrize("is_young", [True, False])
async def test_without_time_for_all_usage_at_least_what_is_known_is_told(*, is_young: bool) -> None:
    bench = Bench(tick_ms=1)
    if not is_young:
        bench.use("1", identifier="gone", meter="other")
        bench.run.cancel("gone", meter="other")
    for number in range(40):
        bench.use("6", customer=number % 2, days=0.1)

    found = await bench.ask(100, wait_ms=0)

    assert found.complete == is_young, "counters of a young meter know it all"
    if is_young:
        assert (found.count, found.end) == (2, NOW + 4 * DAY)
    else:
        assert (found.count, found.fired) == (0, [])
        assert NOW < found.end < NOW + 2 * DAY
    assert found.steps_end < NOW + 2 * DAY
    assert sum(step.customers for step in found.steps) == 0
    while not found.complete or found.steps_end < NOW + 4 * DAY:
        found = await bench.ask(100, wait_ms=0)
    assert (found.count, sum(step.customers for step in found.steps)) == (2, 2)


async def test_customers_are_told_without_their_event_when_time_is_over() -> None:
    bench = Bench()
    for _ in range(20):
        bench.use("6", customer=0)
    await bench.ask(50)
    bench.clock.tick_ms = 1

    found = await bench.ask(100, wait_ms=0)

    assert found.count == 1
    assert told(found) == [("cus_0", "120", None)]


async def test_those_who_wait_take_turns() -> None:
    bench = Bench(tick_ms=40)
    for number in range(60):
        bench.use("6", customer=number % 4)

    first, second = await asyncio.gather(bench.ask(90), bench.ask(91, wait_ms=900))

    assert first.complete
    assert first.count == 4
    assert not second.complete or second.count == 0


async def test_who_goes_away_leaves_nothing_half_done() -> None:
    bench = Bench()
    for number in range(60):
        bench.use("6", customer=number % 4)
    gone = asyncio.create_task(bench.ask(90))
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone

    assert (await bench.ask(90)).count == 4


async def test_usage_that_retention_dropped_shortens_the_span() -> None:
    bench = Bench()
    bench.use("6", customer=0)
    bench.use("6", customer=0, days=1)
    bench.use("6", customer=0, days=1)
    assert (await bench.ask(6)).start == NOW
    bench.run.state.drop_before(2)

    found = await bench.ask(6)

    assert found.start == NOW + DAY
    assert told(found) == [("cus_0", "12", 2)]


async def test_few_tails_are_kept() -> None:
    bench = Bench()
    for _ in range(8):
        bench.use("6", customer=0, days=1)

    for day in range(8):
        await bench.ask(6, start=NOW + day * DAY)
    views = bench.store.views
    await bench.ask(6, start=NOW + 7 * DAY)
    assert bench.store.views == views
    await bench.ask(6, start=NOW)

    assert bench.store.views == views + 2, "read again, and the event looked for again"


async def test_as_many_customers_are_told_as_were_asked_for() -> None:
    bench = Bench(customers=30)
    for number in range(30):
        bench.use(str(number), customer=number)

    found = await bench.ask(20, limit=2)

    assert [c.customer for c in found.fired] == ["cus_29", "cus_28"]
    assert [c.customer for c in found.near] == ["cus_19", "cus_18"]
    assert (found.count, found.customers) == (10, 30)
    assert list(found.shares) == [2] * 10


async def test_what_came_late_for_hours_in_the_store_is_found_too() -> None:
    bench = Bench()
    for hour in range(48):
        bench.use("1", customer=0, days=1 / 24)
        if hour % 5 == 0:
            bench.run.store_hours()
        if hour % 3 == 0:
            late = NOW + max(hour - 7, 0) * HOUR
            bench.run.use("1", customer="cus_0", timestamp=late)
            bench.run.merge()

    for gte in (1, 10, 29, 30, 64):
        found = await bench.ask(gte)
        assert told(found) == [("cus_0", "64", gte)]


@pytest.mark.parametrize("start", [NOW + 1, NOW - 367 * DAY])
def test_a_start_lies_in_the_past_and_not_too_far(start: int) -> None:
    runner = Bench().runner

    with pytest.raises(InvalidParamError, match="at most 366 days ago"):
        runner.require_start(start, param="start")

    runner.require_start(NOW, param="start")
    runner.require_start(runner.default_start(), param="start")
    assert runner.default_start() == NOW - 30 * DAY
