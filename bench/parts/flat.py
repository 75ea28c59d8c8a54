"""Flat cost: what an event costs does not depend on how much there is already."""

from typing import Any

import numpy as np
from msgspec import to_builtins

from bench.context import Context, median
from bench.outcome import Chart, Outcome, Series, Table
from bench.prepare import prepare_customer_alerts
from bench.servers import Meterbell
from bench.targets import Result
from bench.verify import expected_totals
from bench.world import World

_OUT_OF_REACH = 10**9
_ALERTS_EACH = 10
_FEW_CUSTOMERS = 1_000
_FILL_TIMES = 1.5
_FILL_RUNS_MAX = 20
_SECONDS_MAX = 20


def alerts(context: Context) -> Outcome:
    """Compare the cost of an event with many alerts for single customers to that with one."""
    most = context.options.alerts_max
    counts = [1, *(count for count in (most // 100, most // 10) if count > _ALERTS_EACH), most]
    outcome = Outcome(name="flat-alerts", figures={}, tables=[])
    for _ in range(context.options.rounds):
        found = {}
        for count in counts:
            customers = max(context.options.customers, count // _ALERTS_EACH)
            world = World(customers=customers, meters=1, alerts=1, first_gte=_OUT_OF_REACH)
            with context.meterbell(world, name="alerts") as server:
                if count > 1:
                    _add_alerts(server, count)
                found[str(count)] = _measure(context, server, outcome)
        outcome.rounds.append(found)
    return _conclude(outcome, "alerts", "alerts")


def customers(context: Context) -> Outcome:
    """Compare the cost of an event among many customers to that among a thousand."""
    most = context.options.customers_max
    counts = [_FEW_CUSTOMERS, *(n for n in (10_000, 100_000, 1_000_000) if n < most), most]
    outcome = Outcome(name="flat-customers", figures={}, tables=[])
    for _ in range(context.options.rounds):
        found = {}
        for count in counts:
            world = World(customers=count, meters=1, alerts=25, first_gte=_OUT_OF_REACH)
            with context.meterbell(world, name="customers") as server:
                found[str(count)] = _measure(context, server, outcome)
        outcome.rounds.append(found)
    return _conclude(outcome, "customers", "customers, equally likely")


def stored(context: Context) -> Outcome:
    """Follow the cost of an event while more and more events are stored."""
    outcome = Outcome(name="flat-stored", figures={}, tables=[])
    world = World(customers=context.options.customers, first_gte=_OUT_OF_REACH)
    results: list[Result] = []
    total = 0
    with context.meterbell(world, name="stored") as server:
        # Every counter exists before the first measurement, which would else pay for making them.
        results.append(_load(context, server))
        total += _acked(results[-1])
        while total < context.options.stored_max or not outcome.rounds:
            result = _load(context, server)
            outcome.rounds.append({str(total): _figures(result)})
            results.append(result)
            total += _acked(result)
        outcome.verified.append(server.stop_and_verify(results))
    points = [(int(at), figures) for found in outcome.rounds for at, figures in found.items()]
    costs = [figures["server_cpu"] for _, figures in points]
    third = max(len(costs) // 3, 1)
    ratio = median(costs[-third:]) / median(costs[:third])
    outcome.figures = {"stored": total, "last_third_to_first": ratio}
    rows = [[f"{at:,}", f"{f['server_cpu']:.2f}", f"{f['rate']:,.0f}"] for at, f in points]
    headings = ["stored events", "server CPU µs/event", "events/s"]
    title = f"Cost of an event over stored events; last third to first third {ratio:.2f}"
    outcome.tables.append(Table(title=title, headings=headings, rows=rows))
    outcome.charts.append(_curve(title, "events stored before", [at for at, _ in points], costs))
    return outcome


def _add_alerts(server: Meterbell, count: int) -> None:
    meter = server.meters[0]
    server.while_stopped(
        lambda folder: prepare_customer_alerts(
            folder, meter, customers=count // _ALERTS_EACH, each=_ALERTS_EACH
        )
    )


def _measure(context: Context, server: Meterbell, outcome: Outcome) -> dict[str, Any]:
    """Measure the server's CPU time for an event, once its counters exist."""
    results: list[Result] = []
    wanted = _FILL_TIMES * server.world.customers
    done = 0
    while done < wanted and len(results) < _FILL_RUNS_MAX:
        results.append(_load(context, server))
        done += _acked(results[-1])
    result = _load(context, server)
    results.append(result)
    figures = _figures(result)
    before = expected_totals(server.world, results[:-1])
    figures["counters_before"] = int(np.count_nonzero(before))
    outcome.verified.append(server.stop_and_verify(results))
    return figures


def _conclude(outcome: Outcome, what: str, label: str) -> Outcome:
    """Take medians over the rounds, and the ratio of the most to the fewest in each."""
    names = list(outcome.rounds[0])
    fewest, most = names[0], names[-1]
    ratio = median(
        [found[most]["server_cpu"] / found[fewest]["server_cpu"] for found in outcome.rounds]
    )
    outcome.figures["ratio"] = ratio
    rows, costs = [], []
    for name in names:
        figures = {
            key: median([found[name][key] for found in outcome.rounds])
            for key in ("server_cpu", "rate", "counters_before")
        }
        outcome.figures[name] = figures
        costs.append(figures["server_cpu"])
        rows.append(
            [
                f"{int(name):,}",
                f"{figures['server_cpu']:.2f}",
                f"{figures['server_cpu'] / costs[0]:.2f}",
                f"{figures['rate']:,.0f}",
                f"{figures['counters_before']:,.0f}",
            ]
        )
    headings = [what, "server CPU µs/event", "ratio", "events/s", "counters before"]
    title = f"Cost of an event over {what}, median of {len(outcome.rounds)}"
    outcome.tables.append(Table(title=title, headings=headings, rows=rows))
    outcome.charts.append(_curve(title, label, [int(name) for name in names], costs, log_x=True))
    return outcome


def _curve(title: str, label: str, x: list[int], y: list[float], *, log_x: bool = False) -> Chart:
    return Chart(
        kind="lines",
        title=title,
        x_label=label,
        y_label="server CPU µs for an event",
        series=[Series(name="cost", x=list(x), y=y)],
        log_x=log_x,
    )


def _load(context: Context, server: Meterbell) -> Result:
    seconds = min(context.options.seconds, _SECONDS_MAX)
    return context.load(server, seconds=seconds, spread="uniform")


def _acked(result: Result) -> int:
    return int(result.tally().acked.sum())


def _figures(result: Result) -> dict[str, Any]:
    return {"rate": result.measured.event_rate, **to_builtins(result.measured)}
