"""The request log: kept behind the answers, in batches, for a while.

What is kept waits in memory until a commit takes it along, so a crash loses the last moments of
it; nothing that counts is ever lost with it. Where too much fails at once, or waits, the rest is
counted and left out: a flood of refusals must not become a flood of writes.
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from http import HTTPStatus

import msgspec
import structlog

from meterbell.clock import Clock
from meterbell.errors import OverloadedError, StoreUnavailableError
from meterbell.ledger.committer import Committer
from meterbell.ledger.transaction import Transaction
from meterbell.records import RequestEntry
from meterbell.requestlog.feed import RequestFeed
from meterbell.requestlog.key_use import KeyUse
from meterbell.requestlog.per_second import PerSecond
from meterbell.requestlog.redaction import shown_path, shown_text
from meterbell.store import tables
from meterbell.store.base import Store

FAILURES_PER_SECOND = 20
"""Failed requests kept in each second, for each mode and for keys that name none."""

SHOWN_PER_SECOND = 1000
"""Requests that those who watch are told of in each second."""

WAITING_MAX = 5000
ENTRIES_MAX = 500_000
"""Requests kept at most, however young."""

_BATCH = 200
_FLUSH_SECONDS = 1.0
_TRIM_SECONDS = 60.0
_DAY_MS = 86_400_000
_columns = tables.request.c

logger = structlog.get_logger(__name__)


class _Error(msgspec.Struct):
    type: str | None = None
    code: str | None = None
    param: str | None = None
    message: str = ""


class _ErrorBody(msgspec.Struct):
    error: _Error


_decode_error = msgspec.json.Decoder(_ErrorBody).decode


class RequestLog:
    """Takes in requests when they have been answered.

    Attributes:
        feed: Tells those who watch.
        keys: When API keys were used last.
        left_out: How many requests should have been kept and were not.
    """

    def __init__(self, *, store: Store, committer: Committer, clock: Clock, days: int) -> None:
        """Prepare; nothing is written before `run` or `flush`.

        Args:
            store: Where the log is read, to be trimmed.
            committer: Where it is written.
            clock: The present.
            days: For how long requests are kept; 0 for not at all.
        """
        self._store = store
        self._committer = committer
        self._clock = clock
        self._days = days
        # Past the numbers of any earlier process: there were fewer requests than microseconds.
        self.feed = RequestFeed(newest=clock.now_ms() * 1000)
        self.keys = KeyUse(store=store, committer=committer, clock=clock)
        self.left_out = 0
        self._waiting: list[RequestEntry] = []
        self._skipped: dict[bool | None, int] = {}
        self._failures = PerSecond[bool | None](FAILURES_PER_SECOND)
        self._shown = PerSecond[None](SHOWN_PER_SECOND)
        self._news = asyncio.Event()
        self._flushing = asyncio.Lock()

    def add(
        self,
        *,
        request_id: str,
        method: str,
        path: str,
        is_known: bool,
        status: int,
        body: bytes,
        duration_us: int,
        livemode: bool | None,
        key_last4: str | None,
        is_kept: bool,
    ) -> None:
        """Take in an answered request, unless nobody wants it or there are too many.

        Args:
            request_id: Names it.
            method: Of HTTP.
            path: Decoded, without the query string.
            is_known: Whether there is such a route.
            status: Of the answer.
            body: Of the answer; says what was wrong if something was.
            duration_us: From reading the request to its answer.
            livemode: The key's mode, if it names one.
            key_last4: Of the key, if it is known.
            is_kept: Whether it is to be kept, besides being shown to those who watch.
        """
        now_ms = self._clock.now_ms()
        is_failure = status >= HTTPStatus.BAD_REQUEST
        is_kept = is_kept and self._has_room(livemode, now_ms, is_failure=is_failure)
        is_shown = self.feed.is_listened and self._is_shown(now_ms)
        if not (is_kept or is_shown):
            return
        error = _error_in(body) if is_failure else _Error()
        shown = shown_path(path, is_known=is_known)
        redacted = partial(shown_text, path=path, as_shown=shown)
        entry = RequestEntry(
            id=request_id,
            livemode=livemode,
            created_ms=now_ms - duration_us // 1000,
            method=method[:10],
            path=shown,
            status=status,
            duration_us=duration_us,
            key_last4=key_last4,
            error_type=error.type,
            error_code=error.code,
            error_param=None if error.param is None else redacted(error.param),
            error_message=redacted(error.message) if error.message else None,
            skipped=self._skipped.pop(livemode, 0) if is_kept else 0,
        )
        if is_kept:
            self._waiting.append(entry)
            self._news.set()
        if is_shown:
            self.feed.tell(entry)

    async def run(self) -> None:
        """Write and trim until cancelled; what still waits then is written."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._write())
                tasks.create_task(self._trim())
                tasks.create_task(self.keys.run())
        finally:
            await self.flush()

    async def flush(self) -> None:
        """Write what waits, as far as the commit queue takes it."""
        async with self._flushing:
            while self._waiting:
                batch = self._waiting[:_BATCH]
                # Taken out first: if this is cancelled, what is queued is written all the same.
                del self._waiting[: len(batch)]
                try:
                    await self._committer.execute(partial(_store, batch))
                except (OverloadedError, StoreUnavailableError) as error:
                    self._waiting[:0] = batch
                    logger.debug("requests not logged yet", error=str(error))
                    return

    async def trim(self) -> None:
        """Forget what is too old or too much, a few at a time."""
        while True:
            oldest = self._store.reader.find(RequestEntry, limit=_BATCH)
            newest = self._store.reader.page(RequestEntry, [], limit=1).items
            if not newest:
                return
            old_ms = self._clock.now_ms() - self._days * _DAY_MS
            least = newest[0].number - ENTRIES_MAX
            old = [e for e in oldest if e.created_ms < old_ms or e.number <= least]
            if old:
                await self._committer.execute(partial(_forget, old[-1].number))
            if len(old) < _BATCH:
                return

    async def _write(self) -> None:
        while True:
            await self._news.wait()
            await asyncio.sleep(_FLUSH_SECONDS)
            self._news.clear()
            await self.flush()
            if self._waiting:
                self._news.set()

    async def _trim(self) -> None:
        while True:
            try:
                await self.trim()
            except (OverloadedError, StoreUnavailableError) as error:
                logger.debug("request log not trimmed yet", error=str(error))
            await asyncio.sleep(_TRIM_SECONDS)

    def _has_room(self, livemode: bool | None, now_ms: int, *, is_failure: bool) -> bool:  # noqa: FBT001
        if not self._days:
            return False
        if len(self._waiting) < WAITING_MAX and not (
            is_failure and not self._failures.allows(livemode, now_ms)
        ):
            return True
        self._skipped[livemode] = self._skipped.get(livemode, 0) + 1
        self.left_out += 1
        return False

    def _is_shown(self, now_ms: int) -> bool:
        if self._shown.allows(None, now_ms):
            return True
        self.feed.skip()
        return False


def _store(entries: Sequence[RequestEntry], transaction: Transaction) -> None:
    transaction.objects.insert_many(entries)


def _forget(until: int, transaction: Transaction) -> None:
    transaction.objects.delete(RequestEntry, _columns.number <= until)


def _error_in(body: bytes) -> _Error:
    """Return what an answer says was wrong."""
    try:
        return _decode_error(body).error
    except msgspec.DecodeError:
        return _Error()
