"""The ledger over a real SQLite file: committer, checkpoints and recovery without HTTP."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path

import apsw

from meterbell.app import KEYS_FOLDER
from meterbell.clock import SettableClock
from meterbell.engine.alerts import MeterAlerts
from meterbell.engine.counter import NO_DETAIL, Bucket, Counter
from meterbell.engine.hours import add_parts, merge
from meterbell.engine.model import Alert, AlertStatus, Meter, UsageRequest
from meterbell.engine.state import Limits, State, is_plain
from meterbell.errors import StoreFailedError
from meterbell.ids import AlertId, CustomerId, MeterId, RandomIds
from meterbell.ledger.checkpoints import Checkpointer
from meterbell.ledger.committer import Committer
from meterbell.ledger.hours import read_hours
from meterbell.ledger.recovery import Recovered, recover
from meterbell.ledger.transaction import Transaction
from meterbell.records import Customer, Delivery, Event, ThinEvent, TriggerRecord
from meterbell.settings import Settings
from meterbell.store.migrations import migrate
from meterbell.store.sealing import unlock
from meterbell.store.sqlite import SqliteStore
from meterbell.store.tables import alert as alert_table
from meterbell.vault import Vault
from tests.builders import NOW, all_counters, stream_batch
from tests.support.vault import TEST_VAULT


@dataclass
class LedgerRun:
    """A ledger that is open.

    Attributes:
        events: Everything that the committer said was committed.
        failures: Why the store can't be trusted any more.
    """

    store: SqliteStore
    recovered: Recovered
    committer: Committer
    checkpointer: Checkpointer
    clock: SettableClock
    task: asyncio.Task[None]
    events: list[Event | ThinEvent] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    failures: list[StoreFailedError] = field(default_factory=list)

    async def end(self) -> None:
        """Commit what is waiting, and stop."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def create_meter(self, meter: Meter) -> None:
        """Store a meter and make it known."""

        def command(transaction: Transaction) -> None:
            transaction.objects.insert(meter)
            transaction.on_success(lambda: self.recovered.state.put_meter(meter))

        await self.committer.execute(command)

    async def create_customer(self, customer: str) -> None:
        """Store a test-mode customer and make it known."""

        def command(transaction: Transaction) -> None:
            transaction.objects.insert(
                Customer(
                    id=customer,
                    livemode=False,
                    created=transaction.now,
                    deleted=False,
                    email=None,
                    details={},
                )
            )
            transaction.on_success(
                lambda: self.recovered.state.add_customer(CustomerId(customer), livemode=False)
            )

        await self.committer.execute(command)

    async def stream(self, requests: Sequence[UsageRequest]) -> None:
        """Count meter events as a stream request does."""
        identifiers = [request.identifier or RandomIds().token(24) for request in requests]
        await self.committer.begin_stream(stream_batch(requests[0].livemode, requests, identifiers))

    async def create_alert(self, alert: Alert, *, evaluate: bool = False) -> Alert:
        """Store an alert."""

        def command(transaction: Transaction) -> Alert:
            created = transaction.group.create_alert(alert, evaluate=evaluate)
            transaction.objects.insert(created)
            return created

        return await self.committer.execute(command)

    async def set_status(self, alert_id: AlertId, status: AlertStatus) -> None:
        """Change an alert's status."""

        def command(transaction: Transaction) -> None:
            transaction.group.set_alert_status(alert_id, status)
            transaction.objects.update(Alert, alert_table.c.id == alert_id, status=status)

        await self.committer.execute(command)

    async def cancel(self, identifier: str, *, event_name: str = "requests") -> None:
        """Cancel a meter event."""
        await self.committer.execute(
            lambda transaction: transaction.group.cancel(
                livemode=False, event_name=event_name, identifier=identifier
            )
        )

    def triggers(self) -> list[TriggerRecord]:
        """Return the triggers on record."""
        return self.store.reader.find(TriggerRecord)


def _vault_of(path: Path) -> Vault:
    """Return the vault of a database that a server made, or one for tests."""
    key_file = Settings(data=str(path.parent)).key_file
    if not key_file.exists():
        return TEST_VAULT
    return unlock(path, keys=None, key_file=key_file, ids=RandomIds())


