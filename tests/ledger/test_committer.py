"""The commit queue: one transaction for many, answers after it, one failure harms nobody else."""

import asyncio
import threading
from pathlib import Path

import apsw
import pytest
from typing_extensions import override

from meterbell.engine.decide import Group
from meterbell.engine.model import EventRun, UsageRequest
from meterbell.engine.state import Limits, State
from meterbell.engine.validate import Judged, judge
from meterbell.errors import (
    DuplicateIdentifierError,
    InvalidParamError,
    OverloadedError,
    StoreFailedError,
    StoreUnavailableError,
)
from meterbell.ids import CustomerId
from meterbell.ledger import committer
from meterbell.ledger.transaction import Transaction
from meterbell.records import Customer, Event, WebhookEndpoint
from meterbell.store.sqlite import SqliteStore
from meterbell.store.tables import customer as customer_table
from tests.builders import make_alert, make_meter, make_request
from tests.ledger.ledger_run import LedgerRun, open_ledger


async def prepared(ledger: LedgerRun) -> None:
    await ledger.create_meter(make_meter())
    await ledger.create_customer("cus_a")
    await ledger.create_customer("cus_b")


class FailingStore(SqliteStore):
    """A store whose commits fail from a given moment on, as after a failed sync."""

    failing = False

    @override
    def commit(self) -> None:
        """Fail, like a sync that did not succeed."""
        if self.failing:
            self._rollback()
            raise StoreFailedError("disk I/O error")
        super().commit()


async def test_one_refused_event_does_not_fail_its_neighbours(tmp_path: Path) -> None:
    async with open_ledger(tmp_path / "m.db") as ledger:
        await prepared(ledger)

        outcomes = await asyncio.gather(
            ledger.committer.record(make_request("1", identifier="a")),
            ledger.committer.record(make_request("one", identifier="b")),
            ledger.committer.record(make_request("1", identifier="a")),
            ledger.committer.record(make_request("1", customer="cus_unknown")),
            ledger.committer.record(make_request("2", identifier="c")),
            return_exceptions=True,
        )

        assert [type(outcome).__name__ for outcome in outcomes] == [
            "Recorded",
            "UsageRefusedError",
            "DuplicateIdentifierError",
            "UsageRefusedError",
            "Recorded",
        ]
        assert ledger.store.last_sequence() == 2


async def test_c1_nothing_is_acknowledged_when_the_commit_fails(tmp_path: Path) -> None:
    stores: list[FailingStore] = []

    def make_store(path: Path) -> SqliteStore:
        stores.append(FailingStore(path))
        return stores[0]

    async with open_ledger(tmp_path / "m.db", make_store=make_store) as ledger:
        await prepared(ledger)
        await ledger.committer.record(make_request("1", identifier="before"))
        stores[0].failing = True

        with pytest.raises(StoreUnavailableError):
            await ledger.committer.record(make_request("1", identifier="lost"))

        stores[0].failing = False
        with pytest.raises(StoreUnavailableError):
            await ledger.committer.record(make_request("1", identifier="after"))
        assert len(ledger.failures) == 1
        assert ledger.committer.failed
        assert ledger.store.last_sequence() == 1


async def test_a_full_queue_refuses_instead_of_growing(tmp_path: Path) -> None:
    async with open_ledger(tmp_path / "m.db", queue_max=5) as ledger:
        await prepared(ledger)

        outcomes = await asyncio.gather(
            *(ledger.committer.record(make_request("1")) for _ in range(8)),
            return_exceptions=True,
        )

        refused = [outcome for outcome in outcomes if isinstance(outcome, OverloadedError)]
        assert len(refused) == 3
        assert ledger.store.last_sequence() == 5


async def test_a_failing_command_undoes_only_itself(tmp_path: Path) -> None:
    def fails(transaction: Transaction) -> None:
        transaction.objects.set_meta("half", "done")
        raise InvalidParamError("no")

    def succeeds(transaction: Transaction) -> None:
        transaction.objects.set_meta("whole", "done")

    async with open_ledger(tmp_path / "m.db") as ledger:
        outcomes = await asyncio.gather(
            ledger.committer.execute(fails),
            ledger.committer.execute(succeeds),
            return_exceptions=True,
        )

        assert isinstance(outcomes[0], InvalidParamError)
        assert ledger.store.reader.get_meta("half") is None
        assert ledger.store.reader.get_meta("whole") == "done"


