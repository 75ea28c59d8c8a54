"""Error reports: no refusal of a stream is lost, and none is told twice."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from meterbell.engine.model import RefusalReason, UsageRequest
from meterbell.errors import OverloadedError, StoreFailedError, StoreUnavailableError
from meterbell.ledger.reports import WINDOW_SECONDS, Reporter, report_window
from meterbell.ledger.transaction import Transaction
from meterbell.records import ErrorWindow, ThinEvent, WebhookEndpoint
from tests.builders import NOW, make_meter, make_request, stream_batch
from tests.ledger.ledger_run import LedgerRun, open_ledger
from tests.ledger.test_committer import FailingStore

STARTED = NOW - NOW % WINDOW_SECONDS


async def prepared(ledger: LedgerRun) -> None:
    await ledger.create_meter(make_meter())
    await ledger.create_customer("cus_a")


def reporter(ledger: LedgerRun) -> Reporter:
    return Reporter(store=ledger.store, execute=ledger.committer.execute, clock=ledger.clock)


def windows(ledger: LedgerRun) -> list[ErrorWindow]:
    return ledger.store.reader.find(ErrorWindow)


def reports(ledger: LedgerRun) -> list[ThinEvent]:
    return ledger.store.reader.find(ThinEvent)


def good(identifier: str) -> UsageRequest:
    return make_request("1", identifier=identifier)


def bad(identifier: str) -> UsageRequest:
    return make_request("one", identifier=identifier)


async def test_c1_what_is_refused_is_durable_with_what_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    async with open_ledger(path) as ledger:
        await prepared(ledger)
        await ledger.stream([good("a"), bad("b"), good("c"), good("a")])

    async with open_ledger(path) as ledger:
        assert ledger.recovered.state.sequence == 2
        noted: dict[str | RefusalReason, int] = {row.reason: row.errors for row in windows(ledger)}
        assert noted == {"meter_event_invalid_value": 1, "duplicate_meter_event": 1}
        ledger.clock.advance(seconds=WINDOW_SECONDS)
        await reporter(ledger).report()
        assert len(reports(ledger)) == 1


async def test_a_commit_that_fails_notes_no_refusal_and_counts_nothing(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    async with open_ledger(path, make_store=FailingStore) as ledger:
        await prepared(ledger)
        assert isinstance(ledger.store, FailingStore)
        ledger.store.failing = True
        with pytest.raises(StoreFailedError):
            await ledger.stream([good("a"), bad("b")])

    async with open_ledger(path) as ledger:
        assert windows(ledger) == []
        await ledger.stream([good("a")])
        assert windows(ledger) == []


async def test_a_report_that_is_not_committed_is_made_later(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    async with open_ledger(path, make_store=FailingStore) as ledger:
        await prepared(ledger)
        await ledger.stream([bad("a")])
        ledger.clock.advance(seconds=WINDOW_SECONDS)
        assert isinstance(ledger.store, FailingStore)
        ledger.store.failing = True
        with pytest.raises(StoreFailedError):
            await reporter(ledger).report()

    async with open_ledger(path) as ledger:
        assert reports(ledger) == []
        ledger.clock.advance(seconds=WINDOW_SECONDS)
        await reporter(ledger).report()
        await reporter(ledger).report()
        (event,) = reports(ledger)
        assert event.data["reason"]["error_count"] == 1
        assert windows(ledger) == []


async def test_a_window_is_told_of_after_its_end_and_once(tmp_path: Path) -> None:
    async with open_ledger(tmp_path / "m.db") as ledger:
        await prepared(ledger)
        await ledger.stream([bad("a"), make_request("1", meter="other")])

        ledger.clock.set((STARTED + WINDOW_SECONDS) * 1000 - 1)
        await reporter(ledger).report()
        assert reports(ledger) == []
        ledger.clock.set((STARTED + WINDOW_SECONDS) * 1000)
        await asyncio.gather(*(reporter(ledger).report() for _ in range(3)))

        told = sorted(reports(ledger), key=lambda event: event.type)
        assert [(event.type, event.object_id) for event in told] == [
            ("v1.billing.meter.error_report_triggered", make_meter().id),
            ("v1.billing.meter.no_meter_found", None),
        ]
        assert windows(ledger) == []


async def test_each_mode_and_meter_has_a_report_of_its_own(tmp_path: Path) -> None:
    async with open_ledger(tmp_path / "m.db") as ledger:
        await prepared(ledger)
        await ledger.create_meter(make_meter("tokens"))
        await ledger.stream([bad("a"), make_request("one", meter="tokens")])
        await ledger.stream([make_request("one", livemode=True), make_request("1", livemode=True)])
        ledger.clock.advance(seconds=WINDOW_SECONDS)

        await reporter(ledger).report()

        assert sorted((e.livemode, e.data["reason"]["error_count"]) for e in reports(ledger)) == [
            (False, 1),
            (False, 1),
            (True, 2),
        ]


async def test_the_retry_of_a_request_is_no_error(tmp_path: Path) -> None:
    async with open_ledger(tmp_path / "m.db") as ledger:
        await prepared(ledger)
        for _ in range(2):
            requests = [make_request("1"), good("mine")]
            batch = stream_batch(False, requests, ["idmp_1", "mine"])  # noqa: FBT003
            await ledger.committer.begin_stream(batch)

        (window,) = windows(ledger)
        assert [sample["identifier"] for sample in window.samples] == ["mine"]


async def test_d1_destinations_are_told_in_the_transaction_of_the_report(tmp_path: Path) -> None:
    async with open_ledger(tmp_path / "m.db") as ledger:
        await prepared(ledger)

        def add(transaction: Transaction) -> None:
            for number, (payload, event_type) in enumerate(
                [("thin", "*"), ("thin", "v1.billing.meter.no_meter_found"), ("snapshot", "*")]
            ):
                transaction.objects.insert(
                    WebhookEndpoint(
                        id=f"ed_{number}",
                        livemode=False,
                        created=NOW,
                        url="http://127.0.0.1:9009/",
                        enabled_events=[event_type],
                        api_version=None,
                        description=None,
                        metadata={},
                        status="enabled",
                        secret="whsec_1",
                        name="D",
                        event_payload="thin" if payload == "thin" else "snapshot",
                        updated_ms=NOW * 1000,
                    )
                )

        await ledger.committer.execute(add)
        await ledger.stream([bad("a")])

        await ledger.committer.execute(
            lambda transaction: report_window(transaction, started=STARTED)
        )

        (event,) = reports(ledger)
        assert [(d.event, d.endpoint) for d in ledger.deliveries] == [(event.id, "ed_0")]


class _Refusing:
    """Runs commands, but refuses the first few.

    Attributes:
        done: Set once a command was run.
    """

    def __init__(self, ledger: LedgerRun, *errors: Exception) -> None:
        self._ledger = ledger
        self._errors = list(errors)
        self.done = asyncio.Event()

    async def execute(self, command: Callable[[Transaction], None]) -> None:
        if self._errors:
            raise self._errors.pop(0)
        await self._ledger.committer.execute(command)
        self.done.set()


async def test_what_can_not_be_reported_now_is_reported_later(tmp_path: Path) -> None:
    async with open_ledger(tmp_path / "m.db") as ledger:
        await prepared(ledger)
        await ledger.stream([bad("a")])
        ledger.clock.advance(seconds=WINDOW_SECONDS)
        errors = [OverloadedError("Full."), StoreUnavailableError("Busy."), KeyError("a bug")]
        refusing = _Refusing(ledger, *errors)
        running = Reporter(
            store=ledger.store, execute=refusing.execute, clock=ledger.clock, look_seconds=0
        )

        task = asyncio.create_task(running.run())
        async with asyncio.timeout(30):
            await refusing.done.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

        assert len(reports(ledger)) == 1
