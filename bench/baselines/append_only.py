"""Baseline: a bare loop that decodes batches and appends a row for each event to SQLite.

Durable like the server (write-ahead log, synced at every commit, moved into the file by a second
connection), in one process and without HTTP, duplicates, counters or alerts. What it reaches is
about what a store with a row for each event allows.

`python -m bench.baselines.append_only FOLDER BATCH GROUP SECONDS` prints JSON.
"""

import json
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import apsw
import msgspec
from msgspec import Struct

from bench.load.orders import Orders
from bench.load.traffic import Traffic
from bench.world import World

_BODIES = 320
_MOVE_SECONDS = 0.1
_INSERT = "INSERT INTO log VALUES (?,?,?,?,?)"
_SCHEMA = (
    "CREATE TABLE log (received_ms INTEGER, meter TEXT, customer TEXT, identifier TEXT, value TEXT)"
)


class _Payload(Struct):
    stripe_customer_id: str
    value: str


class _Event(Struct):
    event_name: str
    identifier: str
    payload: _Payload


class _Batch(Struct):
    events: list[_Event]


def _open(path: Path) -> apsw.Connection:
    connection = apsw.Connection(str(path))
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "wal_autocheckpoint = 0"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _move(path: Path, stop: threading.Event) -> None:
    """Move the write-ahead log into the file, as often as the server does or more."""
    connection = _open(path)
    while not stop.wait(_MOVE_SECONDS):
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
    connection.close()


def _bodies(batch: int) -> list[bytes]:
    """Return bodies as the generator sends them."""
    world = World()
    orders = Orders(
        port=0,
        kind="v2",
        path="/",
        token="none",
        run="000000",
        batch=batch,
        connections=1,
        seconds=0,
        customers=world.customers,
        meters=world.meters,
        result="",
    )
    traffic = Traffic(orders)
    return [traffic.data(*traffic.take()).partition(b"\r\n\r\n")[2] for _ in range(_BODIES)]


def _rows(batches: list[_Batch], now_ms: int) -> Iterator[tuple[int, str, str, str, str]]:
    for batch in batches:
        for event in batch.events:
            payload = event.payload
            yield (
                now_ms,
                event.event_name,
                payload.stripe_customer_id,
                event.identifier,
                payload.value,
            )


def run(folder: Path, *, batch: int, group: int, seconds: float) -> float:
    """Return events a second."""
    bodies = _bodies(batch)
    path = folder / "append-only.db"
    connection = _open(path)
    connection.execute(_SCHEMA)
    decode = msgspec.json.Decoder(_Batch).decode
    stop = threading.Event()
    mover = threading.Thread(target=_move, args=(path, stop))
    mover.start()
    events = at = 0
    begun = time.perf_counter()
    while time.perf_counter() - begun < seconds:
        batches = [decode(bodies[(at + step) % _BODIES]) for step in range(group)]
        at += group
        with connection:
            connection.executemany(_INSERT, _rows(batches, int(begun)))
        events += group * batch
    taken = time.perf_counter() - begun
    stop.set()
    mover.join()
    written = connection.execute("SELECT count(*) FROM log").fetchone()
    assert written == (events,), f"{written} rows of {events} events"
    connection.close()
    return events / taken


if __name__ == "__main__":
    rate = run(
        Path(sys.argv[1]),
        batch=int(sys.argv[2]),
        group=int(sys.argv[3]),
        seconds=float(sys.argv[4]),
    )
    print(json.dumps({"rate": rate}))