async def test_an_unforeseen_error_before_anything_changed_fails_one_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(state: State, request: UsageRequest, *, now_ms: int) -> Judged:
        if request.identifier == "poison":
            raise ZeroDivisionError
        return judge(state, request, now_ms=now_ms)

    monkeypatch.setattr("meterbell.engine.decide.judge", breaks)
    async with open_ledger(tmp_path / "m.db") as ledger:
        await prepared(ledger)

        outcomes = await asyncio.gather(
            ledger.committer.record(make_request("1", identifier="a")),
            ledger.committer.record(make_request("1", identifier="poison")),
            ledger.committer.record(make_request("1", identifier="b")),
            return_exceptions=True,
        )

        assert isinstance(outcomes[1], ZeroDivisionError)
        assert identifiers(ledger) == ["a", "b"]
        assert not ledger.failures


async def test_an_unforeseen_error_in_the_middle_of_a_change_stops_acknowledging(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m.db"
    async with open_ledger(path) as ledger:
        await prepared(ledger)
        await ledger.committer.record(make_request("1", identifier="before"))
        monkeypatch.setattr(Group, "run_to_extend", None)
        with pytest.raises(StoreUnavailableError):
            await ledger.committer.record(make_request("1", identifier="lost"))
        assert len(ledger.failures) == 1
        monkeypatch.undo()

    async with open_ledger(path) as ledger:
        assert identifiers(ledger) == ["before"]
        await ledger.committer.record(make_request("1", identifier="lost"))


def identifiers(ledger: LedgerRun) -> list[str]:
    """Return the identifiers in the log, in commit order."""
    runs = [entry for entry in ledger.store.read_log(0) if isinstance(entry, EventRun)]
    return [identifier for run in runs for identifier in run.identifiers]


async def test_a5_trigger_event_and_delivery_are_in_the_usage_transaction(tmp_path: Path) -> None:
    stores: list[FailingStore] = []

    def make_store(path: Path) -> SqliteStore:
        stores.append(FailingStore(path))
        return stores[0]

    path = tmp_path / "m.db"
    endpoint = WebhookEndpoint(
        id="we_1",
        livemode=False,
        created=0,
        url="http://127.0.0.1:9009/",
        enabled_events=["*"],
        api_version=None,
        description=None,
        metadata={},
        status="enabled",
        secret="whsec_1",
    )
    async with open_ledger(path, make_store=make_store) as ledger:
        await prepared(ledger)
        await ledger.committer.execute(lambda transaction: transaction.objects.insert(endpoint))
        await ledger.create_alert(make_alert(gte=2))
        await ledger.committer.record(make_request("1"))
        stores[0].failing = True
        with pytest.raises(StoreUnavailableError):
            await ledger.committer.record(make_request("1"))
        assert ledger.triggers() == []
        assert ledger.store.reader.find(Event) == []
        assert ledger.events == []

    async with open_ledger(path) as ledger:
        await ledger.committer.record(make_request("1"))

        (trigger,) = ledger.triggers()
        (event,) = ledger.store.reader.find(Event)
        assert trigger.event == event.id
        assert trigger.value == "2"
        assert [e.id for e in ledger.events] == [event.id]
        assert [(d.event, d.endpoint, d.status) for d in ledger.deliveries] == [
            (event.id, "we_1", "pending")
        ]


async def test_c2_one_identifier_from_many_clients_counts_once(tmp_path: Path) -> None:
    async with open_ledger(tmp_path / "m.db") as ledger:
        await prepared(ledger)

        outcomes = await asyncio.gather(
            *(ledger.committer.record(make_request("1", identifier="same")) for _ in range(64)),
            return_exceptions=True,
        )

        assert sum(isinstance(o, DuplicateIdentifierError) for o in outcomes) == 63
        assert ledger.store.last_sequence() == 1


async def test_a_customer_made_by_usage_and_by_a_command_at_once_is_made_once(
    tmp_path: Path,
) -> None:
    limits = Limits(auto_create_customers=True)
    async with open_ledger(tmp_path / "m.db", limits=limits) as ledger:
        await ledger.create_meter(make_meter())

        outcomes = await asyncio.gather(
            ledger.create_customer("cus_new"),
            ledger.committer.record(make_request("1", customer="cus_new")),
            ledger.committer.record(make_request("1", customer="cus_other")),
            ledger.committer.record(make_request("1", customer="not/an/id")),
            return_exceptions=True,
        )

        assert [type(outcome).__name__ for outcome in outcomes] == [
            "NoneType",
            "Recorded",
            "Recorded",
            "UsageRefusedError",
        ]
        assert not ledger.failures
        assert sorted(c.id for c in ledger.store.reader.find(Customer)) == ["cus_new", "cus_other"]


async def test_usage_does_not_bring_a_deleted_customer_back(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    limits = Limits(auto_create_customers=True)

    def delete(transaction: Transaction) -> None:
        transaction.objects.update(Customer, customer_table.c.id == "cus_a", deleted=True)
        transaction.on_success(
            lambda: transaction.state.remove_customer(CustomerId("cus_a"), livemode=False)
        )

    async with open_ledger(path, limits=limits) as ledger:
        await prepared(ledger)
        await ledger.committer.execute(delete)
        with pytest.raises(InvalidParamError, match="deleted"):
            await ledger.committer.record(make_request("1", customer="cus_a"))

    async with open_ledger(path, limits=limits) as ledger:
        with pytest.raises(InvalidParamError, match="deleted"):
            await ledger.committer.record(make_request("1", customer="cus_a"))


class SlowStore(SqliteStore):
    """A store whose commits wait until they are allowed to go on."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.may_commit = threading.Event()
        self.may_commit.set()
        self.is_committing = threading.Event()

    @override
    def commit(self) -> None:
        """Wait until it is allowed."""
        self.is_committing.set()
        assert self.may_commit.wait(timeout=30), "nobody allowed it"
        super().commit()


async def test_requests_that_wait_at_the_end_are_committed_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(committer, "_SLOW_SYNC_NS", -1)
    stores: list[SlowStore] = []

    def make_store(path: Path) -> SqliteStore:
        stores.append(SlowStore(path))
        return stores[0]

    path = tmp_path / "m.db"
    async with open_ledger(path, make_store=make_store) as ledger:
        await prepared(ledger)
        stores[0].is_committing.clear()
        stores[0].may_commit.clear()
        first = asyncio.create_task(ledger.committer.record(make_request("1", identifier="a")))
        await asyncio.to_thread(stores[0].is_committing.wait, 30)
        waiting = [
            asyncio.create_task(ledger.committer.record(make_request("1", identifier=name)))
            for name in ("b", "c")
        ]
        await asyncio.sleep(0)
        ending = asyncio.create_task(ledger.end())
        await asyncio.sleep(0)
        stores[0].may_commit.set()
        await ending

        answers = [await task for task in (first, *waiting)]
        assert [answer.event.sequence for answer in answers] == [1, 2, 3]
        assert not ledger.failures


async def test_another_process_that_writes_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    async with open_ledger(path) as ledger:
        await prepared(ledger)
        other = apsw.Connection(str(path))
        other.execute("BEGIN IMMEDIATE")
        recording = asyncio.create_task(ledger.committer.record(make_request("1")))
        for _ in range(3):
            await asyncio.sleep(0.03)
        assert not recording.done()
        assert ledger.recovered.state.sequence == 0, "nothing is decided meanwhile"
        other.execute("ROLLBACK")
        other.close()

        assert (await recording).event.sequence == 1


async def test_a_lock_that_is_never_let_go_fails_the_request_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("meterbell.ledger.committer._LOCKED_TRIES", 2)
    path = tmp_path / "m.db"
    async with open_ledger(path) as ledger:
        await prepared(ledger)
        other = apsw.Connection(str(path))
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailableError, match="locks"):
            await ledger.committer.record(make_request("1", identifier="a"))
        other.execute("ROLLBACK")
        other.close()

        await ledger.committer.record(make_request("1", identifier="a"))
        assert identifiers(ledger) == ["a"]
        assert not ledger.failures


async def test_a_stream_request_is_one_piece_of_the_group(tmp_path: Path) -> None:
    async with open_ledger(tmp_path / "m.db") as ledger:
        await prepared(ledger)
        usage = [make_request("1", identifier=f"s{number}") for number in range(3)]

        await asyncio.gather(
            ledger.committer.record(make_request("1", identifier="before")),
            ledger.stream(usage),
            ledger.committer.record(make_request("1", identifier="after")),
        )

        assert identifiers(ledger) == ["before", "s0", "s1", "s2", "after"]


async def test_a_full_queue_is_counted_in_events(tmp_path: Path) -> None:
    async with open_ledger(tmp_path / "m.db", queue_max=5) as ledger:
        await prepared(ledger)
        usage = [make_request("1", identifier=f"s{number}") for number in range(6)]

        outcomes = await asyncio.gather(
            ledger.stream(usage),  # more than fits, but nothing waits yet
            ledger.committer.record(make_request("1")),
            return_exceptions=True,
        )

        assert outcomes[0] is None
        assert isinstance(outcomes[1], OverloadedError)
        assert ledger.committer.waiting == 0
