"""Usage over time against the slow reference, and its bounds. Rules C3, C5, C6, C7."""

import asyncio
from typing import TypeVar, cast

import pytest
from hypothesis import given, note
from hypothesis import strategies as st

from meterbell.engine.series import STEP_SECONDS, Step, start_of
from meterbell.engine.state import is_plain
from meterbell.engine.table import WHOLE_MAX
from meterbell.engine.value import SCALE
from meterbell.errors import InvalidParamError
from meterbell.ids import CustomerId
from meterbell.insight.series import Series, SeriesReader, most_first
from meterbell.store.base import Store
from tests.builders import DAY, HOUR, NOW, EngineRun, make_meter
from tests.hypothesis_profiles import load_profile, part_of_examples
from tests.unit.engine.operations import (
    CUSTOMERS,
    START,
    Operation,
    World,
    cuts,
    resolve,
    sequences,
    worlds,
)
from tests.unit.engine.playing import play_on_engine, play_on_reference, scaled
from tests.unit.insight.fakes import FakeStore, TickingClock

load_profile()

K = TypeVar("K")
MUCH_MS = 10_000
EVERYBODY = (*CUSTOMERS, "cus_unknown")


def reader_of(run: EngineRun, *, tick_ms: int = 0) -> SeriesReader:
    clock = TickingClock(run.now_ms, tick_ms=tick_ms)
    return SeriesReader(cast("Store", FakeStore(run)), run.state, clock)


def values(series: Series) -> dict[int, int]:
    """Return the points with usage, by their start."""
    return {point.start: point.value for point in series.points if point.value is not None}


def used_only(amounts: dict[K, int]) -> dict[K, int]:
    """Return what is not 0: usage that was cancelled leaves nothing or a 0."""
    return {key: amount for key, amount in amounts.items() if amount}


@part_of_examples(20)
@given(
    world=worlds,
    drawn=sequences,
    cut=cuts,
    stores=cuts,
    step=st.sampled_from(["hour", "day", "week"]),
    back=st.integers(0, 45),
)
def test_c5_c6_c7_usage_over_time_is_what_the_rules_define(
    world: World, drawn: list[Operation], *, cut: int, stores: int, step: Step, back: int
) -> None:
    operations = resolve(world, drawn)
    note("\n".join(map(str, [world, *operations])))
    run, _ = play_on_engine(world, operations, cut=cut, stores=stores)
    reference, _ = play_on_reference(world, operations)
    reader = reader_of(run)
    start, end = START - back * DAY, START + 2 * DAY
    seconds = STEP_SECONDS[step]
    begins = range(start_of(start, step), end, seconds)

    for (livemode, name), ref_meter in reference.meters.items():
        meter = run.state.meters_by_event_name[livemode, name]
        together: dict[int, int] = {}
        used: dict[str, int] = {}
        for customer in EVERYBODY:
            named = CustomerId(customer)
            expected = {
                at: scaled(found[0][2])
                for at in begins
                if (
                    found := reference.summary(
                        ref_meter, customer, start=at, end=at + seconds, window=None
                    )
                )
            }
            asked = reader.of_customer(meter, named, start=start, end=end, step=step)
            assert values(asyncio.run(asked)) == expected
            for at, value in expected.items():
                together[at] = together.get(at, 0) + value
            whole = reference.summary(
                ref_meter, customer, start=begins[0], end=begins[-1] + seconds, window=None
            )
            if whole:
                used[customer] = scaled(whole[0][2])
        if is_plain(meter):
            ask = reader.of_all(meter, start=start, end=end, step=step, wait_ms=MUCH_MS)
            told = values(asyncio.run(ask))
            assert {at: v for at, v in told.items() if v} == {
                a: v for a, v in together.items() if v
            }
            top = asyncio.run(
                reader.top(
                    meter, start=begins[0], end=begins[-1] + seconds, limit=9, wait_ms=MUCH_MS
                )
            )
            assert top.complete
            assert {c: v for c, v in top.customers if v} == {c: v for c, v in used.items() if v}
            assert [v for _, v in top.customers] == sorted(
                (v for _, v in top.customers), reverse=True
            )


