"""What can't be sent, read or recorded is dealt with, and the others go on."""

import asyncio
from pathlib import Path

import apsw
import pytest
from structlog.testing import capture_logs
from typing_extensions import override

from meterbell.delivery.lane import Lane
from meterbell.delivery.outbox import Outbox
from meterbell.delivery.sender import Sender
from meterbell.errors import OverloadedError, StoreUnavailableError
from meterbell.ids import CountingIds
from meterbell.ledger.transaction import Transaction
from meterbell.records import Delivery
from tests.builders import NOW
from tests.delivery.delivery_run import LENIENT, DeliveryRun, open_delivery
from tests.delivery.receiver import BOUND_SECONDS, receiving
from tests.support.vault import TEST_VAULT
from tests.support.virtual_time import VirtualClock, run_virtually

TRIGGERED = {"object": "billing.alert_triggered", "value": 1}
PREVIEW = "2026-09-30.preview"


async def put_first(run: DeliveryRun, event_id: str, endpoint_id: str) -> None:
    """Store a delivery of an event that is not there."""

    def command(transaction: Transaction) -> None:
        transaction.objects.insert(
            Delivery(
                event=event_id,
                endpoint=endpoint_id,
                livemode=False,
                created_ms=NOW * 1000,
                status="pending",
                attempts=0,
                next_attempt_at_ms=NOW * 1000 - 1,
            )
        )

    await run.committer.execute(command)


async def test_an_address_that_is_none_fails_at_once_and_the_queue_goes_on(tmp_path: Path) -> None:
    async with open_delivery(tmp_path) as run, receiving() as receiver:
        endpoint = await run.add_endpoint("nonsense")
        await run.emit(3)
        await run.until_statuses("failed", "failed", "failed")
        await run.change(endpoint, url=receiver.url)
        await run.emit()
        await run.until_statuses("failed", "failed", "failed", "succeeded")

        assert [a.outcome for a in run.attempts()] == ["bad_url"] * 3 + ["succeeded"]


async def test_an_event_that_cant_be_written_fails_and_the_queue_goes_on(tmp_path: Path) -> None:
    async with open_delivery(tmp_path) as run, receiving() as receiver:
        await run.add_endpoint(receiver.url, api_version=PREVIEW)
        with capture_logs() as logs:
            await run.emit(obj=TRIGGERED)  # it has no exact value, which preview versions show
            await run.emit()
            await run.until_statuses("failed", "succeeded")

        assert [a.outcome for a in run.attempts()] == ["not_sendable", "succeeded"]
        assert [line["event"] for line in logs] == ["event can't be sent"]
        assert len(receiver.received) == 1


async def test_an_event_that_is_missing_fails_and_the_queue_goes_on(tmp_path: Path) -> None:
    async with open_delivery(tmp_path, start=False) as run, receiving() as receiver:
        endpoint = await run.add_endpoint(receiver.url)
        await put_first(run, "evt_missing", endpoint.id)
        await run.emit()
        with capture_logs() as logs:
            run.start()
            await run.until_statuses("failed", "succeeded")

        assert "event_missing" in [a.outcome for a in run.attempts()]
        assert [line["event"] for line in logs] == ["event is missing"]


async def test_an_event_that_cant_be_read_is_tried_again_later(tmp_path: Path) -> None:
    async with open_delivery(tmp_path, start=False) as run, receiving() as receiver:
        await run.add_endpoint(receiver.url)
        (event,) = await run.emit()
        text = set_data(tmp_path, event.id, "{")
        with capture_logs() as logs:
            run.start()
            await run.until_attempts(1)
        assert run.statuses() == ["pending"]
        set_data(tmp_path, event.id, text)
        run.advance_to(run.clock.now_ms() + 60_000)
        await run.until_statuses("succeeded")

        assert [a.outcome for a in run.attempts()] == ["event_unreadable", "succeeded"]
        assert [line["event"] for line in logs] == ["event can't be read"]


def set_data(folder: Path, event_id: str, text: str) -> str:
    """Replace what is stored of an event and return what it was."""
    connection = apsw.Connection(str(folder / "meterbell.db"))
    (before,) = next(connection.execute("SELECT data FROM event WHERE id = ?", (event_id,)))
    connection.execute("UPDATE event SET data = ? WHERE id = ?", (text, event_id))
    connection.close()
    return str(before)


