"""The outbox: deliveries due → attempts, one lane an endpoint.

Each lane is a task with a few slots of its own, so an endpoint that hangs holds up nobody else
(D2); the limit of endpoints bounds all connections together. What was sent but not recorded when
the process ended is sent again, with the same event id and body (D1).
"""

import asyncio
from collections.abc import Sequence

import structlog

from meterbell.clock import Clock
from meterbell.delivery.channels.announcer import Announcer
from meterbell.delivery.egress import Egress
from meterbell.delivery.lane import Lane
from meterbell.delivery.lookup import Lookup
from meterbell.delivery.outbox import OnAttempt, Outbox
from meterbell.delivery.sender import Sender
from meterbell.ids import IdSource
from meterbell.ledger.committer import Committer
from meterbell.records import Delivery
from meterbell.settings import Settings
from meterbell.store.base import Store
from meterbell.vault import Vault

_DRAIN_SECONDS = 3.0
_START_SECONDS = 0.01
_READ_AGAIN_SECONDS = 5.0

logger = structlog.get_logger(__name__)


class Dispatcher:
    """Runs one lane for each endpoint that has deliveries."""

    def __init__(
        self,
        *,
        store: Store,
        committer: Committer,
        clock: Clock,
        ids: IdSource,
        settings: Settings,
        egress: Egress,
        vault: Vault,
        lookup: Lookup | None = None,
        drain_seconds: float = _DRAIN_SECONDS,
        on_attempt: OnAttempt | None = None,
        announcer: Announcer | None = None,
    ) -> None:
        """Prepare; nothing runs before `run`.

        Args:
            store: Where deliveries are read.
            committer: Where outcomes are written; it must run as long as the dispatcher does.
            clock: The present.
            ids: Where the jitter of retries comes from.
            settings: Time for one attempt.
            egress: Which addresses may be dialled.
            vault: Opens the secrets of endpoints.
            lookup: Finds the addresses of names.
            drain_seconds: How long attempts in flight may take at the end.
            on_attempt: Told of each attempt once it is on record.
            announcer: Makes the attempts for notification channels.
        """
        self._announcer = announcer
        self._clock = clock
        told = {} if on_attempt is None else {"on_attempt": on_attempt}
        self._outbox = Outbox(store, committer, clock, ids, vault=vault, **told)
        self._timeout_seconds = settings.webhook_timeout_seconds
        self._egress = egress
        self._lookup = lookup or Lookup()
        self._sender: Sender | None = None
        self._lanes: dict[str, Lane] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._drain_seconds = drain_seconds

    async def run(self) -> None:
        """Deliver until cancelled; attempts in flight then get a moment to end."""
        # In a thread, because reading all certificates that the system trusts takes a while.
        sender = await asyncio.to_thread(
            Sender,
            timeout_seconds=self._timeout_seconds,
            egress=self._egress,
            lookup=self._lookup,
        )
        self._sender = sender
        try:
            for endpoint_id, livemode in await self._left():
                self._lane(sender, endpoint_id, livemode=livemode)
                # What is overdue after a start does not all begin at once.
                await asyncio.sleep(_START_SECONDS)
            await asyncio.Event().wait()
        finally:
            self._sender = None
            await self._drain()

    async def _left(self) -> Sequence[tuple[str, bool]]:
        """Return for whom deliveries were left, by an earlier process perhaps."""
        while True:
            try:
                return self._outbox.endpoints_with_deliveries()
            except Exception:
                logger.exception("what waits can't be read yet")
            # New ones are delivered meanwhile.
            await asyncio.sleep(_READ_AGAIN_SECONDS)

    def wake(self, deliveries: Sequence[Delivery]) -> None:
        """Take in new deliveries right after their commit."""
        if self._sender is None:
            return  # `run` reads them from the database, in this process or in the next
        for delivery in deliveries:
            self._lane(self._sender, delivery.endpoint, livemode=delivery.livemode).offer(delivery)

    def look(self) -> None:
        """Look into the database for what is due, after the clock or an endpoint was changed."""
        for lane in self._lanes.values():
            lane.look()

    async def _drain(self) -> None:
        """Begin nothing new, give attempts in flight a moment, then end them."""
        for lane in self._lanes.values():
            lane.stop()
        tasks = set(self._tasks)
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=self._drain_seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _lane(self, sender: Sender, endpoint_id: str, *, livemode: bool) -> Lane:
        lane = self._lanes.get(endpoint_id)
        if lane is None:
            lane = Lane(
                endpoint_id,
                livemode=livemode,
                outbox=self._outbox,
                sender=sender,
                clock=self._clock,
                announcer=self._announcer,
            )
            self._lanes[endpoint_id] = lane
            task = asyncio.create_task(self._run_lane(endpoint_id, lane), name=endpoint_id)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return lane

    async def _run_lane(self, endpoint_id: str, lane: Lane) -> None:
        try:
            await lane.run()
        except Exception:
            logger.exception("a lane failed", endpoint=endpoint_id)
        finally:
            del self._lanes[endpoint_id]
