"""A group of requests → what is to be written, and what each is answered.

One failing request never fails its neighbours.
"""

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, TypeVar, cast

import structlog

from meterbell.clock import Clock
from meterbell.engine.decide import Group
from meterbell.engine.model import MeterEvent, UsageRequest
from meterbell.engine.state import State
from meterbell.engine.stream import StreamBatch, record_batches, record_requests
from meterbell.engine.values import Values
from meterbell.errors import MeterbellError, StoreUnavailableError
from meterbell.ids import IdSource
from meterbell.ledger.consequences import store_consequences, store_new_customers
from meterbell.ledger.transaction import Transaction
from meterbell.store.base import Store

T = TypeVar("T")
Command = Callable[[Transaction], T]
"""A control change; it raises before it changes anything through `transaction.group`."""

Request = UsageRequest | StreamBatch | Command[Any]

logger = structlog.get_logger(__name__)


class Decider:
    """Decides groups against one state, inside a transaction of the store that is open."""

    def __init__(self, store: Store, state: State, clock: Clock, ids: IdSource) -> None:
        """Prepare.

        Args:
            store: Where the transaction is open.
            state: What groups are decided against, and what they change.
            clock: The present.
            ids: New ids.
        """
        self._store = store
        self._state = state
        self._clock = clock
        self._ids = ids
        self._values = Values()

    def decide(self, requests: Sequence[Request]) -> tuple[Group, Transaction, list[Any]]:
        """Decide requests in their order; return what each is answered, errors for those refused.

        Raises:
            StoreUnavailableError: The store can't be read or written.
        """
        now_ms = self._clock.now_ms()
        group = Group(self._state, self._find_event, now_ms=now_ms)
        transaction = Transaction(
            store=self._store, state=self._state, group=group, now_ms=now_ms, ids=self._ids
        )
        outcomes: list[Any] = []
        for (kind, _), alike in groupby(requests, key=_kind_and_mode):
            together: list[Any] = list(alike)
            if kind is StreamBatch:
                outcomes += self._safely(group, together, self._count_streams)
            elif kind is UsageRequest:
                outcomes += self._safely(group, together, self._count_single)
            else:
                outcomes += [self._outcome(request, group, transaction) for request in together]
            if group.new_customers:
                store_new_customers(group, transaction)
        store_consequences(group, transaction)
        return group, transaction, outcomes

    def _outcome(self, command: Command[Any], group: Group, transaction: Transaction) -> object:
        """Return a command's result, or the exception to raise for it."""
        try:
            with self._store.savepoint():
                result = command(transaction)
        except StoreUnavailableError:
            raise
        except MeterbellError as error:
            transaction.fail()
            return error
        except Exception as error:
            if group.is_changing:
                raise  # only the log knows what is true now
            transaction.fail()
            logger.exception("a request failed unexpectedly")
            return error
        transaction.succeed()
        return result

    def _safely(
        self,
        group: Group,
        requests: list[Any],
        count: Callable[[Group, list[Any]], Sequence[object]],
    ) -> Sequence[object]:
        """Count requests together; after a fault one by one, so that it fails only one of them."""
        try:
            return count(group, requests)
        except Exception as error:
            if group.is_changing:
                raise  # only the log knows what is true now
            if len(requests) > 1:
                return [self._safely(group, [request], count)[0] for request in requests]
            logger.exception("a request failed unexpectedly")
            return [error]

    def _count_streams(self, group: Group, batches: list[StreamBatch]) -> Sequence[object]:
        record_batches(group, batches, self._values)
        return [None] * len(batches)

    def _count_single(self, group: Group, requests: list[UsageRequest]) -> Sequence[object]:
        names = ["" if request.identifier else self._new_identifier() for request in requests]
        return record_requests(group, requests, names, self._values)

    def _new_identifier(self) -> str:
        return f"idmp_{self._ids.token(24)}"

    def _find_event(self, sequence: int) -> MeterEvent | None:
        event = self._store.find_event(sequence)
        assert event is not None, f"the log has no meter event {sequence}"
        return event


def _kind_and_mode(request: Request) -> tuple[type | None, bool]:
    """Return what a request is, None for a command, and its mode: such requests go together."""
    kind = type(request)
    if kind is UsageRequest or kind is StreamBatch:
        return kind, cast("UsageRequest | StreamBatch", request).livemode
    return None, False