def open_recovered(
    path: Path,
    store: SqliteStore | None = None,
    *,
    limits: Limits | None = None,
    now: int = NOW,
) -> tuple[SqliteStore, Recovered]:
    """Open the database at `path` as a start of the server would, without running anything."""
    store = store or SqliteStore(path)
    return store, recover(
        store,
        path.parent / KEYS_FOLDER,
        limits=limits or Limits(),
        clock=SettableClock(now * 1000),
        ids=RandomIds(),
        vault=_vault_of(path),
    )


def everything(state: State, store: SqliteStore) -> object:
    """Return all of a state that decides anything or is asked for, ready to be compared."""
    counters = all_counters(state)
    return (
        state.sequence,
        {key: _without_late(state, key[0], counter) for key, counter in counters.items()},
        {key: all_hours(state, store, *key) for key in counters},
        state.alerts,
        {meter: alerts for meter, alerts in state.meter_alerts.items() if alerts != MeterAlerts()},
        state.cancelled,
        state.log_begins,
        state.customers,
        state.meters,
    )


def _without_late(state: State, meter: str, counter: Counter) -> Counter:
    """Return a counter without what it may hold of hours, which may also be elsewhere."""
    counter = deepcopy(counter)
    if is_plain(state.meters[MeterId(meter)]):
        counter.open_detail().buckets.clear()
    if counter.detail == NO_DETAIL:
        counter.detail = None
    return counter


def all_hours(
    state: State, store: SqliteStore, meter: str, customer: str
) -> dict[int, tuple[Bucket, list[int]]]:
    """Return the hours of a counter, each with the places of its events, whatever its parts."""
    slot = state.slot(MeterId(meter), CustomerId(customer))
    hours = state.table.hours_of(slot)
    until = state.table.stored_until(slot)
    for hour, parts in read_hours(store, slot, until=until, first=0, last=2**40).items():
        add_parts(hours, ((hour, part) for part in parts))
    return {
        hour: (
            merge(parts)._replace(head=0),
            [
                counted.sequence
                for part in parts
                for counted, _ in store.read_chain(state.meters[MeterId(meter)], part.head)
            ],
        )
        for hour, parts in hours.items()
    }


def recovered_state(path: Path, *, now: int = NOW) -> tuple[object, int, int]:
    """Return the state after a start, how many entries were replayed, and trigger mismatches."""
    store, recovered = open_recovered(path, now=now)
    state = everything(recovered.state, store)
    recovered.indexes.close()
    store.close()
    return state, recovered.replayed, recovered.mismatches


def delete_checkpoints(path: Path) -> None:
    """Make the next start replay the whole log."""
    connection = apsw.Connection(str(path))
    connection.execute("DELETE FROM checkpoint")
    connection.close()
    shutil.rmtree(path.parent / KEYS_FOLDER, ignore_errors=True)


@asynccontextmanager
async def open_ledger(
    path: Path,
    *,
    queue_max: int = 10_000,
    limits: Limits | None = None,
    now: int = NOW,
    make_store: Callable[[Path], SqliteStore] = SqliteStore,
) -> AsyncIterator[LedgerRun]:
    """Run a ledger over the database at `path`; nothing is saved at the end but what was."""
    migrate(path)
    store, recovered = open_recovered(path, make_store(path), limits=limits, now=now)
    clock = SettableClock(now * 1000)
    checkpointer = Checkpointer(
        store=store,
        state=recovered.state,
        clock=clock,
        indexes=recovered.indexes,
        saved=recovered.saved,
    )
    events: list[Event | ThinEvent] = []
    deliveries: list[Delivery] = []
    failures: list[StoreFailedError] = []

    def on_events(
        new_events: Sequence[Event | ThinEvent], new_deliveries: Sequence[Delivery]
    ) -> None:
        events.extend(new_events)
        deliveries.extend(new_deliveries)

    committer = Committer(
        store=store,
        state=recovered.state,
        clock=clock,
        ids=RandomIds(),
        queue_max=queue_max,
        on_events=on_events,
        on_group=lambda _group: recovered.indexes.freeze_if_due(
            recovered.state.sequence, now_ms=clock.now_ms()
        ),
        on_failure=failures.append,
    )
    task = asyncio.create_task(committer.run())
    ledger = LedgerRun(
        store, recovered, committer, checkpointer, clock, task, events, deliveries, failures
    )
    try:
        yield ledger
    finally:
        await ledger.end()
        recovered.indexes.close()
        store.close()
