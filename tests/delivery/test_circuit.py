"""Endpoints that fail for long are left alone, asked again, and disabled in the end."""

import asyncio
from pathlib import Path

from meterbell.delivery.circuit import FAILING_MS_MAX, FAILURES_MAX
from meterbell.ledger.deliveries import ENDPOINT_DISABLED, resend
from meterbell.ledger.transaction import Transaction
from meterbell.records import Delivery, EndpointHealth, Event, WebhookEndpoint
from meterbell.store import tables
from tests.delivery.delivery_run import DeliveryRun, open_delivery
from tests.delivery.receiver import always, held, receiving


def health(run: DeliveryRun, endpoint: WebhookEndpoint) -> EndpointHealth:
    found = run.store.reader.fetch(EndpointHealth, endpoint=endpoint.id)
    return found or EndpointHealth(endpoint=endpoint.id)


async def open_circuit(run: DeliveryRun, url: str) -> tuple[WebhookEndpoint, int]:
    """Add an endpoint, let it fail until its circuit is open, and return when it is asked again."""
    endpoint = await run.add_endpoint(url)
    await run.emit(FAILURES_MAX + 5)
    while (facts := health(run, endpoint)).failures < FAILURES_MAX:
        if facts.probe_at_ms is not None:
            run.advance_to(facts.probe_at_ms)
        before = facts.failures
        await run.until(lambda: health(run, endpoint).failures > before)  # noqa: B023 - awaited
    assert facts.probe_at_ms is not None
    return endpoint, facts.probe_at_ms


async def test_d2_an_open_circuit_lets_one_probe_through_and_wastes_no_attempt(
    tmp_path: Path,
) -> None:
    async with open_delivery(tmp_path) as run, receiving(always(500)) as receiver:
        _, probe_at_ms = await open_circuit(run, receiver.url)
        assert len(receiver.received) == FAILURES_MAX
        untouched = [one for one in run.deliveries() if one.attempts == 0]
        assert len(untouched) == 5

        run.advance_to(probe_at_ms - 1)
        await run.emit()
        gate = asyncio.Event()
        receiver.answer = held(gate)
        run.advance_to(probe_at_ms)
        await receiver.wait_for(FAILURES_MAX + 1)
        await run.emit(5)
        assert len(receiver.received) == FAILURES_MAX + 1

        gate.set()
        receiver.answer = always(200)
        run.advance_to(probe_at_ms + 60_000)
        await run.until(lambda: set(run.statuses()) == {"succeeded"})
        assert sorted(set(receiver.event_ids[FAILURES_MAX:])) == sorted(
            one.event for one in run.deliveries()
        )


async def test_d2_an_open_circuit_stays_open_through_a_restart(tmp_path: Path) -> None:
    async with receiving(always(500)) as receiver:
        async with open_delivery(tmp_path) as run:
            endpoint, probe_at_ms = await open_circuit(run, receiver.url)
        async with open_delivery(tmp_path) as run, receiving() as healthy:
            run.endpoints.append(endpoint)
            await run.add_endpoint(healthy.url)
            await run.emit()
            await healthy.wait_for(1)
            assert len(receiver.received) == FAILURES_MAX
            assert health(run, endpoint).probe_at_ms == probe_at_ms

            receiver.answer = always(200)
            run.advance_to(probe_at_ms + 60_000)
            await run.until(lambda: set(run.statuses()) == {"succeeded"})


async def test_d3_after_five_days_of_failures_an_endpoint_is_disabled_and_the_others_told(
    tmp_path: Path,
) -> None:
    async with (
        open_delivery(tmp_path) as run,
        receiving(always(500)) as failing,
        receiving() as healthy,
    ):
        endpoint = await run.add_endpoint(failing.url)
        await run.emit()
        await run.until_attempts(1)
        begun_ms = run.clock.now_ms()
        await run.add_endpoint(healthy.url)
        run.clock.set(begun_ms + FAILING_MS_MAX)
        await run.emit()
        await run.until(lambda: run.endpoint(endpoint).status == "disabled")

        facts = health(run, endpoint)
        assert (facts.disabled_reason, facts.disabled_at_ms) == ("failing", run.clock.now_ms())
        await healthy.wait_for(2)
        (told,) = run.store.reader.find(Event, tables.event.c.type == ENDPOINT_DISABLED)
        assert told.data["object"]["id"] == endpoint.id
        assert told.data["object"]["reason"] == "failing"
        assert told.id in healthy.event_ids
        assert told.id not in failing.event_ids


async def test_d3_an_endpoint_that_is_gone_says_so(tmp_path: Path) -> None:
    async with open_delivery(tmp_path) as run, receiving(always(410)) as receiver:
        endpoint = await run.add_endpoint(receiver.url)
        await run.emit()
        await run.until(lambda: run.endpoint(endpoint).status == "disabled")

        assert health(run, endpoint).disabled_reason == "gone"
        (told,) = run.store.reader.find(Event, tables.event.c.type == ENDPOINT_DISABLED)
        assert told.deliveries == 0


async def test_d3_a_failed_delivery_can_be_resent_and_its_schedule_begins_anew(
    tmp_path: Path,
) -> None:
    async with open_delivery(tmp_path) as run, receiving(always(500)) as receiver:
        endpoint = await run.add_endpoint(receiver.url)
        (event,) = await run.emit()
        await run.until_attempts(1)
        for count in (2, 3, 4):
            run.clock.advance(seconds=4 * 3600)
            run.advance_to(run.clock.now_ms())
            await run.until_attempts(count)
        await run.until_statuses("failed")

        def command(transaction: Transaction) -> Delivery:
            return resend(transaction, event, endpoint)

        await run.committer.execute(command)
        await run.until_attempts(5)
        assert run.statuses() == ["pending"]
        receiver.answer = always(200)
        run.clock.advance(seconds=60)
        run.advance_to(run.clock.now_ms())
        await run.until_statuses("succeeded")

        assert [(a.attempt, a.manual) for a in run.attempts()][3:] == [
            (4, False),
            (1, True),
            (2, False),
        ]
        assert len({received.body for received in receiver.received}) == 1


async def test_d3_what_is_resent_during_an_attempt_is_sent_again_after_it(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with open_delivery(tmp_path) as run, receiving(held(gate)) as receiver:
        endpoint = await run.add_endpoint(receiver.url)
        (event,) = await run.emit()
        await receiver.wait_for(1)
        await run.committer.execute(lambda transaction: resend(transaction, event, endpoint))
        gate.set()
        await receiver.wait_for(2)
        await run.until_statuses("succeeded")

        assert receiver.event_ids == [event.id, event.id]
        assert [a.manual for a in run.attempts()] == [False, True]


async def test_d3_an_event_can_be_sent_to_an_endpoint_it_was_not_meant_for(tmp_path: Path) -> None:
    async with open_delivery(tmp_path) as run, receiving() as receiver:
        (event,) = await run.emit()
        endpoint = await run.add_endpoint(receiver.url)
        await run.committer.execute(lambda transaction: resend(transaction, event, endpoint))
        await run.until_statuses("succeeded")

        assert receiver.event_ids == [event.id]


async def test_d3_resending_asks_an_endpoint_whose_circuit_is_open_at_once(tmp_path: Path) -> None:
    async with open_delivery(tmp_path) as run, receiving(always(500)) as receiver:
        endpoint, _ = await open_circuit(run, receiver.url)
        receiver.answer = always(200)
        (event,) = await run.emit()
        await run.committer.execute(lambda transaction: resend(transaction, event, endpoint))
        await run.until(lambda: health(run, endpoint).failures == 0)
