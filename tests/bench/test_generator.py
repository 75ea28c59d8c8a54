"""The generator's bytes and tallies, and the recount that is held against them."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import apsw
import msgspec
import numpy as np
import pytest

from bench.load.orders import Kind, Measured, Orders
from bench.load.tally import Tally, write_tally
from bench.load.traffic import UNIT, Traffic, customer_id, event_name
from bench.targets import Result
from bench.verify import MismatchError, verify_log
from bench.world import World
from meterbell.engine.model import EventRow, EventRun
from meterbell.ids import CustomerId, MeterId
from meterbell.store.log import LogWriter
from meterbell.store.migrations import migrate
from meterbell.store.sql import Connection

WORLD = World(customers=50, meters=3)
REQUESTS = 40
Counted = dict[tuple[str, str], int]


def orders(kind: Kind, *, result: str = "", resent: float = 0, decimals: bool = False) -> Orders:
    return Orders(
        port=1,
        kind=kind,
        path="/path",
        token="token",
        run="000001",
        connections=1,
        seconds=1,
        customers=WORLD.customers,
        meters=WORLD.meters,
        result=result,
        resent=resent,
        decimals=decimals,
    )


def events_of(request: bytes) -> list[tuple[str, str, str, int]]:
    """Return identifier, meter, customer and value in thousandths, as a server would read them."""
    head, _, body = request.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    if b"application/json" in head:
        found = [_fields_of(event) for event in msgspec.json.decode(body)["events"]]
    else:
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        payload = {key: form[f"payload[{key}]"] for key in ("stripe_customer_id", "value")}
        found = [_fields_of({**form, "payload": payload})]
    return found


def _fields_of(event: dict[str, Any]) -> tuple[str, str, str, int]:
    payload = event["payload"]
    value = round(float(payload["value"]) * UNIT)
    return event["identifier"], event["event_name"], payload["stripe_customer_id"], value


@pytest.mark.parametrize("kind", ["v1", "v2"])
@pytest.mark.parametrize("decimals", [False, True])
def test_the_tally_is_what_the_acknowledged_bytes_say(kind: Kind, *, decimals: bool) -> None:
    traffic = Traffic(orders(kind, resent=0.2, decimals=decimals))
    seen: dict[str, list[Any]] = {}
    for number in range(REQUESTS * 50):
        block, index = traffic.take()
        events = events_of(traffic.data(block, index))
        if number % 40 == 39:
            traffic.drop(block)
            continue
        traffic.acknowledge(block, index)
        for identifier, *event in events:
            assert seen.setdefault(identifier, event) == event, "repeats are exact"
    acked = traffic.settle()
    counted: Counted = {}
    for meter, customer, value in seen.values():
        counted[meter, customer] = counted.get((meter, customer), 0) + value
    totals = traffic.totals.reshape(WORLD.meters, WORLD.customers)
    assert {
        (event_name(meter), customer_id(customer)): int(totals[meter, customer])
        for meter, customer in np.argwhere(totals)
    } == counted
    assert sorted(int(identifier[-12:]) for identifier in seen) == list(np.flatnonzero(acked))


def test_quiet_customers_get_nothing() -> None:
    asked = orders("v2")
    asked.quiet = 45
    traffic = Traffic(asked)
    customers = {event[2] for _ in range(20) for event in events_of(traffic.data(*traffic.take()))}
    assert customers == {customer_id(number) for number in range(5)}


def test_a_request_is_repeated_only_after_it_was_acknowledged() -> None:
    traffic = Traffic(orders("v2", resent=0.5))
    seen = set()
    for _ in range(100):
        for identifier, *_ in events_of(traffic.data(*traffic.take())):
            assert identifier not in seen
            seen.add(identifier)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({}, None),
        (None, "identifiers of run 000001"),
        ({"identifier": "000001-000000000001"}, "identifiers"),
        ({"identifier": "000009-000000000001"}, "never was"),
        ({"value": "9.5"}, "totals differ"),
        ({"customer": "cus_00000049"}, "totals differ"),
    ],
)
def test_the_recount_notices(
    tmp_path: Path, change: dict[str, str] | None, complaint: str | None
) -> None:
    asked = orders("v2", result=str(tmp_path / "tally.npz"))
    traffic = Traffic(asked)
    block, index = traffic.take()
    events = events_of(traffic.data(block, index))
    traffic.acknowledge(block, index)
    nothing = np.zeros(0)
    acked = traffic.settle()
    tally = Tally(traffic.totals, acked, nothing, nothing, nothing.astype(np.int64))
    write_tally(Path(asked.result), tally)
    database = tmp_path / "meterbell.db"
    migrate(database)
    connection = apsw.Connection(str(database))
    for number in range(WORLD.meters):
        connection.execute(
            "INSERT INTO meter VALUES"
            " (?, ?, 0, 'x', ?, 'sum', 'c', 'v', NULL, 'active', 0, 0, NULL)",
            (number + 1, f"mtr_{number}", event_name(number)),
        )
    rows: list[Any] = [
        EventRow(
            MeterId(f"mtr_{int(meter[-2:])}"),
            CustomerId(customer),
            identifier,
            0,
            str(Decimal(value) / UNIT),
            0,
        )
        for identifier, meter, customer, value in events
    ]
    rows[0:1] = [] if change is None else [rows[0]._replace(**change)]
    connection.close()
    writer = Connection(database)
    LogWriter(writer).append([EventRun.of(1, 0, rows)])
    writer.close()
    found = _outcome(lambda: verify_log(database, WORLD, [_result(asked)]).events)
    if complaint is None:
        assert found == len(events)
    else:
        assert complaint in str(found)


def _outcome(work: Callable[[], int]) -> int | str:
    try:
        return work()
    except MismatchError as error:
        return str(error)


def _result(asked: Orders) -> Result:
    zero: dict[str, Any] = {
        field: 0 for field in Measured.__struct_fields__ if field not in ("quantiles", "failure")
    }
    return Result(orders=asked, measured=Measured(**zero, quantiles=[]))
