"""Summaries of hours that left memory for the store. Rules C6, C7."""

from functools import partial
from typing import Any

import pytest

from meterbell.ledger.hours import split_hours
from meterbell.ledger.transaction import Transaction
from meterbell.store.base import StoredHours
from tests.builders import DAY, HOUR, NOW
from tests.unit.api.running import Api


async def store_hours(api: Api) -> int:
    """Put all closed hours into the store, as a checkpoint does it; return how many rows."""
    state, store = api.services.state, api.services.store
    table = state.table
    rows: list[StoredHours] = []

    def command(transaction: Transaction) -> None:
        for block in table.blocks_with_hours():
            rows.extend(split_hours(table.leave_hours(block), state.sequence))
            transaction.after_commit(partial(table.hours.arrive, block, state.sequence))
        for row in rows:
            store.save_hours(row)

    await api.services.committer.execute(command)
    table.hours.compact()
    return len(rows)


async def windows(api: Api, meter: str, **params: Any) -> dict[int, float]:  # noqa: ANN401
    wanted = {"customer": "cus_a", "start_time": NOW - DAY, "end_time": NOW + DAY} | params
    reply = await api.get(f"/v1/billing/meters/{meter}/event_summaries", wanted)
    return {window["start_time"]: window["aggregated_value"] for window in reply.body["data"]}


@pytest.fixture
async def meter(api: Api) -> str:
    await api.customer()
    await api.customer("cus_b")
    meter = await api.meter()
    for customer in ("cus_a", "cus_b"):
        for value, hours_ago in (("1", 3), ("2", 2), ("4", 1), ("8", 0)):
            at = NOW - hours_ago * HOUR + 60
            await api.use(value, customer=customer, timestamp=at, identifier=customer + value)
    return meter


async def test_c7_hours_in_the_store_and_in_memory_add_up(api: Api, meter: str) -> None:
    assert await store_hours(api) == 1
    assert api.services.state.table.hours.count == 0

    hourly = await windows(api, meter, value_grouping_window="hour")

    assert hourly == {NOW - 3 * HOUR: 1, NOW - 2 * HOUR: 2, NOW - HOUR: 4, NOW: 8}
    assert await windows(api, meter) == {NOW - DAY: 15}
    assert await windows(api, meter, start_time=NOW - 2 * HOUR, end_time=NOW) == {NOW - 2 * HOUR: 6}


async def test_c7_what_comes_late_for_a_stored_hour_counts_in_it(api: Api, meter: str) -> None:
    await store_hours(api)
    await api.use("16", timestamp=NOW - 2 * HOUR + 120)
    await api.use("32.5", timestamp=NOW - 2 * HOUR + 30)
    assert (await windows(api, meter, value_grouping_window="hour"))[NOW - 2 * HOUR] == 50.5

    assert await store_hours(api) == 1
    await api.use("64", timestamp=NOW - 2 * HOUR + 180)

    assert (await windows(api, meter, value_grouping_window="hour"))[NOW - 2 * HOUR] == 114.5
    inside = {"start_time": NOW - 2 * HOUR + 60, "end_time": NOW - 2 * HOUR + 180}
    assert await windows(api, meter, **inside) == {NOW - 2 * HOUR + 60: 18}


async def test_c6_a_cancelled_event_leaves_its_stored_hour(api: Api, meter: str) -> None:
    await store_hours(api)

    cancel = {"event_name": "requests", "type": "cancel", "cancel": {"identifier": "cus_a2"}}
    await api.made("/v1/billing/meter_event_adjustments", cancel)

    expected = {NOW - 3 * HOUR: 1, NOW - HOUR: 4, NOW: 8}
    assert await windows(api, meter, value_grouping_window="hour") == expected
    await store_hours(api)
    assert await windows(api, meter, value_grouping_window="hour") == expected
    inside = {"start_time": NOW - 2 * HOUR + 60, "end_time": NOW - HOUR + 120}
    assert await windows(api, meter, **inside) == {NOW - 2 * HOUR + 60: 4}


async def test_a_damaged_row_is_noticed_and_told(api: Api, meter: str) -> None:
    store = api.services.store
    await store_hours(api)
    (row,) = store.read_hours([(0, -1, 2**40)], first=0, last=2**40)
    data = bytearray(row.data)
    data[-9] ^= 1
    damaged = row._replace(sequence=row.sequence - 1, data=bytes(data))
    with store.transaction():
        store.save_hours(damaged)

    reply = await api.get(
        f"/v1/billing/meters/{meter}/event_summaries",
        {"customer": "cus_a", "start_time": NOW - DAY, "end_time": NOW},
    )

    assert reply.status == 503
    assert "damaged" in reply.error["message"]
    assert "backup" in reply.error["message"]
