"""Raw meter events older than `retention_days` are dropped; what they added to counters stays."""

import asyncio
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from meterbell.engine import table
from meterbell.engine.model import Formula
from meterbell.engine.value import format_value
from meterbell.errors import InvalidParamError, SettingsError
from meterbell.ids import AlertId, CustomerId
from meterbell.ledger import index, retention
from meterbell.ledger.retention import Retainer, load_retention, verified_until
from tests.builders import DAY, HOUR, NOW, make_alert, make_meter, make_request
from tests.ledger.ledger_run import (
    LedgerRun,
    all_hours,
    delete_checkpoints,
    everything,
    open_ledger,
    open_recovered,
    recovered_state,
)
from tests.ledger.test_recovery import RandomLoad, damage_newest

DAYS = 35


def make_retainer(ledger: LedgerRun, *, days: int | None = DAYS) -> Retainer:
    return Retainer(
        store=ledger.store,
        state=ledger.recovered.state,
        clock=ledger.clock,
        checkpointer=ledger.checkpointer,
        retention_days=days,
    )


async def drop_all(ledger: LedgerRun, *, days: int | None = DAYS) -> None:
    """Take every step that is due: plan, two checkpoints, delete."""
    retainer = make_retainer(ledger, days=days)
    for _ in range(4):
        await retainer.drop(ledger.committer)
    assert load_retention(ledger.store.reader).planned is None


async def prepare(ledger: LedgerRun, formula: Formula = "sum") -> None:
    """Make a meter and a customer."""
    await ledger.create_meter(make_meter(formula=formula))
    await ledger.create_customer("cus_a")


async def use(ledger: LedgerRun, *names: str, at: int | None = None) -> None:
    """Count meter events of one each; `at` in Unix seconds."""
    for name in names:
        request = make_request("1", identifier=name, timestamp=at)
        await ledger.committer.record(request)


def present(ledger: LedgerRun) -> list[int]:
    """Return where meter events stand that the store still finds."""
    last = ledger.store.last_sequence()
    return [place for place in range(1, last + 1) if ledger.store.find_event(place)]


def log_rows(path: Path) -> list[tuple[int, int]]:
    """Return (sequence, kind) of the log's rows."""
    with closing(apsw.Connection(str(path))) as connection:
        return list(connection.execute("SELECT sequence, kind FROM log ORDER BY sequence"))


async def fill(ledger: LedgerRun) -> None:
    """Leave an alert change and usage of four days, two events each; end 36 days after the first.

    Sequences: 1 and 3 are alert changes, the rest are meter events.
    """
    await prepare(ledger)
    await ledger.create_alert(make_alert("three", gte=3))
    await use(ledger, "a")
    await ledger.set_status(AlertId("alrt_three"), "inactive")
    await ledger.set_status(AlertId("alrt_three"), "active")
    await use(ledger, "b")
    for name in ("c", "d", "e"):
        ledger.clock.advance(seconds=DAY)
        await use(ledger, name + "1", name + "2")
    ledger.clock.set((NOW + (DAYS + 1) * DAY) * 1000)