def run_over_days() -> EngineRun:
    run = EngineRun(customers=("cus_a", "cus_b"))
    for hour in range(48):
        run.use("1", customer="cus_a", timestamp=run.now_ms // 1000)
        run.use("2", customer="cus_b", timestamp=run.now_ms // 1000)
        run.advance(HOUR)
        if hour % 20 == 0:
            run.store_hours()
    return run


async def test_stored_hours_are_summed_up_once() -> None:
    run = run_over_days()
    reader = reader_of(run)
    asked = {"start": NOW, "end": NOW + 3 * DAY, "wait_ms": MUCH_MS}

    first = await reader.of_all(make_meter(), step="day", **asked)
    run.use("5", customer="cus_a", timestamp=NOW)
    run.merge()
    run.store_hours()
    again = await reader.of_all(make_meter(), step="day", **asked)

    assert values(first) == {NOW: 72 * SCALE, NOW + DAY: 72 * SCALE}
    assert values(again) == {NOW: 77 * SCALE, NOW + DAY: 72 * SCALE}
    earlier = await reader.of_all(
        make_meter(), start=NOW - DAY, end=NOW + DAY, step="day", wait_ms=MUCH_MS
    )
    assert values(earlier) == {NOW: 77 * SCALE}


async def test_without_time_it_is_said_that_nothing_is_told_yet_and_reading_goes_on() -> None:
    reader = reader_of(run_over_days())
    meter = make_meter()

    told = await reader.of_all(meter, start=NOW, end=NOW + 2 * DAY, step="day", wait_ms=0)
    top = await reader.top(meter, start=NOW, end=NOW + 2 * DAY, limit=2, wait_ms=0)

    assert (told.complete, top.complete) == (False, False)
    assert values(told) == {}
    while not told.complete:
        told = await reader.of_all(meter, start=NOW, end=NOW + 2 * DAY, step="day", wait_ms=100)
    assert values(told) == {NOW: 72 * SCALE, NOW + DAY: 72 * SCALE}
    users = await reader.users(meter, start=NOW, end=NOW + 2 * DAY)
    assert users == [("cus_b", 96 * SCALE), ("cus_a", 48 * SCALE)]


async def test_what_takes_long_to_read_is_read_a_tenth_of_the_time() -> None:
    run = run_over_days()
    clock = TickingClock(run.now_ms, tick_ms=10)
    reader = SeriesReader(cast("Store", FakeStore(run)), run.state, clock)
    asked = {"start": NOW, "end": NOW + 3 * DAY, "wait_ms": MUCH_MS}
    await reader.of_all(make_meter(), step="day", **asked)
    run.use("1", customer="cus_a", timestamp=NOW)
    run.merge()

    told = [values(await reader.of_all(make_meter(), step="day", **asked)) for _ in range(12)]

    days = [found[NOW] // SCALE for found in told]
    assert days[0] == 72
    assert days[-1] == 73


async def test_c3_hours_that_no_row_can_hold_are_told_exactly() -> None:
    run = EngineRun()
    for _ in range(2500):
        run.use("999999999999999.5", customer="cus_a")
    run.use("1", customer="cus_b")
    run.merge()
    assert WHOLE_MAX < 2500 * 10**15

    told = await reader_of(run).of_all(
        make_meter(), start=NOW, end=NOW + HOUR, step="hour", wait_ms=MUCH_MS
    )
    top = await reader_of(run).top(
        make_meter(), start=NOW, end=NOW + HOUR, limit=1, wait_ms=MUCH_MS
    )

    exact = 2500 * (10**15 * SCALE - SCALE // 2)
    assert [point.value for point in told.points] == [exact + SCALE]
    assert top.customers == [("cus_a", exact)]


amounts = st.integers(-(2**100), 2**100) | st.integers(-2, 2) | st.sampled_from([2**62, -(2**62)])


@given(used=st.dictionaries(st.text(max_size=3).map(CustomerId), amounts))
def test_all_who_used_something_stand_most_first_and_equal_ones_by_name(
    used: dict[CustomerId, int],
) -> None:
    wanted = sorted(used.items(), key=lambda item: (-item[1], item[0]))

    assert most_first(list(used), list(used.values())) == wanted


def test_very_many_who_used_the_same_stand_by_name() -> None:
    names = [CustomerId(f"cus_{number * 7919 % 5003}") for number in range(5003)]

    assert most_first(names, [5] * 5003) == [(name, 5) for name in sorted(names)]


def test_weeks_begin_on_monday() -> None:
    # 2026-01-01 was a Thursday.
    assert start_of(NOW, "week") == NOW - 3 * DAY
    assert start_of(NOW - 3 * DAY, "week") == NOW - 3 * DAY
    assert start_of(NOW - 3 * DAY - 1, "week") == NOW - 10 * DAY


async def test_ranges_have_a_bound_and_meters_must_add_up() -> None:
    run = EngineRun(make_meter(formula="last"))
    run.merge()
    reader, meter = reader_of(run), make_meter(formula="last")
    customer = CustomerId("cus_a")

    with pytest.raises(InvalidParamError, match="longer step"):
        await reader.of_customer(meter, customer, start=0, end=2001 * HOUR, step="hour")
    with pytest.raises(InvalidParamError, match="after start"):
        await reader.of_customer(meter, customer, start=NOW, end=NOW, step="day")
    with pytest.raises(InvalidParamError, match="one customer"):
        await reader.of_all(meter, start=NOW, end=NOW + DAY, step="day", wait_ms=1)
    with pytest.raises(InvalidParamError, match="one customer"):
        await reader.top(meter, start=NOW, end=NOW + DAY, limit=1, wait_ms=MUCH_MS)
    empty = await reader.of_customer(meter, customer, start=0, end=2000 * HOUR, step="hour")
    assert len(empty.points) == 2000
