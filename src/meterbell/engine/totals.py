"""What all counters of a meter hold together. Exact, however many there are."""

from meterbell.engine.growing import Numbers
from meterbell.engine.table import TOTAL, TOTAL_PART, CounterTable
from meterbell.engine.value import SCALE

_HALF = 32
_LOW_HALF = (1 << _HALF) - 1


def total_of(table: CounterTable, meter: int) -> int:
    """Return the sum of a meter's totals, in units of 10^-12.

    Args:
        table: The counters.
        meter: Its number there.
    """
    _, slots = table.counters_of(meter)
    total = _sum(table.rows[slots, TOTAL]) * SCALE + _sum(table.rows[slots, TOTAL_PART])
    return total + sum(table.load(slot).total for slot in table.large_of(meter))


def _sum(numbers: Numbers) -> int:
    # In two halves: so many whole numbers may be beyond 64 bits together.
    return (int((numbers >> _HALF).sum()) << _HALF) + int((numbers & _LOW_HALF).sum())
