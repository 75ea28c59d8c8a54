"""Usage of a meter by all customers, told by its totals at each hour."""

from meterbell.dashboard.usage import Usage, usage_of
from meterbell.engine.counter import Counter
from meterbell.engine.table import CounterTable
from meterbell.engine.totals import total_of
from meterbell.engine.value import SCALE
from meterbell.ids import MeterId
from meterbell.ledger.totals import HOUR_MS, KEPT_HOURS, write_totals
from meterbell.records import MeterHour
from tests.unit.api.running import Api


async def note(api: Api) -> None:
    await api.services.committer.execute(write_totals)


def hour_of(api: Api) -> int:
    return api.clock.now_ms() // HOUR_MS


def usage(api: Api, meter: str, *, hours: int) -> Usage:
    state = api.services.state
    found = state.meters[MeterId(meter)]
    total = total_of(state.table, state.meter_numbers[found.id])
    return usage_of(api.services, found, total, since=hour_of(api) - hours + 1)


def whole(found: Usage) -> list[int]:
    return [value // SCALE for value in found.by_hour]


async def test_each_hour_shows_what_came_in_during_it(api: Api) -> None:
    meter = await api.meter()
    for customer in ("cus_a", "cus_b"):
        await api.customer(customer)
    await api.use("5")
    for value in ("7", "11"):
        api.clock.advance(seconds=3600)
        await note(api)
        await api.use(value, customer="cus_b")

    found = usage(api, meter, hours=4)

    assert whole(found) == [0, 5, 7, 11]
    now = hour_of(api)
    assert found.between(now - 1, now + 1) == 18 * SCALE
    assert found.between(now - 100, now - 1) == 5 * SCALE


async def test_hours_in_which_no_server_ran_show_nothing(api: Api) -> None:
    meter = await api.meter()
    await api.customer()
    await api.use("5")
    api.clock.advance(seconds=3 * 3600)
    await note(api)
    await api.use("2")

    assert whole(usage(api, meter, hours=4)) == [5, 0, 0, 2]


async def test_a_start_within_the_hour_changes_no_total(api: Api) -> None:
    meter = await api.meter()
    await api.customer()
    await note(api)
    await api.use("5")
    await note(api)
    assert whole(usage(api, meter, hours=1)) == [5]
    api.clock.advance(seconds=3600)
    await note(api)
    await api.use("1")
    await note(api)

    assert whole(usage(api, meter, hours=2)) == [5, 1]


async def test_what_was_used_before_totals_were_written_belongs_to_no_hour(api: Api) -> None:
    meter = await api.meter()
    await api.customer()
    api.clock.advance(seconds=5 * 3600)
    await api.use("100")
    await note(api)
    await api.use("1")

    assert whole(usage(api, meter, hours=3)) == [0, 0, 1]


async def test_totals_are_kept_for_a_year_and_a_month(api: Api) -> None:
    await api.meter()
    api.clock.advance(seconds=3600)
    await note(api)
    api.clock.advance(seconds=(KEPT_HOURS + 1) * 3600)
    await note(api)

    (kept,) = api.services.store.reader.find(MeterHour)
    assert kept.hour == hour_of(api)


def test_a_total_is_exact_beyond_64_bits_and_below_one() -> None:
    table = CounterTable()
    meter, other = table.add_meter(plain=True), table.add_meter(plain=True)
    totals = [2**61 * SCALE - 1, -1, 10**40, SCALE // 2, *[10**18 * SCALE] * 20]
    for customer, total in enumerate(totals):
        table.store(table.add(meter, customer), Counter(total=total))
        table.store(table.add(other, customer), Counter(total=1))

    assert total_of(table, meter) == sum(totals)
    assert total_of(table, other) == len(totals)
