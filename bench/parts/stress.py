"""Conditions that are not the best: slower disks, more load than capacity, reads beside writes."""

import time
from typing import Any

import numpy as np
from msgspec import to_builtins

from bench.context import CONNECTIONS, Context, best_kind, events_in, median
from bench.load.orders import Kind, Measured
from bench.load.tally import Floats, Tally
from bench.load.traffic import customer_id
from bench.outcome import Chart, Outcome, Series, Table
from bench.servers import Meterbell
from bench.slow_disk import DELAY
from bench.targets import Result, finish, start
from bench.world import World

_DELAYS_MS = (0, 2, 5)
_SLOW_DISK = "bench.slow_disk"
_CAPACITY_SECONDS = 5
_OVERLOAD = 3
_NORMAL = 0.3
_SLICE_SECONDS = 0.25
_NEAR_NORMAL = 2
_OK, _TOO_MANY = 200, 429
_READ_RATE_EVENTS = 20_000
_READ_RATE_REQUESTS = 1_000
_MONTH_SECONDS = 31 * 86400
_HOUR = 3600


def slow_disk(context: Context) -> Outcome:
    """Measure throughput where each commit takes 2 or 5 ms longer."""
    outcome = Outcome(name="slow-disk", figures={}, tables=[])
    for _ in range(context.options.rounds):
        found = {}
        for delay in _DELAYS_MS:
            world = World(customers=context.options.customers)
            environment = {DELAY: str(delay)}
            with context.meterbell(
                world, name="slow disk", module=_SLOW_DISK, environment=environment
            ) as server:
                results = []
                kinds: list[Kind] = ["v1"]
                if best_kind(server) == "v2":
                    kinds.append("v2")
                for kind in kinds:
                    result = context.load(server, kind=kind)
                    found[f"{kind}, commits + {delay} ms"] = _figures(result)
                    results.append(result)
                outcome.verified.append(server.stop_and_verify(results))
        outcome.rounds.append(found)
    rows = []
    for name in sorted(outcome.rounds[0]):
        rounds = [found[name] for found in outcome.rounds]
        figures = {key: median([f[key] for f in rounds]) for key in ("rate", "p50", "p99", "p999")}
        outcome.figures[name] = figures
        rows.append(
            [name, f"{figures['rate']:,.0f}", *(f"{figures[k]:.1f}" for k in list(figures)[1:])]
        )
    headings = ["", "events/s", "p50 ms", "p99 ms", "p99.9 ms"]
    title = f"Slower disks, closed loop, median of {len(outcome.rounds)}"
    outcome.tables.append(Table(title=title, headings=headings, rows=rows))
    kinds_seen = sorted({name.partition(",")[0] for name in outcome.figures})
    outcome.charts.append(
        Chart(
            kind="lines",
            title=title,
            x_label="milliseconds added to each commit",
            y_label="acknowledged events a second",
            series=[
                Series(
                    name=kind,
                    x=list(_DELAYS_MS),
                    y=[outcome.figures[f"{kind}, commits + {d} ms"]["rate"] for d in _DELAYS_MS],
                )
                for kind in kinds_seen
            ],
            log_y=True,
        )
    )
    return outcome


def overload(context: Context) -> Outcome:
    """Offer three times the capacity; measure what is refused, the latency, and the recovery."""
    options = context.options
    outcome = Outcome(name="overload", figures={}, tables=[])
    curves: list[Series] = []
    for _ in range(options.rounds):
        world = World(customers=options.customers)
        # With a short queue the closed loop would be refused as well.
        with context.meterbell(world, name="capacity") as server:
            most = context.load(server, seconds=_CAPACITY_SECONDS)
            outcome.verified.append(server.stop_and_verify([most]))
        queue = options.overload_queue
        arguments = ("--queue-max", str(queue)) if queue else ()
        with context.meterbell(world, name="overload", arguments=arguments) as server:
            run, found, curves = _overload_round(context, server, most.measured)
            outcome.verified.append(server.stop_and_verify([run]))
        outcome.rounds.append(found)
    keys = list(outcome.rounds[0])
    outcome.figures = {key: median([found[key] for found in outcome.rounds]) for key in keys}
    rows = [[key.replace("_", " "), f"{value:,.2f}"] for key, value in outcome.figures.items()]
    title = f"{_OVERLOAD} times the capacity offered, median of {len(outcome.rounds)}"
    outcome.tables.append(Table(title=title, headings=["", ""], rows=rows))
    outcome.charts.append(
        Chart(
            kind="lines",
            title="Before, under and after three times the capacity",
            x_label="seconds",
            y_label="p99 of accepted requests, ms",
            series=curves,
            log_y=True,
        )
    )
    return outcome


