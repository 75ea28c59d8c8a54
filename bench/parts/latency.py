"""Latency: of acknowledgements in an open loop, and from a crossing event to its webhook."""

import subprocess
import sys
from typing import Any

import msgspec
import numpy as np
from msgspec import to_builtins

from bench.context import CONNECTIONS, Context, best_kind, events_in, median
from bench.load.orders import QUANTILES, Kind
from bench.load.triggers import Crossed, ProbeOrders
from bench.outcome import Chart, Outcome, Series, Table
from bench.servers import WITHOUT_LEDGER, Meterbell
from bench.services import free_port
from bench.targets import Result, finish, start
from bench.world import World

_STREAM_EVENTS = 20_000
_SINGLE_REQUESTS = 3_000
_SINGLES = f"v1, {_SINGLE_REQUESTS:,} requests/s"
_SHARE = 0.5
_PROBES_A_SECOND = 50
_CLOSED_SECONDS = 5
_FIELDS = ("p50", "p99", "p999", "worst")


def open_loop(context: Context) -> Outcome:
    """Measure acknowledgements at fixed rates, each request sent when it is due."""
    outcome = Outcome(name="open-loop", figures={}, tables=[])
    world = World(customers=context.options.customers)
    for _ in range(context.options.rounds):
        with context.meterbell(world) as server:
            results, found = _open_round(context, server)
            outcome.verified.append(server.stop_and_verify(results))
        with context.meterbell(world, name="without ledger", module=WITHOUT_LEDGER) as server:
            seconds = context.options.baseline_seconds
            result = context.load(server, kind="v1", rate=_SINGLE_REQUESTS, seconds=seconds)
            found[f"{_SINGLES}, without ledger (a)"] = _figures(result)
        outcome.rounds.append(found)
    rows, series = [], []
    for name in outcome.rounds[0]:
        rounds = [found[name] for found in outcome.rounds]
        figures = {field: median([found[field] for found in rounds]) for field in _FIELDS}
        rate = median([found["rate"] for found in rounds])
        unsent = max(found["unsent"] for found in rounds)
        outcome.figures[name] = {"rate": rate, "unsent": unsent, **figures}
        rows.append([name, f"{rate:,.0f}", *(f"{figures[f]:.2f}" for f in _FIELDS), f"{unsent:,}"])
        curve = [
            median(list(values)) for values in zip(*(f["quantiles"] for f in rounds), strict=True)
        ]
        series.append(Series(name=name, x=[1 / (1 - share) for share in QUANTILES], y=curve))
    headings = ["", "events/s", "p50 ms", "p99 ms", "p99.9 ms", "worst ms", "unsent"]
    title = f"Open loop, latency from the due time, median of {len(outcome.rounds)}"
    outcome.tables.append(Table(title=title, headings=headings, rows=rows))
    outcome.charts.append(
        Chart(
            kind="lines",
            title=title,
            x_label="one request in … is slower",
            y_label="milliseconds from due to acknowledged",
            series=series,
            log_x=True,
            log_y=True,
        )
    )
    return outcome


def _open_round(
    context: Context, server: Meterbell
) -> tuple[list[Result], dict[str, dict[str, Any]]]:
    """Measure at the fixed rates, then at half of what goes through."""
    plans: list[tuple[str, Kind, float]] = [(_SINGLES, "v1", _SINGLE_REQUESTS)]
    kinds: list[Kind] = ["v1"]
    if best_kind(server) == "v2":
        rate = _STREAM_EVENTS / events_in("v2")
        plans.insert(0, (f"v2, {_STREAM_EVENTS:,} events/s", "v2", rate))
        kinds.append("v2")
    results = []
    for kind in kinds:
        most = context.load(server, kind=kind, seconds=_CLOSED_SECONDS)
        results.append(most)
        plans.append((f"{kind}, half of the maximum", kind, _SHARE * most.measured.rate))
    found = {}
    for name, kind, rate in plans:
        result = context.load(server, kind=kind, rate=rate)
        results.append(result)
        found[name] = _figures(result)
    return results, found


