"""Notices are retried and logged as webhooks are, once for each trigger."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import ColumnElement
from structlog.testing import capture_logs

from meterbell.channel import NotificationChannel
from meterbell.delivery.channels.announcer import Announcer, Sends
from meterbell.delivery.channels.message import fill
from meterbell.delivery.circuit import FAILING_MS_MAX, FAILURES_MAX
from meterbell.delivery.outcome import Outcome
from meterbell.ledger.deliveries import CHANNEL_DISABLED
from meterbell.ledger.transaction import Transaction
from meterbell.records import Event
from meterbell.store import channel_tables, tables
from meterbell.store.deliveries import health_of
from meterbell.store.sealing import row
from tests.builders import NOW
from tests.delivery.delivery_run import DeliveryRun, open_delivery
from tests.delivery.receiver import receiving
from tests.support.vault import TEST_VAULT

TRIGGERED: dict[str, Any] = {
    "alert": {
        "id": "alrt_1",
        "title": "Used up",
        "usage_threshold": {"gte": 100, "meter": "mtr_gone"},
    },
    "created": NOW,
    "customer": "cus_1",
    "value": 100,
    "value_decimal": "100.5",
}
TEXT = (
    "{alert.title}/{alert.threshold}/{customer.name}/{meter.name}/{value}/{time}/{mode}/{event.id}"
)


class Hanging:
    """Says nothing before it is released.

    Attributes:
        sent: How many notices it was to send.
    """

    def __init__(self) -> None:
        self.release = asyncio.Event()
        self.sent = 0

    async def send(self, url: str, *, livemode: bool, title: str, body: str) -> Outcome:
        assert (url, livemode, title) == ("json://x", False, "Used up"), body
        self.sent += 1
        await self.release.wait()
        return Outcome("succeeded")


class Scripted:
    """Sends nothing; what comes of each attempt, or is raised, is written beforehand."""

    def __init__(self, *outcomes: Outcome | Exception) -> None:
        self._outcomes = list(outcomes)
        self.sent: list[tuple[str, str]] = []

    async def send(self, url: str, *, livemode: bool, title: str, body: str) -> Outcome:
        assert not livemode
        assert title == "Used up"
        self.sent.append((url, body))
        outcome = self._outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def channel(channel_id: str = "nc_1", *, url: str = "json://x", **more: Any) -> NotificationChannel:  # noqa: ANN401
    about = row(channel_tables.notification_channel, channel_id)
    facts: dict[str, Any] = {
        "id": channel_id,
        "livemode": False,
        "created": NOW,
        "name": "Sales",
        "url": TEST_VAULT.seal(url, about=about),
        "shown_url": "json://****",
        "service": "JSON",
        "alerts": None,
        "title": None,
        "body": TEXT,
        "status": "enabled",
    }
    return NotificationChannel(**{**facts, **more})


def type_is(name: str) -> ColumnElement[bool]:
    return tables.event.c.type == name


async def set_status(run: DeliveryRun, status: str) -> None:
    """Disable or enable the channels, and let the dispatcher know."""

    def command(transaction: Transaction) -> None:
        transaction.objects.update(NotificationChannel, status=status)
        transaction.forget_endpoints()

    await run.committer.execute(command)
    assert run.dispatcher is not None
    run.dispatcher.look()


async def notify(
    run: DeliveryRun, sends: Sends, *channels: NotificationChannel, triggers: int = 1
) -> Event:
    """Tell channels of triggers; return the last one's event."""
    run.announcer = Announcer(store=run.store, vault=TEST_VAULT, notifier=sends)
    await run.restart()

    def command(transaction: Transaction) -> Event:
        for one in channels:
            transaction.objects.insert(one)
        events = [
            transaction.emit("billing.alert.triggered", TRIGGERED, livemode=False)
            for _ in range(triggers)
        ]
        for event in events:
            transaction.notify(event, alert="alrt_1")
        return events[-1]

    return await run.committer.execute(command)


async def test_d3_a_failed_notice_is_sent_again_when_it_is_due_and_every_attempt_is_logged(
    tmp_path: Path,
) -> None:
    sends = Scripted(Outcome("status_503", 503, "60", b"busy"), Outcome("succeeded", 200))
    async with open_delivery(tmp_path) as run:
        event = await notify(run, sends, channel(url="json://secret"))
        await run.until_attempts(1)
        (delivery,) = run.deliveries()
        assert (delivery.endpoint, delivery.status) == ("nc_1", "pending")
        assert (delivery.next_attempt_at_ms or 0) - run.clock.now_ms() >= 60_000, "as it asked for"
        run.advance_to(delivery.next_attempt_at_ms or 0)
        await run.until_statuses("succeeded")

        logged = [(a.attempt, a.outcome, a.status_code, a.response) for a in run.attempts()]

    assert logged == [(1, "status_503", 503, b"busy"), (2, "succeeded", 200, b"")]
    text = f"Used up/100/cus_1/mtr_gone/100.5/2026-01-01 00:00:00 UTC/test/{event.id}"
    assert sends.sent == [("json://secret", text)] * 2, "the same words again"


