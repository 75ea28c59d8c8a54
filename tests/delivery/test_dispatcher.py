"""Deliveries with real connections: at least once, always the same, nobody waits for another."""

import asyncio
from pathlib import Path

import msgspec

from meterbell.delivery.circuit import SLOTS
from meterbell.delivery.lane import QUEUE_MAX, Lane
from meterbell.delivery.outbox import Outbox
from meterbell.delivery.sender import Sender
from meterbell.ids import CountingIds
from meterbell.ledger.transaction import Transaction
from meterbell.records import Delivery, ThinEvent
from meterbell.store import tables
from meterbell.wire.signing import is_signed
from meterbell.wire.versions import DEFAULT_API_VERSION
from tests.delivery.delivery_run import LENIENT, open_delivery
from tests.delivery.receiver import Received, always, held, receiving
from tests.support.vault import TEST_VAULT


async def test_d1_an_event_arrives_signed_and_is_on_record(tmp_path: Path) -> None:
    async with open_delivery(tmp_path) as run, receiving() as receiver:
        endpoint = await run.add_endpoint(receiver.url)
        (event,) = await run.emit()
        await run.until_statuses("succeeded")

        (received,) = receiver.received
        told = received.event(endpoint.secret)
        assert (told.id, told.type, told.pending_webhooks) == (event.id, event.type, 1)
        assert told.api_version == DEFAULT_API_VERSION
        assert received.timestamp == run.clock.now_ms() // 1000
        (delivery,) = run.deliveries()
        assert (delivery.attempts, delivery.next_attempt_at_ms) == (1, None)
        (attempt,) = run.attempts()
        assert (attempt.attempt, attempt.outcome, attempt.status_code) == (1, "succeeded", 200)
        assert attempt.response == b"ok"


async def test_d1_every_attempt_has_the_same_body_and_a_fresh_signature(tmp_path: Path) -> None:
    async with open_delivery(tmp_path) as run, receiving(always(500)) as receiver:
        endpoint = await run.add_endpoint(receiver.url, api_version="2026-09-30.preview")
        (event,) = await run.emit()
        await run.until_attempts(1)
        run.advance_to(run.clock.now_ms() + 60_000)
        first, second = await receiver.wait_for(2)

        assert first.body == second.body
        assert second.timestamp == first.timestamp + 60
        assert first.event(endpoint.secret).id == second.event(endpoint.secret).id == event.id


async def test_d1_each_endpoint_is_sent_what_its_own_secret_signs(tmp_path: Path) -> None:
    async with open_delivery(tmp_path) as run, receiving() as one, receiving() as two:
        first = await run.add_endpoint(one.url)
        second = await run.add_endpoint(two.url, api_version="2024-06-20")
        (event,) = await run.emit()
        await run.until_statuses("succeeded", "succeeded")

        assert one.received[0].event(first.secret).id == event.id
        assert two.received[0].event(second.secret).api_version == "2024-06-20"


async def test_d1_events_of_a_mode_stay_in_it(tmp_path: Path) -> None:
    async with open_delivery(tmp_path) as run, receiving() as test, receiving() as live:
        await run.add_endpoint(test.url)
        await run.add_endpoint(live.url, livemode=True)
        (in_test,) = await run.emit()
        (in_live,) = await run.emit(livemode=True)
        await run.until_statuses("succeeded", "succeeded")

        assert test.event_ids == [in_test.id]
        assert live.event_ids == [in_live.id]


async def test_d1_how_long_an_attempt_took_is_on_record(tmp_path: Path) -> None:
    async with open_delivery(tmp_path) as run, receiving() as receiver:

        async def answer(received: Received) -> None:
            run.clock.advance(seconds=2)
            await received.answer(200)

        receiver.answer = answer
        await run.add_endpoint(receiver.url)
        started_at_ms = run.clock.now_ms()
        await run.emit()
        await run.until_statuses("succeeded")

        (attempt,) = run.attempts()
        assert (attempt.started_at_ms, attempt.duration_ms) == (started_at_ms, 2000)


async def test_d2_hanging_endpoints_delay_no_other(tmp_path: Path) -> None:
    """The healthy one has everything while all the others still hang."""
    gate = asyncio.Event()
    async with (
        open_delivery(tmp_path) as run,
        receiving(held(gate)) as hanging,
        receiving() as healthy,
    ):
        for _ in range(10):
            await run.add_endpoint(hanging.url)
        endpoint = await run.add_endpoint(healthy.url)
        events = await run.emit(100)
        await run.until(lambda: set(run.statuses(endpoint)) == {"succeeded"})

        assert sorted(healthy.event_ids) == sorted(event.id for event in events)
        assert len(await hanging.wait_for(10)) == 10
        assert run.statuses().count("succeeded") == 100