def _figures(result: Result) -> dict[str, Any]:
    return {"rate": result.measured.event_rate, **to_builtins(result.measured)}


def triggers(context: Context) -> Outcome:
    """Measure from sending a crossing event to its webhook's arrival, beside a load."""
    count = context.options.triggers
    world = World(customers=context.options.customers + count, quiet=count)
    outcome = Outcome(name="triggers", figures={}, tables=[])
    curves = []
    for _ in range(context.options.rounds):
        with context.meterbell(world) as server:
            results, crossed = _crossings(context, server, count)
            outcome.verified.append(server.stop_and_verify(results))
        received = np.array(crossed.received)
        missing = int(np.count_nonzero(received < 0))
        if missing or crossed.failed:
            raise RuntimeError(f"{missing} webhooks missing, {crossed.failed} events failed")
        answered = np.array(crossed.answered)
        load = results[-1].measured
        outcome.rounds.append(
            {
                "background_events_per_second": load.event_rate,
                "webhook_p50": float(np.quantile(received, 0.5)),
                "webhook_p99": float(np.quantile(received, 0.99)),
                "webhook_worst": float(received.max()),
                "answer_p50": float(np.quantile(answered, 0.5)),
                "answer_p99": float(np.quantile(answered, 0.99)),
            }
        )
        curves.append([float(np.quantile(received, share)) for share in QUANTILES])
    fields = list(outcome.rounds[0])
    outcome.figures = {
        field: median([found[field] for found in outcome.rounds]) for field in fields
    }
    rows = [[field.replace("_", " "), f"{value:,.2f}"] for field, value in outcome.figures.items()]
    title = f"Trigger latency in ms, {count:,} crossings, median of {len(curves)}"
    outcome.tables.append(Table(title=title, headings=["", "ms"], rows=rows))
    curve = [median(list(values)) for values in zip(*curves, strict=True)]
    x = [1 / (1 - share) for share in QUANTILES]
    outcome.charts.append(
        Chart(
            kind="lines",
            title="Crossing event sent to webhook received",
            x_label="one trigger in … is slower",
            y_label="milliseconds",
            series=[Series(name="webhook received", x=x, y=curve)],
            log_x=True,
        )
    )
    return outcome


def _crossings(context: Context, server: Meterbell, count: int) -> tuple[list[Result], Crossed]:
    """Run the load and the crossing events side by side."""
    kind = best_kind(server)
    world, target = server.world, server.target
    rate = _STREAM_EVENTS / events_in(kind) if kind == "v2" else _SINGLE_REQUESTS / 3
    seconds = count / _PROBES_A_SECOND
    receiver_port = free_port()
    server.api.post(
        "/v1/webhook_endpoints",
        {
            "url": f"http://127.0.0.1:{receiver_port}/",
            "enabled_events[0]": "billing.alert.triggered",
        },
    )
    load = context.generator.orders(
        target, kind, world, connections=CONNECTIONS[kind], seconds=seconds, rate=rate
    )
    like = context.generator.orders(target, kind, world, connections=1, seconds=0)
    probe = ProbeOrders(
        port=target.port,
        receiver_port=receiver_port,
        kind=kind,
        path=like.path,
        token=like.token,
        session_path=like.session_path,
        run=like.run,
        first=world.customers - world.quiet,
        count=count,
        rate=_PROBES_A_SECOND,
        gte=world.first_gte,
        customers=world.customers,
        meters=world.meters,
        result=like.result,
    )
    background = start(load, "triggers beside a load")
    finished = subprocess.Popen(
        [sys.executable, "-m", "bench.load.triggers"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    output, _ = finished.communicate(msgspec.json.encode(probe))
    result = finish(background)
    if finished.returncode:
        raise RuntimeError("the trigger probe failed")
    sent = Result(orders=like, measured=result.measured)
    return [sent, result], msgspec.json.decode(output, type=Crossed)
