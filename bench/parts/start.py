"""Starts of the server, and what it holds in memory."""

import time
from pathlib import Path

from bench.api import Api
from bench.context import Context, median
from bench.load.traffic import customer_id
from bench.outcome import Chart, Outcome, Series, Table
from bench.prepare import prepare_customers, prepare_meters, prepare_usage
from bench.process import memory_mb
from bench.servers import START_SECONDS
from bench.verify import MismatchError
from bench.world import World
from tests.support.server import ServerProcess

_SHARE = 4
_BYTES = 2**20


def start(context: Context) -> Outcome:
    """Time starts with and without a checkpoint; weigh counters and identifiers."""
    events, customers = context.options.start_events, context.options.start_customers
    outcome = Outcome(name="start", figures={}, tables=[])
    for number in range(context.options.rounds):
        folder = context.folder / f"start-{number}"
        folder.mkdir()
        full = _starts(folder / "full", events, customers)
        fewer_events = _starts(folder / "events", events // _SHARE, customers)
        fewer_customers = _starts(folder / "customers", events, customers // _SHARE)
        server = ServerProcess(folder / "idle")
        idle_seconds = _timed(server)
        idle = memory_mb(server.pid)
        server.stop()
        outcome.rounds.append(
            {
                "idle_mb": idle,
                "empty_start_seconds": idle_seconds,
                "bytes_per_identifier": _slope(full, fewer_events, events),
                "bytes_per_counter": _slope(full, fewer_customers, customers),
                "replay_seconds": full["replay_seconds"],
                "replayed_events_per_second": events / (full["replay_seconds"] - idle_seconds),
                "checkpoint_seconds": full["checkpoint_seconds"],
                "memory_mb": full["memory_mb"],
                "disk_bytes_per_event": full["disk_bytes"] / events,
            }
        )
    keys = list(outcome.rounds[0])
    outcome.figures = {key: median([found[key] for found in outcome.rounds]) for key in keys}
    rows = [[key.replace("_", " "), f"{value:,.2f}"] for key, value in outcome.figures.items()]
    title = (
        f"Starts with {events:,} events of {customers:,} customers, median of {len(outcome.rounds)}"
    )
    outcome.tables.append(Table(title=title, headings=["", ""], rows=rows))
    outcome.charts.append(
        Chart(
            kind="bars",
            title=title,
            x_label="start",
            y_label="seconds until ready",
            series=[
                Series(
                    name="seconds",
                    x=["with a checkpoint", "without: replays the log"],
                    y=[outcome.figures["checkpoint_seconds"], outcome.figures["replay_seconds"]],
                )
            ],
        )
    )
    return outcome


def _starts(data: Path, events: int, customers: int) -> dict[str, float]:
    """Fill a folder; time a start that replays all, and one from the checkpoint it left."""
    world = World(customers=customers, meters=1, alerts=1, first_gte=10**9)
    prepare_customers(data, customers)
    server = ServerProcess(data, arguments=("--log-level", "warning"), seconds_max=START_SECONDS)
    with server:
        meter = prepare_meters(Api(server.port, server.key), world)[0]
    prepare_usage(data, events=events, customers=customers)
    replay_seconds = _timed(server)
    _verify(server, meter, events, customers)
    server.stop()
    checkpoint_seconds = _timed(server)
    memory = memory_mb(server.pid)
    _verify(server, meter, events, customers)
    server.stop()
    return {
        "replay_seconds": replay_seconds,
        "checkpoint_seconds": checkpoint_seconds,
        "memory_mb": memory,
        "disk_bytes": float((data / "meterbell.db").stat().st_size),
    }


def _timed(server: ServerProcess) -> float:
    """Start; return the seconds until it is ready."""
    begun = time.monotonic()
    server.start()
    return time.monotonic() - begun


def _verify(server: ServerProcess, meter: str, events: int, customers: int) -> None:
    """Make sure that a started server has the usage, by one customer's."""
    api = Api(server.port, server.key)
    now = int(time.time()) // 60 * 60  # noqa: TID251 - the server's clock
    params = {"customer": customer_id(0), "start_time": now - 86400, "end_time": now}
    found = api.get(f"/v1/billing/meters/{meter}/event_summaries", params)
    api.close()
    value, expected = found["data"][0]["aggregated_value"], -(-events // customers)
    if value != expected:
        raise MismatchError(f"after a start the usage is {value}, not {expected}")


def _slope(full: dict[str, float], fewer: dict[str, float], count: int) -> float:
    """Return the bytes that one more takes, from two servers that differ in their number."""
    more = count - count // _SHARE
    return (full["memory_mb"] - fewer["memory_mb"]) * _BYTES / more
