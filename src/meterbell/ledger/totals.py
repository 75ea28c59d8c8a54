"""The totals of meters when each hour began: what all customers together used is told by them.

Usage by the time it came in is the difference of two of them, whatever the number of customers is.
While no server runs nothing is used, so an hour that is missing began with the total of the next;
the hour in which a meter was made began with nothing.
"""

import asyncio

import structlog

from meterbell.clock import Clock
from meterbell.engine.fold import HOUR_SECONDS
from meterbell.engine.totals import total_of
from meterbell.errors import OverloadedError, StoreUnavailableError
from meterbell.ledger.committer import Committer
from meterbell.ledger.transaction import Transaction
from meterbell.records import MeterHour
from meterbell.store.dashboard_tables import meter_hour

HOUR_MS = HOUR_SECONDS * 1000
KEPT_HOURS = 400 * 24
"""So many hours are kept: a year and a month."""

_LOOK_SECONDS = 1.0

logger = structlog.get_logger(__name__)


async def note_totals(committer: Committer, clock: Clock) -> None:
    """Write the totals of all meters down when an hour begins, until it is cancelled."""
    noted = -1
    while True:
        hour = clock.now_ms() // HOUR_MS
        if hour != noted:
            try:
                await committer.execute(write_totals)
                noted = hour
            except (OverloadedError, StoreUnavailableError) as error:
                logger.warning("totals of meters wait to be written", error=str(error))
        await asyncio.sleep(_LOOK_SECONDS)


def write_totals(changes: Transaction) -> None:
    """Write the totals of the present hour, of meters that have none for it yet."""
    hour = changes.now_ms // HOUR_MS
    state = changes.state
    for meter, number in state.meter_numbers.items():
        is_new = state.meters[meter].created >= hour * HOUR_SECONDS
        if not is_new and changes.objects.fetch(MeterHour, meter=meter, hour=hour) is None:
            total = str(total_of(state.table, number))
            changes.objects.put(MeterHour(meter=meter, hour=hour, total=total))
    changes.objects.delete(MeterHour, meter_hour.c.hour < hour - KEPT_HOURS)
