"""What concerns very many deliveries is done in pieces, with room for meter events in between."""

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from meterbell.ledger.deliveries import PIECE_MAX, Resent, disable, forgive, remove, resend_failed
from meterbell.ledger.transaction import Transaction
from meterbell.records import Delivery, DeliveryStatus, WebhookEndpoint
from meterbell.store import tables
from tests.delivery.delivery_run import DeliveryRun, open_delivery
from tests.delivery.receiver import receiving

ALL_MS = 0
MANY = 10_000
BESIDES_MAX = 10
"""Rows that one command changes besides deliveries."""


@pytest.fixture
def changed() -> Iterator[list[int]]:
    """Return how many rows each commit changes, whoever makes it."""
    found: list[int] = []

    def watch(connection: apsw.Connection) -> None:
        before = 0

        def note() -> bool:
            nonlocal before
            total = connection.total_changes()
            found.append(total - before)
            before = total
            return False  # the commit goes on

        connection.set_commit_hook(note)

    apsw.connection_hooks.append(watch)
    yield found
    apsw.connection_hooks.remove(watch)


def many_failed(folder: Path, endpoint: WebhookEndpoint) -> None:
    """Store very many deliveries that failed."""
    connection = apsw.Connection(str(folder / "meterbell.db"))
    connection.execute(
        "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < ?)"
        " INSERT INTO delivery (event, endpoint, livemode, created_ms, status, attempts)"
        " SELECT 'evt_' || x, ?, 0, 1, 'failed', 4 FROM n",
        (MANY, endpoint.id),
    )
    connection.close()


async def test_d2_very_many_deliveries_are_changed_piece_by_piece(
    tmp_path: Path, changed: list[int]
) -> None:
    async with open_delivery(tmp_path, start=False) as run:
        endpoint = await run.add_endpoint("http://127.0.0.1:9/")
        many_failed(tmp_path, endpoint)
        changed.clear()

        pieces = await resend_all(run, endpoint, since_ms=ALL_MS)
        await run.committer.execute(lambda t: disable(t, endpoint, reason="failing"))
        await run.committer.execute(lambda t: forgive(t, endpoint))
        await run.committer.execute(lambda t: remove(t, endpoint))
        run.start()
        await run.until(lambda: not run.store.reader.endpoints_due())

        assert sum(len(piece.deliveries) for piece in pieces) == MANY
        assert sum(changed) >= 2 * MANY
        assert max(changed) <= PIECE_MAX + BESIDES_MAX


async def fail_all(run: DeliveryRun) -> None:
    """Let all deliveries have failed."""
    await run.committer.execute(
        lambda transaction: transaction.objects.update(
            Delivery, status="failed", next_attempt_at_ms=None
        )
    )


def counted(run: DeliveryRun, status: DeliveryStatus) -> int:
    """Return how many deliveries have a status, without reading them."""
    return run.store.reader.count(Delivery, tables.delivery.c.status == status)


async def resend_all(run: DeliveryRun, endpoint: WebhookEndpoint, *, since_ms: int) -> list[Resent]:
    """Put back what failed, piece by piece."""
    pieces: list[Resent] = []
    after: int | None = 0
    while after is not None:
        at = after
        piece = await run.committer.execute(
            lambda transaction: resend_failed(
                transaction,
                endpoint,
                since_ms=since_ms,
                after=at,  # noqa: B023 - awaited
            )
        )
        pieces.append(piece)
        after = None if piece.last is None else piece.last.number
    return pieces


async def test_d3_all_that_failed_since_a_time_is_resent(tmp_path: Path) -> None:
    async with open_delivery(tmp_path, start=False) as run, receiving() as receiver:
        endpoint = await run.add_endpoint(receiver.url)
        old = PIECE_MAX - 1
        await run.emit(old)
        run.clock.advance(seconds=10)
        since_ms = run.clock.now_ms()
        await run.emit(PIECE_MAX)
        await fail_all(run)
        run.start()

        pieces = await resend_all(run, endpoint, since_ms=since_ms)
        await run.until(lambda: counted(run, "succeeded") == PIECE_MAX)

        assert [len(piece.deliveries) for piece in pieces] == [1, PIECE_MAX - 1]
        assert set(run.statuses()[:old]) == {"failed"}


async def test_d3_resending_ends_even_if_all_fails_again_at_once(tmp_path: Path) -> None:
    async with open_delivery(tmp_path, start=False) as run:
        endpoint = await run.add_endpoint("nonsense")
        await run.emit(PIECE_MAX + 1)
        await fail_all(run)
        run.start()

        first, *rest = await resend_all(run, endpoint, since_ms=ALL_MS)
        await run.until(lambda: counted(run, "failed") == PIECE_MAX + 1)

        assert {attempt.outcome for attempt in run.attempts()} == {"bad_url"}
        assert len(first.deliveries) == PIECE_MAX
        assert [len(piece.deliveries) for piece in rest] == [1]
        assert set(run.statuses()) == {"failed"}


async def test_what_waits_for_a_deleted_endpoint_is_canceled_piece_by_piece(
    tmp_path: Path,
) -> None:
    async with open_delivery(tmp_path, start=False) as run:
        endpoint = await run.add_endpoint("http://127.0.0.1:9/")
        await run.emit(2 * PIECE_MAX + 1)

        def delete(transaction: Transaction) -> None:
            remove(transaction, endpoint)

        await run.committer.execute(delete)
        assert counted(run, "canceled") == PIECE_MAX
        # Also if the server ends just then.
        run.start()
        await run.until(lambda: set(run.statuses()) == {"canceled"})

        assert run.attempts() == []
        assert run.store.reader.endpoints_due() == []


async def test_d3_what_waits_too_long_for_a_disabled_endpoint_fails_and_the_rest_waits_on(
    tmp_path: Path,
) -> None:
    async with open_delivery(tmp_path, start=False) as run, receiving() as receiver:
        endpoint = await run.add_endpoint(receiver.url)
        await run.emit(2 * PIECE_MAX + 1)
        # An old one that was sent again waits as long as a new one.
        run.clock.advance(seconds=5 * 3600)
        now_ms = run.clock.now_ms()

        def resend_first(transaction: Transaction) -> None:
            transaction.objects.update(
                Delivery, tables.delivery.c.number == 1, resent_ms=now_ms, attempts=0
            )

        await run.committer.execute(resend_first)
        await run.emit()
        await run.change(endpoint, status="disabled")
        run.start()
        await run.until(lambda: counted(run, "failed") > 0)
        for _ in range(2):
            before = counted(run, "failed")
            run.advance_to(now_ms)
            await run.until(lambda: counted(run, "failed") > before)  # noqa: B023 - awaited

        assert run.statuses() == ["pending", *["failed"] * (2 * PIECE_MAX), "pending"]

        def enable(transaction: Transaction) -> None:
            forgive(transaction, endpoint)

        await run.committer.execute(enable)
        await run.change(endpoint, status="enabled")
        await run.until(lambda: counted(run, "succeeded") == 2)


async def test_endpoints_with_something_to_send_are_found_without_looking_at_all_of_it(
    tmp_path: Path,
) -> None:
    async with open_delivery(tmp_path, start=False) as run:
        await run.add_endpoint("http://127.0.0.1:9/")
        await run.add_endpoint("http://127.0.0.1:9/", enabled_events=["customer.updated"])
        await run.add_endpoint("http://127.0.0.1:9/", livemode=True)
        assert run.store.reader.endpoints_due() == []
        await run.emit(3)
        await run.emit(livemode=True)

        assert run.store.reader.endpoints_due() == [("we_1", False), ("we_3", True)]
