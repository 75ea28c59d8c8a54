"""`python -m bench.start`: how long a start takes with a long log, with a checkpoint and without.

The log is written through the engine and the store, without HTTP. Both starts must give equal
states; the ratio between them is the figure that carries over to other machines.
"""

import argparse
import asyncio
import gc
import resource
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.progress import track

from meterbell.clock import SettableClock
from meterbell.engine.decide import Group
from meterbell.engine.model import Alert, Meter, UsageRequest
from meterbell.engine.state import Limits, State
from meterbell.ids import AlertId, MeterId, RandomIds
from meterbell.ledger.checkpoints import Checkpointer
from meterbell.ledger.committer import Committer
from meterbell.ledger.consequences import store_consequences
from meterbell.ledger.recovery import Recovered, recover
from meterbell.ledger.transaction import Transaction
from meterbell.store.migrations import migrate
from meterbell.store.sqlite import SqliteStore

GROUP = 5000
NOW_MS = 1_767_225_600_000
console = Console()


def fill(store: SqliteStore, state: State, *, events: int, customers: int) -> None:
    """Write usage spread over an hour and over customers, with one alert that some reach."""
    meter = Meter(
        id=MeterId("mtr_bench"),
        livemode=False,
        display_name="Requests",
        event_name="requests",
        formula="sum",
        customer_key="stripe_customer_id",
        value_key="value",
        event_time_window=None,
        status="active",
        created=0,
        updated=0,
        deactivated_at=None,
    )
    with store.transaction():
        store.writer.insert(meter)
    state.put_meter(meter)
    ids = RandomIds()
    for start in track(range(0, events, GROUP), "log", console=console, transient=True):
        now_ms = NOW_MS + 3_600_000 * start // events
        group = Group(state, store.lookup_event, now_ms=now_ms)
        transaction = Transaction(store=store, state=state, group=group, now_ms=now_ms, ids=ids)
        with store.transaction():
            if start == 0:
                create_alert(group, transaction, meter)
            for number in range(start, min(start + GROUP, events)):
                payload = {"stripe_customer_id": f"cus_{number * 7919 % customers}", "value": "1"}
                request = UsageRequest(
                    livemode=False,
                    event_name="requests",
                    payload=payload,
                    identifier=f"identifier-{number:012}",
                    timestamp=None,
                )
                group.record(request, new_identifier="")
            store_consequences(store, group, transaction)
        group.merge()


def create_alert(group: Group, transaction: Transaction, meter: Meter) -> None:
    """Create an alert that a few customers reach at their last event."""
    alert = Alert(
        id=AlertId("alrt_bench"),
        livemode=False,
        title="Bench",
        meter=meter.id,
        customer=None,
        gte=10**6,
        baseline="creation",
        status="active",
        created=0,
        created_sequence=0,
    )
    transaction.objects.insert(group.create_alert(alert, evaluate=False))


async def save_checkpoint(store: SqliteStore, recovered: Recovered) -> float:
    """Save the state; return the seconds it took."""
    clock = SettableClock(NOW_MS + 3_600_000)
    checkpointer = Checkpointer(
        store=store,
        state=recovered.state,
        clock=clock,
        identifiers=recovered.identifiers,
        request_keys=recovered.request_keys,
        piece_sequences=recovered.piece_sequences,
        changed_parts=set(range(64)),
    )
    committer = Committer(
        store=store,
        state=recovered.state,
        clock=clock,
        ids=RandomIds(),
        queue_max=1000,
        on_events=lambda _events, _deliveries: None,
        on_group=checkpointer.note,
        on_failure=lambda error: console.print(str(error)),
    )
    task = asyncio.create_task(committer.run())
    begun = time.perf_counter()
    await checkpointer.save(committer)
    seconds = time.perf_counter() - begun
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return seconds


def timed_start(path: Path) -> tuple[Recovered, float]:
    """Recover as a start of the server does; return the state and the seconds it took."""
    begun = time.perf_counter()
    store = SqliteStore(path)
    recovered = recover(store, limits=Limits(auto_create_customers=True), ids=RandomIds())
    seconds = time.perf_counter() - begun
    store.close()
    return recovered, seconds


def main() -> None:
    """Write a log, then start twice."""
    parser = argparse.ArgumentParser(prog="python -m bench.start", description=__doc__)
    parser.add_argument("--events", type=int, default=5_000_000)
    parser.add_argument("--customers", type=int, default=100_000)
    options = parser.parse_args()
    gc.set_threshold(100_000)  # as the server does
    with tempfile.TemporaryDirectory(prefix="meterbell-bench-") as folder:
        path = Path(folder) / "meterbell.db"
        migrate(path)
        store = SqliteStore(path)
        recovered = recover(store, limits=Limits(auto_create_customers=True), ids=RandomIds())
        begun = time.perf_counter()
        fill(store, recovered.state, events=options.events, customers=options.customers)
        written = time.perf_counter() - begun
        saved = asyncio.run(save_checkpoint(store, recovered))
        store.close()
        size = path.stat().st_size
        live = recovered.state.counters
        with_checkpoint, fast = timed_start(path)
        assert with_checkpoint.state.counters == live
        store = SqliteStore(path)
        with store.transaction():
            store.delete_checkpoints()
        store.close()
        without, slow = timed_start(path)
        assert without.state.counters == live
        assert without.mismatches == 0
    console.print(f"{options.events:,} events of {options.customers:,} customers")
    console.print(
        f"written through the engine in {written:.1f} s, {size / options.events:.0f} B each"
    )
    console.print(f"checkpoint saved in {saved:.2f} s")
    console.print(
        f"start with a checkpoint   {fast:8.2f} s  ({with_checkpoint.replayed:,} replayed)"
    )
    console.print(
        f"start without             {slow:8.2f} s  ({without.replayed:,} replayed, "
        f"{without.replayed / slow:,.0f} events/s)"
    )
    console.print(f"ratio {slow / fast:.1f}; peak memory of this process {_peak_mb():.0f} MB")


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