@pytest.mark.parametrize("error", [OverloadedError("full"), StoreUnavailableError("locked")])
async def test_an_attempt_is_recorded_once_there_is_room_and_not_made_again(
    tmp_path: Path, error: Exception
) -> None:
    async with open_delivery(tmp_path) as run, receiving() as receiver:
        await run.add_endpoint(receiver.url)
        await run.emit()
        run.committer.refusals = [error, error]
        await run.until_statuses("succeeded")

        assert len(receiver.received) == 1
        assert len(run.attempts()) == 1


async def test_d1_an_attempt_that_cant_be_recorded_is_made_again_after_a_restart_only(
    tmp_path: Path,
) -> None:
    async with open_delivery(tmp_path) as run, receiving() as receiver:
        await run.add_endpoint(receiver.url)
        (event,) = await run.emit()
        run.committer.refusals = [ValueError("a bug")]
        with capture_logs() as logs:
            await run.until_refused()
            run.advance_to(run.clock.now_ms() + 1)
            (other,) = await run.emit()
            await run.until_statuses("pending", "succeeded")
        assert receiver.event_ids == [event.id, other.id]
        assert [line["event"] for line in logs] == ["attempt not recorded"]

        await run.restart()
        await run.until_statuses("succeeded", "succeeded")
        assert receiver.event_ids == [event.id, other.id, event.id]


async def test_a_lane_that_cant_go_on_tries_again(tmp_path: Path) -> None:
    async with open_delivery(tmp_path, start=False) as run, receiving() as receiver:
        endpoint = await run.add_endpoint(receiver.url)
        await run.emit()
        await run.change(endpoint, status="disabled")
        run.clock.advance(seconds=5 * 3600)
        run.committer.refusals = [OverloadedError("full")]
        with capture_logs() as logs:
            run.start()
            await run.until_refused()
        assert [line["event"] for line in logs] == ["a lane can't go on yet"]

        run.advance_to(run.clock.now_ms())
        await run.until_statuses("failed")


class Stumbling(Outbox):
    """An outbox that can't read the first delivery that it is asked for.

    Attributes:
        asked: The numbers of those that it was asked for.
    """

    asked: list[int]

    @override
    def delivery(self, number: int) -> Delivery | None:
        self.asked.append(number)
        if len(self.asked) == 1:
            raise StoreUnavailableError("locked")
        return super().delivery(number)


def test_d1_a_delivery_that_cant_be_read_once_is_tried_again_by_itself(tmp_path: Path) -> None:
    async def deliver() -> None:
        clock = VirtualClock(NOW * 1000)
        async with (
            open_delivery(tmp_path, start=False, clock=clock) as run,
            receiving() as receiver,
        ):
            endpoint = await run.add_endpoint(receiver.url)
            events = await run.emit(2)
            outbox = Stumbling(run.store, run.committer, clock, CountingIds(), vault=TEST_VAULT)
            outbox.asked = []
            sender = Sender(timeout_seconds=20, egress=LENIENT)
            lane = Lane(endpoint.id, livemode=False, outbox=outbox, sender=sender, clock=clock)
            with capture_logs() as logs:
                running = asyncio.create_task(lane.run())
                await run.until_statuses("succeeded", "succeeded")
            lane.stop()
            await running

            assert outbox.asked == [1, 1, 2]
            assert [line["event"] for line in logs] == ["a lane can't go on yet"]
            assert receiver.event_ids == [event.id for event in events]

    run_virtually(deliver())


def rename(folder: Path, table: str, to: str) -> None:
    """Give a table another name, so that nothing can read it."""
    connection = apsw.Connection(str(folder / "meterbell.db"))
    connection.execute(f"ALTER TABLE {table} RENAME TO {to}")
    connection.close()


def test_d1_what_was_left_and_cant_be_read_at_the_start_is_delivered_later(tmp_path: Path) -> None:
    async def deliver() -> None:
        clock = VirtualClock(NOW * 1000)
        async with (
            open_delivery(tmp_path, start=False, clock=clock) as run,
            receiving() as receiver,
        ):
            await run.add_endpoint(receiver.url)
            (event,) = await run.emit()
            rename(tmp_path, "delivery", "away")
            with capture_logs() as logs:
                run.start()
                async with asyncio.timeout(BOUND_SECONDS):
                    while not logs:  # noqa: ASYNC110 - it needs no commit
                        await asyncio.sleep(0.01)
                rename(tmp_path, "away", "delivery")
                await run.until_statuses("succeeded")

            assert [line["event"] for line in logs] == ["what waits can't be read yet"]
            assert receiver.event_ids == [event.id]

    run_virtually(deliver())
