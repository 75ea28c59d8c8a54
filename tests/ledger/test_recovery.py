"""The state after a start equals the one before: with checkpoints, without, with damaged ones."""

import asyncio
from dataclasses import replace
from itertools import count
from pathlib import Path
from random import Random  # noqa: TID251 - seeded, so that a failure can be repeated

import apsw
import pytest

from meterbell.app import KEYS_FOLDER
from meterbell.engine import table
from meterbell.engine.model import AlertStatus, Formula, UsageRequest
from meterbell.errors import RequestError
from meterbell.ids import AlertId
from meterbell.ledger import checkpoints, index
from tests.builders import HOUR, make_alert, make_meter, make_request
from tests.ledger.ledger_run import (
    LedgerRun,
    delete_checkpoints,
    everything,
    open_ledger,
    open_recovered,
    recovered_state,
)

STATUSES: tuple[AlertStatus, ...] = ("active", "inactive", "inactive", "archived")
FORMULAS: tuple[Formula, ...] = ("sum", "count", "last")


class RandomLoad:
    """Random operations in random concurrency, from one seed."""

    def __init__(self, ledger: LedgerRun, seed: int) -> None:
        self._ledger = ledger
        self._random = Random(seed)
        self._alerts: list[AlertId] = []
        self._seed = seed
        self._numbers = count()

    async def prepare(self) -> None:
        for formula in FORMULAS:
            await self._ledger.create_meter(make_meter(formula, formula=formula))
        await self._ledger.create_meter(make_meter("windowed", window="hour"))
        for number in range(6):
            await self._ledger.create_customer(f"cus_{number}")

    async def run(self, operations: int) -> None:
        for _ in range(operations // 20):
            burst = [self._operation(next(self._numbers)) for _ in range(20)]
            for outcome in await asyncio.gather(*burst, return_exceptions=True):
                if isinstance(outcome, Exception) and not isinstance(outcome, RequestError):
                    raise outcome

    async def _operation(self, number: int) -> None:
        random = self._random
        meter = random.choice([*FORMULAS, "windowed"])
        match random.randrange(12):
            case 0:
                alert = make_alert(
                    f"{self._seed}_{number}",
                    gte=random.randrange(1, 60),
                    customer=random.choice([None, None, "cus_1"]),
                    baseline=random.choice(["creation", "lifetime"]),
                    meter=meter,
                )
                evaluate = alert.baseline == "lifetime" and random.random() < 0.5
                self._alerts.append(alert.id)
                await self._ledger.create_alert(alert, evaluate=evaluate)
            case 1 if self._alerts:
                status = random.choice(STATUSES)
                await self._ledger.set_status(random.choice(self._alerts), status)
            case 2:
                await self._ledger.cancel(f"id_{random.randrange(number + 1)}", event_name=meter)
            case 3 | 4:
                await self._ledger.stream([self._streamed(number) for _ in range(5)])
            case _:
                await self._ledger.committer.record(self._usage(meter, number))

    def _streamed(self, number: int) -> UsageRequest:
        """Return usage of any meter; its identifier may come twice in the batch."""
        meter = self._random.choice([*FORMULAS, "windowed"])
        name = f"id_{number}_{self._random.randrange(20)}"
        return replace(
            self._usage(meter, number), request_key=b"", request_digest=b"", identifier=name
        )

    def _usage(self, meter: str, number: int) -> UsageRequest:
        random = self._random
        request = make_request(
            f"{random.randrange(-5, 20)}.{random.randrange(100)}",
            customer=f"cus_{random.randrange(6)}",
            meter=meter,
            identifier=f"id_{number if random.random() < 0.9 else random.randrange(number + 1)}",
            timestamp=self._ledger.clock.now_ms() // 1000 - random.randrange(4 * HOUR),
        )
        return replace(request, request_key=number.to_bytes(16), request_digest=b"12345678")


@pytest.mark.parametrize("seed", range(12))
async def test_replay_equals_the_live_state_and_triggers_nothing_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(index, "RECENT_MAX", 60)
    monkeypatch.setattr(table, "BLOCK", 4)
    if seed % 2:  # closed hours go to the store with each checkpoint
        monkeypatch.setattr(checkpoints, "HOURS_MAX", 1)
    path = tmp_path / "m.db"
    async with open_ledger(path) as ledger:
        load = RandomLoad(ledger, seed)
        await load.prepare()
        await load.run(200)
        await ledger.checkpointer.save(ledger.committer)
        await load.run(100)
        # Usage between the pieces of one checkpoint: they stand for different places.
        await asyncio.gather(load.run(100), ledger.checkpointer.save(ledger.committer))
        await load.run(60)
        live = everything(ledger.recovered.state, ledger.store)
        entries = ledger.store.last_sequence()
        triggers = ledger.triggers()
        assert triggers
    with_checkpoint = recovered_state(path)
    delete_checkpoints(path)
    without_checkpoint = recovered_state(path)

    assert with_checkpoint[0] == live
    assert with_checkpoint[1] < entries
    assert without_checkpoint == (live, entries, 0)
    assert with_checkpoint[2] == 0
    store, again = open_recovered(path)
    again.indexes.close()
    assert sorted(ledger_triggers := store.reader.find(type(triggers[0])), key=repr) == sorted(
        triggers, key=repr
    )
    assert len(ledger_triggers) == len(triggers)
    store.close()


async def test_c2_identifiers_are_known_after_a_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "RECENT_MAX", 10)
    path = tmp_path / "m.db"
    async with open_ledger(path) as ledger:
        await ledger.create_meter(make_meter())
        await ledger.create_customer("cus_a")
        for number in range(95):
            await ledger.committer.record(make_request("1", identifier=f"id_{number}"))
            if number % 12 == 0:
                await ledger.checkpointer.save(ledger.committer)
        ledger.recovered.indexes.settle()
        assert ledger.recovered.indexes.keys[1] >= 80

    async with open_ledger(path) as ledger:
        outcomes = await asyncio.gather(
            *(
                ledger.committer.record(make_request("1", identifier=f"id_{number}"))
                for number in range(95)
            ),
            return_exceptions=True,
        )

        assert all(isinstance(outcome, RequestError) for outcome in outcomes)
        assert ledger.store.last_sequence() == 95


