"""Fill a server's data folder before it starts, past HTTP: what a million requests would take.

Together with `bench.verify` and `bench.slow_disk` the only part that knows how meterbell stores
things.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import apsw

from bench.api import Api
from bench.load.traffic import customer_id, event_name
from bench.show import Progress
from bench.world import World
from meterbell.app import KEYS_FOLDER
from meterbell.clock import SystemClock
from meterbell.engine.batch import Columns
from meterbell.engine.decide import Group
from meterbell.engine.model import Alert, DefaultPayload, StreamUsage
from meterbell.engine.state import Limits
from meterbell.engine.stream import StreamBatch, record_batches
from meterbell.engine.values import Values
from meterbell.errors import StoreFailedError, StoreUnavailableError
from meterbell.ids import AlertId, CustomerId, MeterId, RandomIds
from meterbell.ledger.consequences import store_consequences
from meterbell.ledger.recovery import recover
from meterbell.ledger.transaction import Transaction
from meterbell.settings import Settings
from meterbell.store.migrations import migrate
from meterbell.store.sealing import unlock
from meterbell.store.sqlite import SqliteStore

_GROUP = 5000
_CREATED = 1_767_225_600
_OLDEST_MS, _NEWEST_MS = 3 * 3_600_000, 3_600_000
_STEP = 7919
_LOCKED_SECONDS = 0.02
_INSERT_CUSTOMER = (
    "INSERT INTO customer (id, livemode, created, deleted, email, details)"
    " VALUES (?, 0, ?, 0, ?, ?)"
)


def prepare_customers(folder: Path, count: int) -> None:
    """Create customers in test mode, in a data folder that no server uses."""
    add_customers(folder, ((customer_id(number), _CREATED, None, "{}") for number in range(count)))


def add_customers(folder: Path, rows: Iterable[tuple[str, int, str | None, str]]) -> None:
    """Create customers in test mode: id, second, e-mail address, and other details as JSON."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = folder / "meterbell.db"
    migrate(database)
    connection = apsw.Connection(str(database))
    with connection:
        connection.executemany(_INSERT_CUSTOMER, rows)
    connection.close()


def prepare_meters(api: Api, world: World) -> list[str]:
    """Create meters and their alerts for any customer at a running server; return the ids."""
    return [_meter(api, number, world.thresholds()) for number in range(world.meters)]


def prepare_customer_alerts(folder: Path, meter: str, *, customers: int, each: int) -> None:
    """Create alerts for single customers that no usage reaches; no server uses the folder."""
    with Progress("alerts", customers * each) as progress:
        groups = _groups(folder, lambda: _CREATED * 1000)
        wanted = _alerts(meter, customers, each)
        done = 0
        for group, transaction in groups:
            for _, alert in zip(range(_GROUP), wanted, strict=False):
                transaction.objects.insert(group.create_alert(alert, evaluate=False))
            done += _GROUP
            progress.reach(done)


def prepare_usage(folder: Path, *, events: int, customers: int) -> None:
    """Write usage of one to three hours ago to the log, spread evenly over customers."""
    now_ms = int(time.time() * 1000)  # noqa: TID251 - the server's clock
    done = 0

    def received_ms() -> int:
        return now_ms - _OLDEST_MS + (_OLDEST_MS - _NEWEST_MS) * done // events

    values = Values()
    with Progress("usage", events) as progress:
        for group, _ in _groups(folder, received_ms):
            numbers = range(done, min(done + _GROUP, events))
            if numbers:
                chosen = [number * _STEP % customers for number in numbers]
                batch = usual_usage(numbers, meters=[0] * len(numbers), customers=chosen)
                record_batches(group, [batch], values)
            done = min(done + _GROUP, events)
            progress.reach(done)


def usual_usage(numbers: range, *, meters: Sequence[int], customers: Sequence[int]) -> StreamBatch:
    """Return meter events of the usual shape in test mode, one unit each."""
    count = len(numbers)
    # Only events of another shape are looked at by themselves.
    shape = StreamUsage(event_name(0), DefaultPayload(CustomerId(""), "1"))
    columns = Columns(
        names=[event_name(meter) for meter in meters],
        customers=[CustomerId(customer_id(customer)) for customer in customers],
        texts=["1"] * count,
        timestamps=[None] * count,
        identifiers=[f"filled-{number:012}" for number in numbers],
        events=[shape] * count,
    )
    return StreamBatch(livemode=False, columns=columns)


def _groups(folder: Path, now_ms: Callable[[], int]) -> Iterator[tuple[Group, Transaction]]:
    """Yield groups to put something in, each of which is then committed; ends with an empty one."""
    ids, settings = RandomIds(), Settings(data=str(folder))
    vault = unlock(settings.database, keys=None, key_file=settings.key_file, ids=ids)
    store = SqliteStore(settings.database)
    recovered = recover(
        store, folder / KEYS_FOLDER, limits=Limits(), clock=SystemClock(), ids=ids, vault=vault
    )
    state = recovered.state
    is_empty = False
    while not is_empty:
        now = now_ms()
        group = Group(state, store.find_event, now_ms=now)
        transaction = Transaction(store=store, state=state, group=group, now_ms=now, ids=ids)
        with _begun(store):
            yield group, transaction
            store_consequences(group, transaction)
            store.append(group.entries)
        is_empty = not group.entries
        recovered.indexes.freeze_if_due(state.sequence, now_ms=now)
    recovered.indexes.settle()
    recovered.indexes.close()
    store.close()


def _begun(store: SqliteStore) -> ExitStack:
    """Return an open transaction, once nobody moves the write-ahead log."""
    while True:
        stack = ExitStack()
        try:
            stack.enter_context(store.transaction())
        except StoreFailedError:
            raise
        except StoreUnavailableError:
            time.sleep(_LOCKED_SECONDS)
        else:
            return stack


def _meter(api: Api, number: int, thresholds: list[int]) -> str:
    meter = api.post(
        "/v1/billing/meters",
        {
            "display_name": f"Bench {number}",
            "event_name": event_name(number),
            "default_aggregation[formula]": "sum",
        },
    )["id"]
    for gte in thresholds:
        api.post(
            "/v1/billing/alerts",
            {
                "alert_type": "usage_threshold",
                "title": f"At {gte}",
                "usage_threshold[meter]": meter,
                "usage_threshold[gte]": gte,
                "usage_threshold[recurrence]": "one_time",
            },
        )
    return str(meter)


def _alerts(meter: str, customers: int, each: int) -> Iterator[Alert]:
    """Yield alerts with thresholds that are out of reach."""
    for customer in range(customers):
        for number in range(each):
            yield Alert(
                id=AlertId(f"alrt_test_{customer}_{number}"),
                livemode=False,
                title="Bench",
                meter=MeterId(meter),
                customer=CustomerId(customer_id(customer)),
                gte=10**9 + number,
                baseline="creation",
                status="active",
                created=_CREATED,
                created_sequence=0,
            )