async def test_d3_a_notice_that_fails_unexpectedly_is_sent_again_when_it_is_due(
    tmp_path: Path,
) -> None:
    sends = Scripted(RuntimeError("the transport is closed"), Outcome("succeeded", 200))
    async with open_delivery(tmp_path) as run:
        with capture_logs() as logs:
            await notify(run, sends, channel())
            await run.until_attempts(1)
        (delivery,) = run.deliveries()
        run.advance_to(delivery.next_attempt_at_ms or 0)
        await run.until_statuses("succeeded")

        assert [a.outcome for a in run.attempts()] == ["internal_error", "succeeded"]
        assert [line["event"] for line in logs] == ["notice failed unexpectedly"]


async def test_d2_a_channel_that_only_fails_is_probed_and_after_five_days_disabled(
    tmp_path: Path,
) -> None:
    """As a webhook endpoint is: what waits for it costs next to nothing."""
    refused = Outcome("connection_refused")
    sends = Scripted(*[refused] * (FAILURES_MAX + 1))
    async with open_delivery(tmp_path) as run:
        await notify(run, sends, channel(), triggers=FAILURES_MAX + 5)
        for failures in range(1, FAILURES_MAX + 1):
            await run.until_attempts(failures)
            probe_at_ms = health_of(run.store.reader, "nc_1").probe_at_ms
            run.advance_to((probe_at_ms or run.clock.now_ms()) + 1)
        assert health_of(run.store.reader, "nc_1").is_open
        run.advance_to(NOW * 1000 + FAILING_MS_MAX + 60_000)
        await run.until_attempts(FAILURES_MAX + 1)
        await run.until(lambda: run.store.reader.find(Event, type_is(CHANNEL_DISABLED)) != [])
        (found,) = run.store.reader.find(NotificationChannel)
        (told,) = run.store.reader.find(Event, type_is(CHANNEL_DISABLED))
        await run.until(lambda: "pending" not in run.statuses())

    assert found.status == "disabled"
    assert told.data["object"] | {"created": 0} == {
        "id": "nc_1",
        "object": "meterbell.notification_channel_disabled",
        "created": 0,
        "livemode": False,
        "reason": "failing",
        "url": "json://****",
    }


async def test_d1_a_notice_that_was_not_sent_is_sent_after_a_restart(tmp_path: Path) -> None:
    sends = Scripted(Outcome("timeout"), Outcome("succeeded"))
    async with open_delivery(tmp_path) as run:
        await notify(run, sends, channel())
        await run.until_attempts(1)
        await run.stop()
        run.clock.set(run.deliveries()[0].next_attempt_at_ms or 0)
        run.start()
        await run.until_statuses("succeeded")


async def test_d2_a_channel_that_hangs_delays_no_webhook(tmp_path: Path) -> None:
    async with open_delivery(tmp_path) as run, receiving() as receiver:
        endpoint = await run.add_endpoint(receiver.url)
        hanging = Hanging()
        await notify(run, hanging, channel(), triggers=9)
        await run.until(lambda: run.statuses(endpoint) == ["succeeded"] * 9)

        assert hanging.sent == 1, "a channel begins with one"
        hanging.release.set()
        await run.until(lambda: run.statuses() == ["succeeded"] * 18)


@pytest.mark.parametrize(
    ("hours", "end", "sent"), [(3, ["succeeded"], 2), (5, ["failed"], 1)], ids=["kept", "given up"]
)
async def test_what_waits_for_a_disabled_channel_is_sent_when_it_is_enabled_in_time(
    tmp_path: Path, hours: int, end: list[str], sent: int
) -> None:
    sends = Scripted(Outcome("timeout"), Outcome("succeeded"))
    async with open_delivery(tmp_path) as run:
        await notify(run, sends, channel())
        await run.until_attempts(1)
        await set_status(run, "disabled")
        run.advance_to(run.clock.now_ms() + hours * 3_600_000)
        if hours > 4:
            await run.until_statuses("failed")
        await set_status(run, "enabled")
        await run.until_statuses(*end)

    assert len(sends.sent) == sent


def test_a_name_in_a_chat_mentions_nobody_and_hides_no_link() -> None:
    """What the template says itself is as its author wrote it."""
    template = "@here {customer.name}"
    hostile = "@everyone <!channel> <@U1> [pay](http://evil.example)"
    as_chat = fill(channel(shown_url="discord://****", body=template), {"customer.name": hostile})
    as_mail = fill(channel(shown_url="mailtos://****", body=template), {"customer.name": hostile})

    assert as_mail[1] == f"@here {hostile}"
    assert as_chat[1].replace("\u200b", "") == as_mail[1], "it looks the same"
    for mark_up in ("@everyone", "<!channel", "<@", "](", "@U1"):
        assert mark_up not in as_chat[1]


async def test_a_service_that_answers_410_does_not_disable_its_channel(tmp_path: Path) -> None:
    async with open_delivery(tmp_path) as run:
        await notify(run, Scripted(Outcome("status_410", 410)), channel())
        await run.until_attempts(1)

        (found,) = run.store.reader.find(NotificationChannel)
        assert found.status == "enabled"


async def test_d3_a_channel_whose_url_can_not_be_read_is_tried_again_with_the_reason(
    tmp_path: Path,
) -> None:
    broken = channel(url="json://x", id="nc_moved")
    async with open_delivery(tmp_path) as run:
        await notify(run, Scripted(), broken)
        await run.until_attempts(1)

        assert run.statuses() == ["pending"]
        assert [attempt.outcome for attempt in run.attempts()] == ["secret_unreadable"]