def _overload_round(
    context: Context, server: Meterbell, most: Measured
) -> tuple[Result, dict[str, float], list[Series]]:
    """Send a normal load, then too much, then the normal load again, in one run."""
    kind = best_kind(server)
    capacity, seconds = most.rate, context.options.seconds / 3
    normal_rate, offered_rate = capacity * _NORMAL, capacity * _OVERLOAD
    run = context.load(
        server,
        kind=kind,
        connections=context.options.overload_connections,
        seconds=context.options.seconds,
        warm_seconds=0,
        phases=[(seconds, normal_rate), (seconds, offered_rate), (seconds, normal_rate)],
        sheds=True,
        retry_refused=False,
    )
    tally = run.tally()
    due = tally.done_at - tally.latency
    before, under, after = (_Phase(tally, due, n * seconds, (n + 1) * seconds) for n in range(3))
    events = events_in(kind) / seconds
    found = {
        "capacity_events_per_second": most.event_rate,
        "offered_events_per_second": offered_rate * events_in(kind),
        "accepted_events_per_second": len(under.accepted) * events,
        "answered_429_per_second": len(under.refused) * events,
        "unsent_requests": float(run.measured.unsent),
        "at_capacity_p99_ms": most.p99,
        "normal_p50_ms": before.quantile(0.5),
        "normal_p99_ms": before.quantile(0.99),
        "accepted_p50_ms": under.quantile(0.5),
        "accepted_p99_ms": under.quantile(0.99),
        "refused_p50_ms": _quantile(under.refused, 0.5),
        "after_p99_ms": after.quantile(0.99),
        "recovery_seconds": _recovery(after, before.quantile(0.99)),
    }
    curves = []
    for name, phase in (
        ("normal", before),
        ("three times capacity", under),
        ("normal again", after),
    ):
        at, p99 = phase.slices()
        curves.append(Series(name=name, x=at, y=p99))
    return run, found, curves


class _Phase:
    """The requests of a run that were due in a span of time.

    Attributes:
        accepted: Latencies in milliseconds.
        refused: … of answers 429.
    """

    def __init__(self, tally: Tally, due: Floats, begin: float, end: float) -> None:
        inside = (due >= begin) & (due < end)
        accepted = inside & (tally.status == _OK)
        refused = inside & (tally.status == _TOO_MANY)
        self.begin = begin
        self.end = end
        self.accepted: Floats = tally.latency[accepted] * 1000
        self.refused: Floats = tally.latency[refused] * 1000
        self._accepted_in = ((due[accepted] - begin) / _SLICE_SECONDS).astype(np.int64)
        self._refused_in = ((due[refused] - begin) / _SLICE_SECONDS).astype(np.int64)

    def quantile(self, share: float) -> float:
        """Return a quantile of the accepted requests' latencies."""
        return _quantile(self.accepted, share)

    def slices(self) -> tuple[list[float], list[float]]:
        """Return when slices of time with accepted requests begin, and the p99 in each."""
        numbers = [int(number) for number in np.unique(self._accepted_in)]
        p99 = [_quantile(self.accepted[self._accepted_in == number], 0.99) for number in numbers]
        return [self.begin + number * _SLICE_SECONDS for number in numbers], p99

    def is_normal(self, number: int, normal_p99: float) -> bool:
        """Return whether a slice has accepted requests with near normal latency, and no others."""
        accepted = self.accepted[self._accepted_in == number]
        is_quick = len(accepted) > 0 and _quantile(accepted, 0.99) <= _NEAR_NORMAL * normal_p99
        return is_quick and not (self._refused_in == number).any()


