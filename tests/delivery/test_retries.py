"""What follows a failed attempt, with a clock that is set: rule D3."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from meterbell.delivery.outbox import Outbox
from meterbell.delivery.outcome import Outcome
from meterbell.ids import CountingIds
from meterbell.ledger.deliveries import forgive, resend
from meterbell.ledger.transaction import Transaction
from meterbell.records import WebhookEndpoint
from tests.delivery.delivery_run import DeliveryRun, open_delivery
from tests.delivery.receiver import Receiver, always, receiving
from tests.support.vault import TEST_VAULT

SECOND_MS = 1000
HOUR_MS = 3_600_000


async def fail_once(run: DeliveryRun, receiver: Receiver) -> int:
    """Make an endpoint fail an event, and return when the event is due again."""
    await run.add_endpoint(receiver.url)
    await run.emit()
    await run.until_attempts(1)
    (delivery,) = run.deliveries()
    assert delivery.status == "pending"
    assert delivery.next_attempt_at_ms is not None
    return delivery.next_attempt_at_ms


async def test_d3_a_failed_attempt_is_repeated_when_it_is_due(tmp_path: Path) -> None:
    async with open_delivery(tmp_path) as run, receiving(always(500)) as receiver:
        due = await fail_once(run, receiver)
        receiver.answer = always(200)

        # A later event passes the first one, because that is not due yet.
        run.advance_to(due - 1)
        (later,) = await run.emit()
        await run.until_statuses("pending", "succeeded")
        assert receiver.event_ids[1:] == [later.id]

        run.advance_to(due)
        await run.until_statuses("succeeded", "succeeded")
        first, second = (a for a in run.attempts() if a.delivery == run.deliveries()[0].number)
        assert [(a.attempt, a.outcome) for a in (first, second)] == [
            (1, "status_500"),
            (2, "succeeded"),
        ]


async def test_d3_a_due_retry_needs_nobody_to_look(tmp_path: Path) -> None:
    """With a clock that goes by itself, the lane wakes in time."""
    async with open_delivery(tmp_path) as run, receiving(always(500)) as receiver:
        due = await fail_once(run, receiver)
        receiver.answer = always(200)
        await run.restart()
        # Shortly before it is due, so that the wait that begins here is a short one.
        run.advance_to(due - 5)
        await run.emit()
        await run.until_statuses("pending", "succeeded")
        run.clock.set(due)
        await run.until_statuses("succeeded", "succeeded")


@pytest.mark.parametrize(
    ("livemode", "fewest", "most", "hours"), [(False, 4, 4, 4), (True, 13, 16, 72)]
)
async def test_d3_a_delivery_that_always_fails_is_given_up(
    tmp_path: Path, *, livemode: bool, fewest: int, most: int, hours: int
) -> None:
    async with open_delivery(tmp_path) as run, receiving(always(503)) as receiver:
        await run.add_endpoint(receiver.url, livemode=livemode)
        await run.emit(livemode=livemode)
        begun_at = run.clock.now_ms()
        await run.until_attempts(1)
        (delivery,) = run.deliveries()
        while delivery.next_attempt_at_ms is not None:
            assert delivery.status == "pending"
            run.advance_to(delivery.next_attempt_at_ms)
            await run.until_attempts(delivery.attempts + 1)
            (delivery,) = run.deliveries()

        assert delivery.status == "failed"
        assert fewest <= delivery.attempts <= most
        assert [a.attempt for a in run.attempts()] == list(range(1, delivery.attempts + 1))
        assert {a.outcome for a in run.attempts()} == {"status_503"}
        assert len({received.body for received in receiver.received}) == 1
        assert run.clock.now_ms() - begun_at <= hours * HOUR_MS


@pytest.mark.parametrize(
    ("status", "header", "seconds"),
    [(429, "3600", 3600), (503, "1800", 1800), (500, "999999999", 4 * 3600)],
)
async def test_d3_retry_after_is_honoured_within_a_cap(
    tmp_path: Path, status: int, header: str, seconds: int
) -> None:
    async with open_delivery(tmp_path) as run:
        async with receiving(always(status, Retry_After=header)) as receiver:
            due = await fail_once(run, receiver)

        assert due == run.clock.now_ms() + seconds * SECOND_MS


@pytest.mark.parametrize("header", ["-1", "NaN", "soon", ""])
async def test_d3_a_retry_after_that_says_nothing_changes_nothing(
    tmp_path: Path, header: str
) -> None:
    async with open_delivery(tmp_path) as run:
        async with receiving(always(429, Retry_After=header)) as receiver:
            due = await fail_once(run, receiver)

        assert 8 * SECOND_MS <= due - run.clock.now_ms() <= 12 * SECOND_MS


async def test_d3_retries_go_on_after_a_restart(tmp_path: Path) -> None:
    async with receiving(always(500)) as receiver:
        async with open_delivery(tmp_path) as run:
            due = await fail_once(run, receiver)
        receiver.answer = always(200)
        async with open_delivery(tmp_path) as run:
            run.clock.set(due)
            await run.restart()
            await run.until_statuses("succeeded")

            assert [a.attempt for a in run.attempts()] == [1, 2]
        assert receiver.received[0].body == receiver.received[1].body


async def test_d3_a_refused_connection_is_repeated_too(tmp_path: Path) -> None:
    async with open_delivery(tmp_path) as run:
        async with receiving() as receiver:
            port = receiver.port
        due = await fail_once(run, receiver)
        async with receiving(port=port) as receiver:
            run.advance_to(due)
            await run.until_statuses("succeeded")

            assert [a.outcome for a in run.attempts()] == ["connection_refused", "succeeded"]


async def test_d3_an_endpoint_that_hangs_is_tried_again_later(tmp_path: Path) -> None:
    async def hang(_received: object) -> None:
        await run.until(lambda: bool(run.attempts()))

    async with open_delivery(tmp_path, timeout_seconds=1) as run, receiving(hang) as receiver:
        await fail_once(run, receiver)

        assert [(a.outcome, a.status_code) for a in run.attempts()] == [("timeout", None)]


async def test_d3_an_endpoint_that_is_gone_is_disabled_at_once(tmp_path: Path) -> None:
    async with open_delivery(tmp_path) as run, receiving(always(410)) as receiver:
        endpoint = await run.add_endpoint(receiver.url)
        await run.emit()
        await run.until_attempts(1)
        assert run.endpoint(endpoint).status == "disabled"

        # What happens from now on is not meant for it, and what it missed waits.
        await run.emit()
        (delivery,) = run.deliveries()
        assert delivery.next_attempt_at_ms is not None
        run.advance_to(delivery.next_attempt_at_ms)
        receiver.answer = always(200)
        await run.change(endpoint, status="enabled")
        await run.until_statuses("succeeded")

        assert [a.outcome for a in run.attempts()] == ["status_410", "succeeded"]
        assert len(receiver.received) == 2


async def test_d3_what_waited_behind_the_answer_that_disabled_is_sent_once_enabled(
    tmp_path: Path,
) -> None:
    async with open_delivery(tmp_path) as run, receiving(always(410)) as receiver:
        endpoint = await run.add_endpoint(receiver.url)
        await run.emit(50)
        await run.until(lambda: run.endpoint(endpoint).status == "disabled")
        receiver.answer = always(200)
        run.clock.advance(seconds=60)
        await run.change(endpoint, status="enabled")
        await run.until(lambda: set(run.statuses()) == {"succeeded"})

        assert len(set(receiver.event_ids)) == 50


async def test_d3_an_event_in_the_same_commit_as_the_end_of_an_endpoint_is_not_for_it(
    tmp_path: Path,
) -> None:
    async with open_delivery(tmp_path, start=False) as run:
        endpoint = await run.add_endpoint("http://127.0.0.1:9009/")
        await run.emit()
        outbox = Outbox(run.store, run.committer, run.clock, CountingIds(), vault=TEST_VAULT)
        now_ms = run.clock.now_ms()
        gone = Outcome("status_410", 410)
        (delivery,) = run.deliveries()

        # All three are waiting when the committer takes its next group.
        await asyncio.gather(
            run.emit(),
            outbox.record(endpoint, delivery, gone, started_at_ms=now_ms, ended_at_ms=now_ms),
            run.emit(),
        )

        assert len(run.deliveries()) == 2


async def test_d3_a_new_address_is_not_disabled_because_the_old_one_is_gone(
    tmp_path: Path,
) -> None:
    async with open_delivery(tmp_path) as run, receiving() as new, receiving() as old:
        endpoint = await run.add_endpoint(old.url)

        async def answer(received: Any) -> None:  # noqa: ANN401 - a Received
            await run.change(endpoint, url=new.url)
            await received.answer(410)

        old.answer = answer
        await run.emit()
        await run.until_attempts(1)
        assert run.endpoint(endpoint).status == "enabled"
        run.advance_to(run.clock.now_ms() + 60 * SECOND_MS)
        await run.until_statuses("succeeded")

        assert len(new.received) == 1


async def test_d3_a_disabled_endpoint_is_left_alone_until_it_is_enabled(tmp_path: Path) -> None:
    async with open_delivery(tmp_path) as run, receiving(always(500)) as receiver:
        due = await fail_once(run, receiver)
        (endpoint,) = run.endpoints
        await run.change(endpoint, status="disabled")
        run.advance_to(due)
        # Another endpoint's event shows that time has passed for the disabled one as well.
        async with receiving() as other:
            await run.add_endpoint(other.url)
            await run.emit()
            await run.until_statuses("pending", "succeeded")
        assert len(receiver.received) == 1

        receiver.answer = always(200)
        await run.change(endpoint, status="enabled")
        await run.until_statuses("succeeded", "succeeded")


@pytest.mark.parametrize(("livemode", "hours"), [(False, 4), (True, 72)])
async def test_d3_what_waits_too_long_for_a_disabled_endpoint_fails(
    tmp_path: Path, *, livemode: bool, hours: int
) -> None:
    async with open_delivery(tmp_path, start=False) as run, receiving() as receiver:
        endpoint = await run.add_endpoint(receiver.url, livemode=livemode)
        await run.emit(livemode=livemode)
        await run.change(endpoint, status="disabled")
        run.clock.advance(seconds=3600)
        await run.change(endpoint, status="enabled")
        await run.emit(livemode=livemode)
        await run.change(endpoint, status="disabled")
        run.start()
        run.advance_to(run.clock.now_ms() + (hours - 1) * HOUR_MS + 1)
        await run.until_statuses("failed", "pending")

        assert receiver.received == []
        assert run.attempts() == []


async def test_d3_a_deleted_endpoint_is_sent_nothing_more(tmp_path: Path) -> None:
    async with open_delivery(tmp_path) as run, receiving(always(500)) as receiver:
        due = await fail_once(run, receiver)
        (endpoint,) = run.endpoints
        await run.delete(endpoint)
        run.advance_to(due)
        async with receiving() as other:
            await run.add_endpoint(other.url)
            await run.emit()
            await run.until_statuses("canceled", "succeeded")

        assert len(receiver.received) == 1


async def test_d3_deleting_an_endpoint_while_it_answers_keeps_the_deletion(tmp_path: Path) -> None:
    async with open_delivery(tmp_path) as run, receiving() as receiver:
        endpoint = await run.add_endpoint(receiver.url)

        async def answer(received: Any) -> None:  # noqa: ANN401 - a Received
            await run.delete(endpoint)
            await received.answer(500)

        receiver.answer = answer
        await run.emit()
        await run.until_attempts(1)

        assert run.statuses() == ["canceled"]
        assert run.deliveries()[0].next_attempt_at_ms is None


async def test_d1_what_is_resent_while_its_attempt_is_recorded_is_sent_again(
    tmp_path: Path,
) -> None:
    async with open_delivery(tmp_path) as run, receiving(always(200)) as receiver:
        endpoint = await run.add_endpoint(receiver.url)
        (event,) = await run.emit()
        # The next that is committed is what came of the attempt.
        run.committer.beside = lambda changes: resend(changes, event, endpoint)

        await run.until_attempts(2)
        await run.until_statuses("succeeded")

        assert receiver.event_ids == [event.id, event.id]


async def test_d3_what_is_resent_just_when_it_is_given_up_is_sent(tmp_path: Path) -> None:
    async with open_delivery(tmp_path, start=False) as run, receiving() as receiver:
        endpoint = await run.add_endpoint(receiver.url)
        _, resent = await run.emit(2)
        await run.change(endpoint, status="disabled")
        run.clock.advance(seconds=5 * 3600)

        def enable_and_resend(transaction: Transaction) -> None:
            transaction.objects.update(WebhookEndpoint, status="enabled")
            transaction.forget_endpoints()
            forgive(transaction, endpoint)
            resend(transaction, resent, endpoint)

        # Both were found to be too old; the next that is committed is that they are given up.
        run.committer.ahead = enable_and_resend
        run.start()
        await run.until_statuses("failed", "succeeded")

        assert receiver.event_ids == [resent.id]
        assert [attempt.delivery for attempt in run.attempts()] == [2]
