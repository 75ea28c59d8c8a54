"""When API keys were used last: kept in memory, written down now and then.

A crash forgets the last minute of it. Whoever recognises keys tells this once a second for each key
at most, however many requests come with it.
"""

import asyncio
from collections.abc import Mapping

import structlog

from meterbell.clock import Clock
from meterbell.errors import OverloadedError, StoreUnavailableError
from meterbell.ledger.committer import Committer
from meterbell.ledger.transaction import Transaction
from meterbell.records import ApiKeyUse
from meterbell.store.base import Store

_WRITE_SECONDS = 60.0

logger = structlog.get_logger(__name__)


class KeyUse:
    """Notes that keys are used."""

    def __init__(self, *, store: Store, committer: Committer, clock: Clock) -> None:
        """Prepare; nothing is written before `run` or `flush`.

        Args:
            store: Where it is read.
            committer: Where it is written.
            clock: The present.
        """
        self._store = store
        self._committer = committer
        self._clock = clock
        self._waiting: dict[str, int] = {}

    def note(self, key_id: str) -> None:
        """Take in that a stored key is used now."""
        self._waiting[key_id] = self._clock.now_ms()

    def last_ms(self) -> Mapping[str, int]:
        """Return when each key was used last; those that never were are not in it."""
        stored = self._store.reader.find(ApiKeyUse)
        return {use.key: use.used_ms for use in stored} | self._waiting

    async def run(self) -> None:
        """Write until cancelled, and once more then."""
        try:
            while True:
                await asyncio.sleep(_WRITE_SECONDS)
                await self.flush()
        finally:
            await self.flush()

    async def flush(self) -> None:
        """Write what waits, as far as the commit queue takes it."""
        waiting = dict(self._waiting)
        if not waiting:
            return

        def write(transaction: Transaction) -> None:
            for key, used_ms in waiting.items():
                transaction.objects.put(ApiKeyUse(key=key, used_ms=used_ms))

        try:
            await self._committer.execute(write)
        except (OverloadedError, StoreUnavailableError) as error:
            logger.debug("use of keys not written yet", error=str(error))
            return
        for key, used_ms in waiting.items():
            if self._waiting[key] == used_ms:
                del self._waiting[key]