async def test_d2_a_hanging_endpoint_is_asked_a_few_times_at_once(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with (
        open_delivery(tmp_path) as run,
        receiving() as hanging,
        receiving() as healthy,
    ):
        await run.add_endpoint(hanging.url)
        await run.emit(SLOTS)
        await run.until_statuses(*["succeeded"] * SLOTS)
        hanging.answer = held(gate)
        await run.emit(50)
        endpoint = await run.add_endpoint(healthy.url)
        await run.emit(50)
        await run.until(lambda: set(run.statuses(endpoint)) == {"succeeded"})
        assert len(hanging.received) == 2 * SLOTS

        gate.set()
        await run.until(lambda: set(run.statuses()) == {"succeeded"})
        assert sorted(set(hanging.event_ids)) == sorted(hanging.event_ids)
        assert len(hanging.event_ids) == 100 + SLOTS


async def test_d2_past_the_bound_deliveries_wait_in_the_database(tmp_path: Path) -> None:
    """Nothing is lost and nothing doubled when there is more than memory is meant to hold."""
    count = QUEUE_MAX + 50
    gate = asyncio.Event()
    async with open_delivery(tmp_path) as run, receiving(held(gate)) as receiver:
        await run.add_endpoint(receiver.url)
        first = await run.emit()
        await receiver.wait_for(1)
        events = first + await run.emit(count) + await run.emit()
        gate.set()
        await receiver.wait_for(len(events))
        await run.until(lambda: set(run.statuses()) == {"succeeded"})

        assert sorted(receiver.event_ids) == sorted(event.id for event in events)


async def test_d2_memory_holds_a_bounded_part_of_the_queue(tmp_path: Path) -> None:
    gate = asyncio.Event()
    sender = Sender(timeout_seconds=20, egress=LENIENT)
    async with open_delivery(tmp_path, start=False) as run, receiving(held(gate)) as receiver:
        endpoint = await run.add_endpoint(receiver.url)
        await run.emit()
        outbox = Outbox(run.store, run.committer, run.clock, CountingIds(), vault=TEST_VAULT)
        lane = Lane(endpoint.id, livemode=False, outbox=outbox, sender=sender, clock=run.clock)
        running = asyncio.create_task(lane.run())
        await receiver.wait_for(1)
        await run.emit(QUEUE_MAX + 50)
        for delivery in run.deliveries()[1:]:
            lane.offer(delivery)

        assert lane.waiting == QUEUE_MAX
        lane.stop()
        gate.set()
        await running


async def test_d2_memory_holds_a_bounded_part_of_the_queue_while_retries_become_due(
    tmp_path: Path,
) -> None:
    """Each that becomes due makes the lane look into the database, though it has enough to do."""
    retries, looks = 100, 20
    sender = Sender(timeout_seconds=20, egress=LENIENT)
    async with open_delivery(tmp_path, start=False) as run, receiving() as receiver:
        endpoint = await run.add_endpoint(receiver.url)
        await run.emit(3 * QUEUE_MAX + retries)
        now_ms = run.clock.now_ms()

        def spread(transaction: Transaction) -> None:
            number = tables.delivery.c.number
            transaction.objects.update(
                Delivery, number <= retries, next_attempt_at_ms=now_ms + number
            )

        await run.committer.execute(spread)
        outbox = Outbox(run.store, run.committer, run.clock, CountingIds(), vault=TEST_VAULT)
        lane = Lane(endpoint.id, livemode=False, outbox=outbox, sender=sender, clock=run.clock)
        held: list[int] = []

        async def answer(received: Received) -> None:
            held.append(lane.waiting)
            run.clock.advance(seconds=0.001)
            await received.answer(200)

        receiver.answer = answer
        running = asyncio.create_task(lane.run())
        await receiver.wait_for(looks)
        lane.stop()
        await running

        assert QUEUE_MAX < max(held) < 2 * QUEUE_MAX


async def test_d1_what_was_loaded_and_then_offered_is_sent_once(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with open_delivery(tmp_path) as run, receiving(held(gate)) as receiver:
        await run.add_endpoint(receiver.url)
        (first,) = await run.emit()
        await receiver.wait_for(1)
        assert run.dispatcher is not None
        run.dispatcher.wake(run.deliveries())
        (second,) = await run.emit()
        gate.set()
        await run.until_statuses("succeeded", "succeeded")

        assert receiver.event_ids == [first.id, second.id]


async def test_d2_retries_are_made_however_much_is_new(tmp_path: Path) -> None:
    """A lane that always has something new still comes to what is due again."""
    async with open_delivery(tmp_path) as run, receiving(always(500)) as receiver:
        await run.add_endpoint(receiver.url)
        (failed,) = await run.emit()
        (attempt,) = await run.until_attempts(1)

        async def answer(received: Received) -> None:
            await run.emit(2)  # the queue is never empty
            await received.answer(200)

        receiver.answer = answer
        for _ in range(10):
            await asyncio.sleep(0)  # the lane goes back to waiting before the clock is set
        run.clock.advance(seconds=60)
        await run.emit(SLOTS + 1)
        await run.until(lambda: run.deliveries()[0].status == "succeeded")

        assert attempt.outcome == "status_500"
        assert receiver.event_ids.count(failed.id) == 2
        assert receiver.event_ids[1:].index(failed.id) < QUEUE_MAX / 2
        receiver.answer = always(200)


async def test_the_end_begins_nothing_and_waits_for_what_is_in_flight(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with open_delivery(tmp_path, start=False) as run, receiving(held(gate)) as receiver:
        run.drain_seconds = 20
        run.start()
        await run.add_endpoint(receiver.url)
        await run.emit(SLOTS + 1)
        await receiver.wait_for(1)
        stopping = asyncio.create_task(run.stop())
        await asyncio.sleep(0)
        gate.set()
        await stopping

        assert run.statuses() == ["succeeded"] + ["pending"] * SLOTS
        assert len(receiver.received) == 1


async def test_d1_what_was_cut_off_by_the_end_is_sent_again(tmp_path: Path) -> None:
    async with receiving(held(asyncio.Event())) as receiver:
        async with open_delivery(tmp_path) as run:
            endpoint = await run.add_endpoint(receiver.url)
            (event,) = await run.emit()
            await receiver.wait_for(1)
            await run.stop()
            assert run.attempts() == []
        receiver.answer = always(200)
        async with open_delivery(tmp_path) as run:
            await run.until_statuses("succeeded")

        first, second = receiver.received
        assert first.body == second.body
        assert second.event(endpoint.secret).id == event.id


async def test_d1_what_was_never_begun_is_sent_after_a_restart(tmp_path: Path) -> None:
    async with receiving() as receiver:
        async with open_delivery(tmp_path, start=False) as run:
            await run.add_endpoint(receiver.url)
            events = await run.emit(450)  # more than are read at a time
        async with open_delivery(tmp_path) as run:
            await receiver.wait_for(450)
            await run.until(lambda: set(run.statuses()) == {"succeeded"})

        assert sorted(receiver.event_ids) == sorted(event.id for event in events)


async def test_nothing_is_sent_before_the_start_or_after_the_end(tmp_path: Path) -> None:
    async with open_delivery(tmp_path, start=False) as run, receiving() as receiver:
        await run.add_endpoint(receiver.url)
        run.start()
        assert run.dispatcher is not None
        dispatcher = run.dispatcher
        (event,) = await run.emit()
        dispatcher.wake(run.deliveries())
        await run.until_statuses("succeeded")
        await run.stop()
        tasks = asyncio.all_tasks()
        dispatcher.wake(run.deliveries())

        assert asyncio.all_tasks() == tasks
        assert receiver.event_ids == [event.id]


async def test_d1_a_thin_event_is_told_in_the_same_words_each_time(tmp_path: Path) -> None:
    async with open_delivery(tmp_path) as run, receiving(always(500)) as receiver:
        endpoint = await run.add_endpoint(receiver.url)
        await run.change(endpoint, event_payload="thin")

        def report(transaction: Transaction) -> ThinEvent:
            return transaction.emit_thin(
                "v1.billing.meter.error_report_triggered",
                livemode=False,
                related=("billing.meter", "mtr_1"),
                data={"reason": "a secret of the API"},
            )

        event = await run.committer.execute(report)
        await run.emit()
        await run.until_attempts(1)
        run.advance_to(run.clock.now_ms() + 60_000)
        first, second = await receiver.wait_for(2)

        assert first.body == second.body
        assert second.timestamp == first.timestamp + 60
        told = msgspec.json.decode(first.body)
        assert told["id"] == event.id
        assert told["related_object"] == {
            "id": "mtr_1",
            "type": "billing.meter",
            "url": "/v1/billing/meters/mtr_1",
        }
        assert "data" not in told
        assert "changes" not in told
        assert is_signed(first.signature, secret=endpoint.secret, body=first.body)
