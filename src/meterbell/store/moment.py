"""Where and when something is changed by those who need no more of a transaction than this."""

from typing import Protocol

from meterbell.ids import IdSource
from meterbell.store.objects import Objects


class Moment(Protocol):
    """An open transaction and its present; `ledger.transaction.Transaction` is one."""

    @property
    def objects(self) -> Objects:
        """Reads and writes."""

    @property
    def ids(self) -> IdSource:
        """New ids, keys and tokens."""

    @property
    def now_ms(self) -> int:
        """The present."""
