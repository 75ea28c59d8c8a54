"""Fill a data folder with a month of usage: meters, alerts, customers, and what they did.

`python -m bench.fill FOLDER` makes one to look at the dashboard with, or to try anything else on.
Meterbell itself does the work, in this process and with a clock that runs fast: closed hours, saved
pieces and identifiers are as they would be after such a month.
"""

import argparse
import asyncio
import time
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct
from typing_extensions import override

from bench.load.traffic import customer_id, event_name
from bench.prepare import add_customers, usual_usage
from bench.show import Progress
from meterbell.app import running
from meterbell.clock import SettableClock, SystemClock
from meterbell.dashboard import accounts
from meterbell.engine.model import Alert, Meter
from meterbell.engine.stream import StreamBatch
from meterbell.ids import AlertId, CustomerId, MeterId, RandomIds, new_id
from meterbell.ledger.transaction import Transaction
from meterbell.services import Services
from meterbell.settings import Settings

_BATCH = 4000
_DAY_MS = 86_400_000
_SKEW = 3
"""The share of customers to the power of one by this many have that share of the usage."""
_THRESHOLDS = (100, 300, 900, 2_700, 8_100)
_OWN_ALERTS_EVERY = 100


class Filling(Struct, frozen=True, kw_only=True):
    """What a folder is filled with, in test mode."""

    customers: int = 100_000
    meters: int = 10
    events: int = 10_000_000
    days: int = 30


class Filled(Struct, frozen=True, kw_only=True):
    """One of each of what a folder was filled with, those with the most usage.

    Attributes:
        meter_event: The place of the latest in commit order.
        session: The cookie of an admin who is signed in to the dashboard.
    """

    customer: str
    meter: str
    alert: str
    meter_event: str = ""
    session: str = ""


class _FastClock(SettableClock):
    """Runs fast, but measures as usual."""

    @override
    def monotonic_ns(self) -> int:
        return SystemClock().monotonic_ns()


def fill(folder: Path, filling: Filling) -> Filled:
    """Fill a folder that no server uses; usage ends now."""
    now_ms = SystemClock().now_ms()
    begin_ms = now_ms - filling.days * _DAY_MS
    _add_customers(folder, filling.customers, begin_ms // 1000)
    return asyncio.run(_fill(folder, filling, begin_ms, now_ms))


async def _fill(folder: Path, filling: Filling, begin_ms: int, now_ms: int) -> Filled:
    settings, clock = Settings(data=str(folder)), _FastClock(begin_ms)
    failures: list[Exception] = []
    async with running(
        settings, clock=clock, ids=RandomIds(), on_failure=failures.append
    ) as services:
        made = await services.committer.execute(lambda changes: _make(changes, filling))
        with Progress("usage", filling.events) as progress:
            await _report(services, clock, filling, (begin_ms, now_ms), progress)
        latest = str(services.state.sequence)
        clock.set(now_ms)
        session = await services.committer.execute(_sign_in)
    assert not failures, failures
    return msgspec.structs.replace(made, meter_event=latest, session=session)


def _sign_in(changes: Transaction) -> str:
    """Return the cookie of a new admin."""
    token = accounts.new_token(changes.ids)
    admin = accounts.add_user(changes, "bench", role="admin", password=None)
    accounts.open_session(changes, admin, token)
    return token


async def _report(
    services: Services,
    clock: _FastClock,
    filling: Filling,
    span: tuple[int, int],
    progress: Progress,
) -> None:
    random = np.random.default_rng(1)
    begin_ms, now_ms = span
    for done in range(0, filling.events, _BATCH):
        clock.set(begin_ms + (now_ms - begin_ms) * done // filling.events)
        count = min(_BATCH, filling.events - done)
        await services.committer.begin_stream(_usage(random, filling, done, count))
        progress.reach(done)


def _make(changes: Transaction, filling: Filling) -> Filled:
    """Make meters with alerts for any customer, and on the first one for some single customers."""
    meters, alerts = [], []
    for number in range(filling.meters):
        meter = Meter(
            id=MeterId(new_id(changes.ids, "mtr", livemode=False)),
            livemode=False,
            display_name=f"Requests of kind {number}",
            event_name=event_name(number),
            formula="sum",
            customer_key="stripe_customer_id",
            value_key="value",
            event_time_window=None,
            status="active",
            created=changes.now,
            updated=changes.now,
            deactivated_at=None,
        )
        changes.objects.insert(meter)
        changes.state.put_meter(meter)
        meters.append(meter.id)
        alerts += [_add_alert(changes, meter.id, gte, None) for gte in _THRESHOLDS]
    for number in range(0, filling.customers, _OWN_ALERTS_EVERY):
        _add_alert(changes, meters[0], 10_000, CustomerId(customer_id(number)))
    return Filled(customer=customer_id(0), meter=meters[0], alert=alerts[0])


def _add_alert(
    changes: Transaction, meter: MeterId, gte: int, customer: CustomerId | None
) -> AlertId:
    alert = Alert(
        id=AlertId(new_id(changes.ids, "alrt", livemode=False)),
        livemode=False,
        title=f"{gte:,} requests used",
        meter=meter,
        customer=customer,
        gte=gte,
        baseline="creation",
        status="active",
        created=changes.now,
        created_sequence=0,
    )
    changes.objects.insert(changes.group.create_alert(alert, evaluate=False))
    return alert.id


def _usage(random: np.random.Generator, filling: Filling, done: int, count: int) -> StreamBatch:
    """Return meter events of the usual shape, most of them of few customers."""
    customers = (filling.customers * random.random(count) ** _SKEW).astype(int).tolist()
    meters = random.integers(filling.meters, size=count).tolist()
    return usual_usage(range(done, done + count), meters=meters, customers=customers)


def _add_customers(folder: Path, count: int, created: int) -> None:
    rows = (
        (customer_id(n), created, f"person-{n}@example.com", f'{{"name":"Customer {n}"}}')
        for n in range(count)
    )
    add_customers(folder, rows)


def main() -> None:
    """Fill the folder that is named."""
    parser = argparse.ArgumentParser(prog="python -m bench.fill", description=__doc__)
    parser.add_argument("folder", type=Path)
    defaults = Filling()
    for name in Filling.__struct_fields__:
        default = getattr(defaults, name)
        parser.add_argument(f"--{name}", type=int, default=default, help=f"({default:,})")
    given = parser.parse_args()
    begun = time.monotonic()
    made = fill(
        given.folder,
        Filling(**{name: getattr(given, name) for name in Filling.__struct_fields__}),
    )
    print(f"{time.monotonic() - begun:.0f} s", made)


if __name__ == "__main__":
    main()