@pytest.mark.parametrize("storing", [False, True])
@pytest.mark.parametrize("damaged", ["counters/%", "counters/0", "positions", "%", ""])
async def test_a_damaged_checkpoint_is_noticed_and_replaced_by_replay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damaged: str, *, storing: bool
) -> None:
    if storing:
        monkeypatch.setattr(checkpoints, "HOURS_MAX", 1)
    monkeypatch.setattr(index, "RECENT_MAX", 60)
    monkeypatch.setattr(table, "BLOCK", 4)
    path = tmp_path / "m.db"
    async with open_ledger(path) as ledger:
        load = RandomLoad(ledger, 99)
        await load.prepare()
        await load.run(100)
        await ledger.checkpointer.save(ledger.committer)
        await load.run(100)
        await ledger.checkpointer.save(ledger.committer)
        # A thread writes keys behind, and merges what it wrote.
        ledger.recovered.indexes.settle()
        live = everything(ledger.recovered.state, ledger.store)
        entries = ledger.store.last_sequence()
    if damaged:
        damage_newest(path, damaged)
    else:
        files = list((tmp_path / KEYS_FOLDER).glob("identifiers-test/*.keys"))
        assert files
        for file in files:
            data = bytearray(file.read_bytes())
            data[-1] ^= 1
            file.write_bytes(data)

    state, replayed, mismatches = recovered_state(path)

    assert state == live
    assert mismatches == 0
    if not damaged:
        assert replayed == entries


@pytest.mark.parametrize("storing", [False, True])
async def test_a_lost_piece_is_replaced_by_replay_of_the_whole_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, storing: bool
) -> None:
    if storing:
        monkeypatch.setattr(checkpoints, "HOURS_MAX", 1)
    monkeypatch.setattr(table, "BLOCK", 4)
    path = tmp_path / "m.db"
    async with open_ledger(path) as ledger:
        load = RandomLoad(ledger, 5)
        await load.prepare()
        await load.run(100)
        await ledger.checkpointer.save(ledger.committer)
        live = everything(ledger.recovered.state, ledger.store)
        entries = ledger.store.last_sequence()
    connection = apsw.Connection(str(path))
    connection.execute("DELETE FROM checkpoint WHERE name = 'counters/0'")
    connection.close()

    assert recovered_state(path) == (live, entries, 0)


def damage_newest(path: Path, names: str) -> None:
    """Overwrite the newest generation of some pieces with zeros."""
    connection = apsw.Connection(str(path))
    connection.execute(
        "UPDATE checkpoint SET data = zeroblob(length(data)) WHERE name LIKE ? AND generation = ("
        "SELECT max(generation) FROM checkpoint AS newest WHERE newest.name = checkpoint.name)",
        (names,),
    )
    assert connection.changes()
    connection.close()


async def test_a4_triggers_are_not_repeated_after_a_start(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    async with open_ledger(path) as ledger:
        await ledger.create_meter(make_meter())
        await ledger.create_customer("cus_a")
        await ledger.create_alert(make_alert(gte=2))
        await ledger.committer.record(make_request("5"))
        assert len(ledger.triggers()) == 1
    for _ in range(2):
        async with open_ledger(path) as ledger:
            await ledger.committer.record(make_request("5"))
            await ledger.set_status(AlertId("alrt_alert"), "inactive")
            await ledger.set_status(AlertId("alrt_alert"), "active")
            await ledger.committer.record(make_request("5"))
            assert len(ledger.triggers()) == 1
        delete_checkpoints(path)