async def test_whole_days_are_dropped_and_nothing_that_was_counted(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    async with open_ledger(path) as ledger:
        await fill(ledger)
        triggers = ledger.triggers()
        ledger.clock.advance(seconds=DAY + HOUR)  # two days are too old, and a part of a third

        await drop_all(ledger)

        assert present(ledger) == [8, 9, 10, 11]
        assert ledger.recovered.state.log_begins == 8
        counter = ledger.recovered.state.counter(make_meter().id, CustomerId("cus_a"))
        assert counter is not None
        assert format_value(counter.total) == "8"
        hours = all_hours(ledger.recovered.state, ledger.store, make_meter().id, "cus_a")
        assert [hours[(NOW + n * DAY) // HOUR][0].events for n in range(4)] == [2, 2, 2, 2]
        assert set(ledger.recovered.state.alerts) == {"alrt_three"}
        assert ledger.triggers() == triggers
        assert len(triggers) == 1
        assert ledger.store.count_events(8) == 4
    # Alert changes stay.
    assert log_rows(path) == [(1, 3), (3, 3), (4, 3), (8, 1), (9, 1), (10, 1), (11, 1)]


async def test_without_the_setting_nothing_is_dropped(tmp_path: Path) -> None:
    async with open_ledger(tmp_path / "m.db") as ledger:
        await fill(ledger)
        ledger.clock.advance(seconds=1000 * DAY)

        await drop_all(ledger, days=None)

        assert len(present(ledger)) == 8


@pytest.mark.parametrize("seconds", [0, DAY - 1])
async def test_a_day_stays_as_long_as_a_part_of_it_is_young_enough(
    tmp_path: Path, seconds: int
) -> None:
    async with open_ledger(tmp_path / "m.db") as ledger:
        await prepare(ledger)
        await use(ledger, "a")
        ledger.clock.set((NOW + DAYS * DAY + seconds) * 1000)

        await drop_all(ledger)
        assert present(ledger) == [1]

        ledger.clock.set((NOW + (DAYS + 1) * DAY) * 1000)
        await drop_all(ledger)
        assert present(ledger) == []


@pytest.mark.parametrize("is_index_lost", [False, True])
@pytest.mark.parametrize("seed", range(4))
async def test_a_start_on_a_trimmed_log_finds_the_live_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, *, is_index_lost: bool
) -> None:
    """Plans, checkpoints and deletions come anywhere between usage and cancellations."""
    monkeypatch.setattr(index, "RECENT_MAX", 60)
    monkeypatch.setattr(table, "BLOCK", 4)
    monkeypatch.setattr(retention, "ROWS_MAX", 7)
    path = tmp_path / "m.db"
    async with open_ledger(path) as ledger:
        load = RandomLoad(ledger, seed)
        retainer = make_retainer(ledger)
        await load.prepare()
        for round_number in range(30):
            await load.run(20)
            ledger.clock.advance(seconds=4 * DAY)
            if round_number % 3 == 0:
                await ledger.checkpointer.save(ledger.committer)
            await asyncio.gather(load.run(20), retainer.drop(ledger.committer))
        await load.run(40)
        live = everything(ledger.recovered.state, ledger.store)
        begins = ledger.recovered.state.log_begins
        assert load_retention(ledger.store.reader).dropped.before > 100
        now = ledger.clock.now_ms() // 1000
    if is_index_lost:
        for file in (tmp_path / "keys").glob("*/*.keys"):
            file.unlink()

    state, _, mismatches = recovered_state(path, now=now)

    assert state == live
    assert mismatches == 0
    assert begins > 100
    async with open_ledger(path, now=now) as ledger:
        for name in ("first", "second"):
            ledger.clock.advance(seconds=DAY)
            await ledger.committer.record(
                make_request("1", customer="cus_0", meter="sum", identifier=name)
            )
        await drop_all(ledger)


async def test_c2_an_identifier_that_still_counts_is_known_when_the_index_is_lost(
    tmp_path: Path,
) -> None:
    path = tmp_path / "m.db"
    async with open_ledger(path) as ledger:
        await fill(ledger)
        await use(ledger, "young")
        await drop_all(ledger)
        now = ledger.clock.now_ms() // 1000
    for file in (tmp_path / "keys").glob("*/*.keys"):
        file.unlink()

    async with open_ledger(path, now=now) as ledger:
        with pytest.raises(Exception, match="already exists with identifier young"):
            await use(ledger, "young")
        await use(ledger, "a")  # counted 36 days ago


async def test_nothing_is_deleted_before_two_checkpoints_hold_it(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    async with open_ledger(path) as ledger:
        await fill(ledger)
        retainer = make_retainer(ledger)
        rows = len(log_rows(path))

        await retainer.drop(ledger.committer)  # the plan
        assert verified_until(ledger.store) == 0
        await retainer.drop(ledger.committer)  # saves one
        assert verified_until(ledger.store) == 0
        await retainer.drop(ledger.committer)  # saves another
        assert verified_until(ledger.store) == ledger.recovered.state.sequence
        assert len(log_rows(path)) == rows
        await retainer.drop(ledger.committer)
        assert len(log_rows(path)) < rows


@pytest.mark.parametrize("damaged", ["positions", "counters/%"])
async def test_nothing_is_deleted_behind_a_damaged_checkpoint(tmp_path: Path, damaged: str) -> None:
    path = tmp_path / "m.db"
    async with open_ledger(path) as ledger:
        await fill(ledger)
        retainer = make_retainer(ledger)
        for _ in range(3):
            await retainer.drop(ledger.committer)
        damage_newest(path, damaged)
        rows = len(log_rows(path))

        await retainer.drop(ledger.committer)

        assert len(log_rows(path)) == rows


async def test_a_plan_alone_needs_no_checkpoint(tmp_path: Path) -> None:
    """Before rows are deleted the whole log can be replayed, and finds what the server found."""
    path = tmp_path / "m.db"
    async with open_ledger(path) as ledger:
        await prepare(ledger)
        await use(ledger, "a", "b")
        await ledger.cancel("a")
        ledger.clock.advance(seconds=(DAYS + 1) * DAY)
        await use(ledger, "c")
        await make_retainer(ledger).drop(ledger.committer)
        await use(ledger, "later")
        assert ledger.recovered.state.log_begins == 4
        live = everything(ledger.recovered.state, ledger.store)
        now = ledger.clock.now_ms() // 1000
    delete_checkpoints(path)

    state, replayed, mismatches = recovered_state(path, now=now)

    assert state == live
    assert (replayed, mismatches) == (5, 0)


async def test_a_start_without_a_usable_checkpoint_is_refused_in_plain_words(
    tmp_path: Path,
) -> None:
    path = tmp_path / "m.db"
    async with open_ledger(path) as ledger:
        await fill(ledger)
        await drop_all(ledger)
        live = everything(ledger.recovered.state, ledger.store)
        now = ledger.clock.now_ms() // 1000
    damage_newest(path, "positions")
    assert recovered_state(path, now=now)[0] == live
    delete_checkpoints(path)

    with pytest.raises(SettingsError, match="received before 2026-01-02 were dropped") as refused:
        open_recovered(path, now=now)

    assert "Restore the data folder from a backup" in str(refused.value)


async def test_a_few_rows_are_deleted_at_a_time_and_the_rest_after_a_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "ROWS_MAX", 1)
    path = tmp_path / "m.db"
    async with open_ledger(path) as ledger:
        await fill(ledger)
        ledger.clock.advance(seconds=DAY)
        await drop_all(ledger)
        live = everything(ledger.recovered.state, ledger.store)
        now = ledger.clock.now_ms() // 1000
    # As a crash in the middle of it leaves the log.
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute("INSERT INTO log SELECT 6, 1, 1, 0, data FROM log WHERE sequence = 8")
    async with open_ledger(path, now=now) as ledger:
        assert everything(ledger.recovered.state, ledger.store) == live
        await drop_all(ledger)

    assert [place for place, kind in log_rows(path) if kind == 1] == [8, 9, 10, 11]


async def test_c6_a_dropped_event_is_cancelled_no_more(tmp_path: Path) -> None:
    async with open_ledger(tmp_path / "m.db") as ledger:
        await fill(ledger)
        await ledger.cancel("c1")
        with pytest.raises(InvalidParamError) as unknown:
            await ledger.cancel("unknown")
        ledger.clock.advance(seconds=DAY)
        await drop_all(ledger)

        with pytest.raises(InvalidParamError) as dropped:
            await ledger.cancel("a")

        assert dropped.value.code == unknown.value.code == "resource_missing"
        assert dropped.value.message == unknown.value.message.replace("unknown", "a")
        assert ledger.recovered.state.cancelled == set()


@pytest.mark.parametrize("is_started_anew", [False, True])
async def test_c6_a_cancellation_ends_where_the_log_ends(
    tmp_path: Path, *, is_started_anew: bool
) -> None:
    """An hour's events of a `last` meter are looked through as far as they are kept."""
    path = tmp_path / "m.db"
    async with open_ledger(path) as ledger:
        await prepare(ledger, "last")
        await use(ledger, "old", at=NOW)
        ledger.clock.advance(seconds=DAY)
        await use(ledger, "late", at=NOW + 60)  # the same hour, received a day later
        await use(ledger, "later", at=NOW + 30)
        ledger.clock.set((NOW + (DAYS + 1) * DAY) * 1000)
        await drop_all(ledger)
        now = ledger.clock.now_ms() // 1000
        live = None if is_started_anew else await cancel_both(ledger)
    if is_started_anew:
        async with open_ledger(path, now=now) as ledger:
            live = await cancel_both(ledger)

    assert recovered_state(path, now=now)[0] == live


async def cancel_both(ledger: LedgerRun) -> object:
    """Cancel what is left of an hour; return the state then."""
    await ledger.cancel("late")
    await ledger.cancel("later")
    counter = ledger.recovered.state.counter(make_meter().id, CustomerId("cus_a"))
    assert counter is not None
    assert (counter.total, counter.bucket(NOW // HOUR).newest) == (0, None)
    return everything(ledger.recovered.state, ledger.store)


async def test_an_empty_log_has_nothing_to_drop(tmp_path: Path) -> None:
    async with open_ledger(tmp_path / "m.db") as ledger:
        ledger.clock.advance(seconds=1000 * DAY)

        await drop_all(ledger)

        assert load_retention(ledger.store.reader) == retention.Retention()
        assert ledger.store.size_bytes() > 0