def _quantile(values: Floats, share: float) -> float:
    return float(np.quantile(values, share)) if len(values) else 0.0


def _recovery(after: _Phase, normal_p99: float) -> float:
    """Return the seconds from the end of the overload until two slices in a row are normal."""
    slices = round((after.end - after.begin) / _SLICE_SECONDS)
    normal = [after.is_normal(number, normal_p99) for number in range(slices)]
    for number in range(slices - 1):
        if normal[number] and normal[number + 1]:
            return number * _SLICE_SECONDS
    return after.end - after.begin


def reads(context: Context) -> Outcome:
    """Read one customer's month over and over while usage comes in."""
    outcome = Outcome(name="reads", figures={}, tables=[])
    for _ in range(context.options.rounds):
        with context.meterbell(World(customers=context.options.customers)) as server:
            results, found = _read_round(context, server)
            outcome.verified.append(server.stop_and_verify(results))
        outcome.rounds.append(found)
    keys = list(outcome.rounds[0])
    outcome.figures = {key: median([found[key] for found in outcome.rounds]) for key in keys}
    rows = [[key.replace("_", " "), f"{value:,.2f}"] for key, value in outcome.figures.items()]
    title = f"Reads beside writes, median of {len(outcome.rounds)}"
    outcome.tables.append(Table(title=title, headings=["", ""], rows=rows))
    chart_rows = [(key, value) for key, value in outcome.figures.items() if key.endswith("ms")]
    outcome.charts.append(
        Chart(
            kind="bars",
            title=title,
            x_label="",
            y_label="milliseconds",
            series=[
                Series(
                    name="ms",
                    x=[key.replace("_", " ") for key, _ in chart_rows],
                    y=[value for _, value in chart_rows],
                )
            ],
        )
    )
    return outcome


def _read_round(context: Context, server: Meterbell) -> tuple[list[Result], dict[str, float]]:
    """Fill up, then write at a fixed rate, first alone and then with reads beside it."""
    kind = best_kind(server)
    rate = _READ_RATE_EVENTS / events_in("v2") if kind == "v2" else _READ_RATE_REQUESTS
    filled = context.load(server, kind=kind)
    alone = context.load(server, kind=kind, rate=rate)
    orders = context.generator.orders(
        server.target,
        kind,
        server.world,
        connections=CONNECTIONS[kind],
        seconds=context.options.seconds,
        rate=rate,
    )
    beside = start(orders, "reads beside a load")
    times = _read_for(server, orders.seconds)
    written = finish(beside)
    events = sum(int(r.tally().acked.sum()) for r in (filled, alone, written))
    found = {
        "reads": float(len(times)),
        "stored_events": float(events),
        "read_p50_ms": float(np.quantile(times, 0.5)),
        "read_p99_ms": float(np.quantile(times, 0.99)),
        "write_p99_without_reads_ms": alone.measured.p99,
        "write_p99_with_reads_ms": written.measured.p99,
    }
    return [filled, alone, written], found


def _read_for(server: Meterbell, seconds: float) -> list[float]:
    """Read summaries by day, of the busiest customers, for some time; return milliseconds."""
    now = int(time.time())  # noqa: TID251 - the server's clock
    end = now // 86400 * 86400 + 86400
    times = []
    deadline = time.perf_counter() + seconds
    number = 0
    while (begun := time.perf_counter()) < deadline:
        meter = server.meters[number % len(server.meters)]
        server.api.get(
            f"/v1/billing/meters/{meter}/event_summaries",
            {
                "customer": customer_id(number % 10),
                "start_time": end - _MONTH_SECONDS,
                "end_time": end,
                "value_grouping_window": "day",
                "limit": 31,
            },
        )
        times.append(1000 * (time.perf_counter() - begun))
        number += 1
    return times


def _figures(result: Result) -> dict[str, Any]:
    return {"rate": result.measured.event_rate, **to_builtins(result.measured)}
