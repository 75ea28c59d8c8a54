"""Those who wait for new events: the Stripe CLI, `meterbell listen` and open pages."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection

from meterbell.clock import Clock
from meterbell.delivery.listening import Listening, Socket
from meterbell.ledger.committer import Committer
from meterbell.records import Listener
from meterbell.store.base import Store
from meterbell.store.sealing import LISTENER_SECRETS, read_fact
from meterbell.vault import Vault

_STOP_SECONDS_MAX = 3.0
_LOOK_SECONDS = 60.0


class EventFeed:
    """Wakes everybody who waits for the next committed event."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def notify(self) -> None:
        """Say that events were committed."""
        self._next.set()
        self._next = asyncio.Event()

    async def wait(self, *, timeout_seconds: float) -> bool:
        """Wait for the next committed event; return whether one came in time."""
        # Not `wait_for`, which forgets a cancellation that comes together with an event.
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._next.wait()
        except TimeoutError:
            return False
        return True


class Listeners:
    """All that are connected by a websocket."""

    def __init__(
        self, *, store: Store, committer: Committer, clock: Clock, vault: Vault, feed: EventFeed
    ) -> None:
        """Prepare; `run` must run as long as anybody is served.

        Args:
            store: Where events are read.
            committer: Where progress is written.
            clock: The present.
            vault: Opens the secret that events are signed with.
            feed: Tells that there are events.
        """
        self._store = store
        self._committer = committer
        self._clock = clock
        self._vault = vault
        self._feed = feed
        self._connected: dict[str, Listening] = {}
        self.is_stopping = False

    @property
    def connected(self) -> Collection[str]:
        """Ids of those that are connected."""
        return self._connected.keys()

    async def run(self) -> None:
        """Wake everybody when there is something to send, until cancelled."""
        while True:
            await self._feed.wait(timeout_seconds=_LOOK_SECONDS)
            for listening in self._connected.values():
                listening.wake()

    async def serve(
        self,
        listener_id: str,
        socket: Socket,
        *,
        livemode: bool,
        is_allowed: Callable[[], bool],
        also: Callable[[Listener], AsyncGenerator[bytes, None] | None],
    ) -> None:
        """Serve a connection until it is over; it takes the place of an older one.

        Args:
            listener_id: Whose connection it is.
            socket: The connection, open.
            livemode: The listener's mode.
            is_allowed: Asked again and again: whether its key is still valid.
            also: Other frames to be sent as they come.
        """
        while (older := self._connected.get(listener_id)) is not None:
            # Nobody has two: the older one broke, which the network did not tell yet.
            older.drop()
            await older.ended.wait()
        listener = self._store.reader.get(Listener, listener_id, livemode=livemode)
        secret = read_fact(self._store.reader, self._vault, LISTENER_SECRETS[livemode])
        assert secret is not None, "it was made with the first listener"
        if listener is None:
            return
        listening = Listening(
            listener,
            socket,
            store=self._store,
            committer=self._committer,
            clock=self._clock,
            secret=secret,
            is_allowed=is_allowed,
        )
        self._connected[listener_id] = listening
        if self.is_stopping:
            listening.stop()
        try:
            await listening.run(also(listener))
        finally:
            del self._connected[listener_id]

    async def stop(self) -> None:
        """Close all connections, after acknowledgements that are on their way; take no new ones."""
        self.is_stopping = True
        listening = list(self._connected.values())
        for one in listening:
            one.stop()
        ends = [asyncio.create_task(one.ended.wait()) for one in listening]
        if ends:
            await asyncio.wait(ends, timeout=_STOP_SECONDS_MAX)
            for end in ends:
                end.cancel()
