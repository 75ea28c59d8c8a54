"""Error reports: refused meter events of streams, gathered by window, told as thin events.

What is refused is written down in the transaction of the usage beside it, and a window's events are
made in the transaction that deletes its rows: no report is lost, and none comes twice (contract
§2.12).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import groupby

import msgspec
import structlog

from meterbell.clock import Clock
from meterbell.engine.model import Refusal, RefusalReason
from meterbell.errors import OverloadedError, StoreUnavailableError
from meterbell.ledger.transaction import Transaction
from meterbell.records import ErrorSample, ErrorWindow
from meterbell.store import tables
from meterbell.store.base import Store
from meterbell.wire.objects_v2 import render_error_report

WINDOW_SECONDS = 10
SAMPLES_MAX = 10

Execute = Callable[[Callable[[Transaction], None]], Awaitable[None]]
"""Runs a command in commit order, as `Committer.execute` does."""

_LOOK_SECONDS = 1.0
_columns = tables.error_window.c

logger = structlog.get_logger(__name__)


def note_refusals(transaction: Transaction, refusals: Sequence[Refusal]) -> None:
    """Add refused meter events to the window that is open at the transaction's present."""
    started = transaction.now - transaction.now % WINDOW_SECONDS
    counts: dict[tuple[bool, str, RefusalReason], int] = {}
    samples: dict[tuple[bool, str, RefusalReason], list[ErrorSample]] = {}
    for refusal in refusals:
        key = (refusal.livemode, refusal.meter or "", refusal.reason)
        counts[key] = counts.get(key, 0) + 1
        shown = samples.setdefault(key, [])
        if len(shown) < SAMPLES_MAX:
            shown.append({"message": refusal.message, "identifier": refusal.identifier})
    for key, errors in counts.items():
        livemode, meter, reason = key
        found = transaction.objects.fetch(
            ErrorWindow, livemode=livemode, meter=meter, started=started, reason=reason
        )
        before = found or ErrorWindow(
            livemode=livemode, meter=meter, started=started, reason=reason, errors=0, samples=[]
        )
        transaction.objects.put(
            msgspec.structs.replace(
                before,
                errors=before.errors + errors,
                samples=[*before.samples, *samples[key]][:SAMPLES_MAX],
            )
        )


def report_window(transaction: Transaction, *, started: int) -> None:
    """Turn the window that began at an instant into its events: one a meter, one without meter."""
    rows = transaction.objects.find(ErrorWindow, _columns.started == started)
    transaction.objects.delete(ErrorWindow, _columns.started == started)
    for (livemode, meter), group in groupby(rows, key=lambda row: (row.livemode, row.meter)):
        transaction.emit_thin(
            "v1.billing.meter.error_report_triggered"
            if meter
            else "v1.billing.meter.no_meter_found",
            livemode=livemode,
            related=("billing.meter", meter) if meter else None,
            data=render_error_report(list(group), ended=started + WINDOW_SECONDS),
        )


class Reporter:
    """Reports windows once they have ended."""

    def __init__(
        self, *, store: Store, execute: Execute, clock: Clock, look_seconds: float = _LOOK_SECONDS
    ) -> None:
        """Prepare; nothing runs before `run`.

        Args:
            store: Where windows are read.
            execute: Runs a command in commit order.
            clock: The present.
            look_seconds: How often to look for windows that have ended.
        """
        self._look_seconds = look_seconds
        self._store = store
        self._execute = execute
        self._clock = clock

    async def run(self) -> None:
        """Report until cancelled; what can't be reported now is reported later."""
        while True:
            await asyncio.sleep(self._look_seconds)
            try:
                await self.report()
            except (OverloadedError, StoreUnavailableError) as error:
                logger.warning("errors not reported yet", error=str(error))
            except Exception:
                logger.exception("errors can't be reported")

    async def report(self) -> None:
        """Report every window that has ended.

        Raises:
            OverloadedError: The commit queue is full; the rest is not reported yet.
            StoreUnavailableError: It is not known whether a window was reported.
        """
        while True:
            oldest = self._store.reader.find(
                ErrorWindow,
                _columns.started <= self._clock.now_ms() // 1000 - WINDOW_SECONDS,
                order_by=_columns.started,
                limit=1,
            )
            if not oldest:
                return
            await self._execute(partial(report_window, started=oldest[0].started))
