"""The dispatcher over a real SQLite file and a running committer, without HTTP and engine."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from typing_extensions import override

from meterbell.clock import Clock, SettableClock
from meterbell.delivery.channels.announcer import Announcer
from meterbell.delivery.dispatcher import Dispatcher
from meterbell.delivery.egress import Egress, parse_exempt
from meterbell.delivery.lookup import Lookup
from meterbell.engine.state import Limits, State
from meterbell.ids import CountingIds, RandomIds
from meterbell.ledger.committer import Committer, T
from meterbell.ledger.decider import Command
from meterbell.ledger.transaction import Transaction
from meterbell.records import Attempt, Delivery, Event, ThinEvent, WebhookEndpoint
from meterbell.settings import Settings
from meterbell.store import tables
from meterbell.store.endpoint_secrets import seal_secret
from meterbell.store.migrations import migrate
from meterbell.store.sqlite import SqliteStore
from tests.builders import NOW
from tests.delivery.receiver import BOUND_SECONDS
from tests.support.vault import TEST_VAULT

SECRET = "whsec_0123456789"
TIMEOUT_SECONDS = 20
LENIENT = Egress(exempt=parse_exempt("http://127.0.0.0/8"))
"""Lets both modes send to receivers on this machine."""


class TestCommitter(Committer):
    """A committer that can refuse.

    Attributes:
        refusals: Raised instead of doing what is asked, one for each request.
        ahead: Done in the same commit as what is asked next, right before it.
        beside: Done in the same commit as what is asked next, right after it.
        refused: Set at each refusal.
    """

    __test__ = False
    refusals: Sequence[Exception] = ()
    ahead: Command[Any] | None = None
    beside: Command[Any] | None = None
    refused: asyncio.Event

    @override
    async def execute(self, command: Command[T]) -> T:
        if self.refusals:
            first, *self.refusals = self.refusals
            self.refused.set()
            raise first
        if self.ahead is not None:
            ahead, self.ahead = self.ahead, None
            _, done = await asyncio.gather(super().execute(ahead), super().execute(command))
            return done
        if self.beside is not None:
            beside, self.beside = self.beside, None
            done, _ = await asyncio.gather(super().execute(command), super().execute(beside))
            return done
        return await super().execute(command)


@dataclass
class DeliveryRun:
    """An outbox that is open, with or without a dispatcher.

    Attributes:
        endpoints: As they were when they were added.
        lookup: Finds the addresses of names for the next dispatcher.
        ticking: What the dispatcher takes for the present, in place of `clock`.
        drain_seconds: How long the next dispatcher waits at its end.
        announcer: Makes the attempts for notification channels.
    """

    store: SqliteStore
    committer: TestCommitter
    clock: SettableClock
    settings: Settings
    lookup: Lookup | None = None
    ticking: Clock | None = None
    dispatcher: Dispatcher | None = None
    endpoints: list[WebhookEndpoint] = field(default_factory=list)
    drain_seconds: float = 0.05
    announcer: Announcer | None = None
    _task: asyncio.Task[None] | None = None
    _committed: asyncio.Event = field(default_factory=asyncio.Event)

    def start(self) -> None:
        """Start a dispatcher, as a start of the server does."""
        self.dispatcher = Dispatcher(
            store=self.store,
            committer=self.committer,
            clock=self.ticking or self.clock,
            ids=CountingIds(),
            vault=TEST_VAULT,
            settings=self.settings,
            egress=LENIENT,
            lookup=self.lookup,
            drain_seconds=self.drain_seconds,
            announcer=self.announcer,
        )
        self._task = asyncio.create_task(self.dispatcher.run())

    async def stop(self) -> None:
        """Stop the dispatcher, as the server's end does."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = self.dispatcher = None

    async def restart(self) -> None:
        """Stop the dispatcher and start another."""
        await self.stop()
        self.start()

    def advance_to(self, now_ms: int) -> None:
        """Make an instant the present and let the dispatcher look what is due then."""
        self.clock.set(now_ms)
        assert self.dispatcher is not None
        self.dispatcher.look()

    async def add_endpoint(
        self,
        url: str,
        *,
        livemode: bool = False,
        api_version: str | None = None,
        secret: str | None = None,
        standard_webhooks: bool = False,
        enabled_events: Sequence[str] = ("*",),
    ) -> WebhookEndpoint:
        """Store an endpoint, by default for all events of its mode; return it, its secret plain."""
        number = len(self.endpoints) + 1
        endpoint = WebhookEndpoint(
            id=f"we_{number}",
            livemode=livemode,
            created=NOW,
            url=url,
            enabled_events=list(enabled_events),
            api_version=api_version,
            description=None,
            metadata={},
            status="enabled",
            secret=secret or f"{SECRET}{number}",
            standard_webhooks=standard_webhooks,
        )

        def command(transaction: Transaction) -> None:
            sealed = seal_secret(TEST_VAULT, endpoint.id, endpoint.secret)
            transaction.objects.insert(msgspec.structs.replace(endpoint, secret=sealed))
            transaction.forget_endpoints()

        await self.committer.execute(command)
        self.endpoints.append(endpoint)
        return endpoint

    async def change(self, endpoint: WebhookEndpoint, **changes: object) -> None:
        """Change an endpoint, as the API does, and let the dispatcher know at once."""

        def command(transaction: Transaction) -> None:
            transaction.objects.update(
                WebhookEndpoint, tables.webhook_endpoint.c.id == endpoint.id, **changes
            )
            transaction.forget_endpoints()

        await self.committer.execute(command)
        if self.dispatcher is not None:
            self.dispatcher.look()

    async def delete(self, endpoint: WebhookEndpoint) -> None:
        """Delete an endpoint and cancel its deliveries, as the API does."""

        def command(transaction: Transaction) -> None:
            transaction.objects.delete(WebhookEndpoint, tables.webhook_endpoint.c.id == endpoint.id)
            transaction.objects.update(
                Delivery,
                tables.delivery.c.endpoint == endpoint.id,
                tables.delivery.c.status == "pending",
                status="canceled",
                next_attempt_at_ms=None,
            )
            transaction.forget_endpoints()

        await self.committer.execute(command)

    async def emit(
        self,
        count: int = 1,
        *,
        livemode: bool = False,
        obj: dict[str, Any] | None = None,
        event_type: str = "customer.created",
    ) -> list[Event]:
        """Commit some events in one transaction."""

        def command(transaction: Transaction) -> list[Event]:
            return [
                transaction.emit(event_type, obj or {"object": "customer"}, livemode=livemode)
                for _ in range(count)
            ]

        return await self.committer.execute(command)

    def deliveries(self, endpoint: WebhookEndpoint | None = None) -> list[Delivery]:
        """Return the deliveries, of one endpoint or of all."""
        where = [] if endpoint is None else [tables.delivery.c.endpoint == endpoint.id]
        return self.store.reader.find(Delivery, *where)

    def statuses(self, endpoint: WebhookEndpoint | None = None) -> list[str]:
        """Return the deliveries' statuses."""
        return [delivery.status for delivery in self.deliveries(endpoint)]

    def attempts(self, endpoint: WebhookEndpoint | None = None) -> list[Attempt]:
        """Return the attempts, of one endpoint or of all."""
        numbers = {delivery.number for delivery in self.deliveries(endpoint)}
        return [a for a in self.store.reader.find(Attempt) if a.delivery in numbers]

    def endpoint(self, endpoint: WebhookEndpoint) -> WebhookEndpoint:
        """Return an endpoint as it is now."""
        return self.store.reader.find(WebhookEndpoint, tables.webhook_endpoint.c.id == endpoint.id)[
            0
        ]

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait until something is so after a commit."""
        async with asyncio.timeout(BOUND_SECONDS):
            while not is_so():
                self._committed.clear()
                await self._committed.wait()

    async def until_attempts(self, count: int) -> list[Attempt]:
        """Wait until at least so many attempts are on record, and return all."""
        await self.until(lambda: len(self.attempts()) >= count)
        return self.attempts()

    async def until_refused(self) -> None:
        """Wait until the committer has refused something."""
        async with asyncio.timeout(BOUND_SECONDS):
            await self.committer.refused.wait()

    async def until_statuses(self, *statuses: str) -> None:
        """Wait until the deliveries have these statuses."""
        await self.until(lambda: self.statuses() == list(statuses))


@asynccontextmanager
async def open_delivery(
    folder: Path,
    *,
    start: bool = True,
    timeout_seconds: int = TIMEOUT_SECONDS,
    clock: Clock | None = None,
    lookup: Lookup | None = None,
) -> AsyncIterator[DeliveryRun]:
    """Run an outbox over the database in a folder, which is made if there is none.

    Args:
        folder: Where the database is.
        start: Whether a dispatcher runs from the beginning.
        timeout_seconds: For one attempt.
        clock: The present, in place of a clock that stands still.
        lookup: Finds the addresses of names.
    """
    path = folder / "meterbell.db"
    migrate(path)
    store = SqliteStore(path)
    settable = SettableClock(NOW * 1000)
    committed = asyncio.Event()

    def on_events(_events: Sequence[Event | ThinEvent], deliveries: Sequence[Delivery]) -> None:
        if run.dispatcher is not None:
            run.dispatcher.wake(deliveries)

    committer = TestCommitter(
        store=store,
        state=State(limits=Limits()),
        clock=clock or settable,
        ids=RandomIds(),
        queue_max=10_000,
        on_events=on_events,
        on_group=lambda _group: committed.set(),
        on_failure=lambda _error: None,
    )
    committer.refused = asyncio.Event()
    settings = Settings(webhook_timeout_seconds=timeout_seconds)
    run = DeliveryRun(
        store, committer, settable, settings, lookup=lookup, ticking=clock, _committed=committed
    )
    committing = asyncio.create_task(committer.run())
    if start:
        run.start()
    try:
        yield run
    finally:
        await run.stop()
        committing.cancel()
        await asyncio.gather(committing, return_exceptions=True)
        store.close()
