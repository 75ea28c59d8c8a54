"""Throughput: as much as goes through, against baselines of the same run."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from msgspec import to_builtins

from bench.context import BATCH, CONNECTIONS, Context, median
from bench.load.orders import Kind, Measured
from bench.outcome import Chart, Outcome, Series, Table
from bench.servers import (
    WITHOUT_LEDGER,
    append_only,
    by_hand_postgres,
    by_hand_redis,
    verify_by_hand,
)
from bench.services import MissingError
from bench.targets import Target
from bench.world import World

_OWN = "meterbell"
_VARIANTS: dict[Kind, tuple[str, dict[str, Any]]] = {
    "v1": ("meterbell, with Idempotency-Key", {"idempotency_key": True}),
    "v2": ("meterbell, Zipf, 5 % repeats", {"spread": "zipf", "resent": 0.05}),
}
_NO_LEDGER = "server without ledger (a)"
_APPEND = "bare append to SQLite (b)"
_POSTGRES = "FastAPI + PostgreSQL (c)"
_REDIS = "FastAPI + Redis (d)"
_BY_HAND: dict[str, Callable[[Path], AbstractContextManager[Target]]] = {
    _POSTGRES: by_hand_postgres,
    _REDIS: by_hand_redis,
}


def stream(context: Context) -> Outcome:
    """Measure batches of 100, sustained, durable."""
    outcome = _empty("stream")
    for _ in range(context.options.rounds):
        found = _round(context, "v2", [_POSTGRES, _REDIS], outcome)
        rate = append_only(
            context.folder,
            batch=BATCH,
            group=context.options.group,
            seconds=context.options.baseline_seconds,
        )
        found[_APPEND] = {"rate": rate}
        outcome.rounds.append(found)
    return _conclude(outcome, "Stream: batches of 100 events, 32 connections")


def v1(context: Context) -> Outcome:
    """Measure single events."""
    outcome = _empty("v1")
    for _ in range(context.options.rounds):
        found = _round(context, "v1", [_POSTGRES, _REDIS], outcome)
        outcome.rounds.append(found)
    return _conclude(outcome, "v1: single events, 128 connections")


def _empty(name: str) -> Outcome:
    return Outcome(name=name, figures={}, tables=[])


def _round(
    context: Context, kind: Kind, by_hand: list[str], outcome: Outcome
) -> dict[str, dict[str, Any]]:
    """Measure meterbell and the baselines once; recount meterbell."""
    world = World(customers=context.options.customers)
    seconds = context.options.baseline_seconds
    found: dict[str, dict[str, Any]] = {}
    with context.meterbell(world) as server:
        if kind == "v2":
            server.require_stream()
        result = context.load(server, kind=kind)
        found[_OWN] = _figures(result.measured)
        name, more = _VARIANTS[kind]
        variant = context.load(server, kind=kind, seconds=seconds, **more)
        found[name] = _figures(variant.measured)
        outcome.verified.append(server.stop_and_verify([result, variant]))
    with context.meterbell(world, name="without ledger", module=WITHOUT_LEDGER) as server:
        # Where this one has no stream, because it is not meterbell's own, nothing is compared.
        if kind == "v1" or server.target.session_path:
            result = context.load(server, kind=kind, seconds=seconds)
            found[_NO_LEDGER] = _figures(result.measured)
    for name in by_hand:
        try:
            with _BY_HAND[name](context.folder) as target:
                result = context.generator.run(
                    target, kind, world, connections=CONNECTIONS[kind], seconds=seconds
                )
                verify_by_hand(target, world, [result])
                found[name] = _figures(result.measured)
        except MissingError as missing:
            if str(missing) not in outcome.notes:
                outcome.notes.append(str(missing))
    return found


def _figures(measured: Measured) -> dict[str, Any]:
    figures: dict[str, Any] = to_builtins(measured)
    return {"rate": measured.event_rate, **figures}


def _conclude(outcome: Outcome, title: str) -> Outcome:
    """Take medians over the rounds; ratios are taken in each round first."""
    rows = []
    rates: dict[str, float] = {}
    names = list(outcome.rounds[0])
    for name in names:
        rounds = [found[name] for found in outcome.rounds if name in found]
        ratios = [found[_OWN]["rate"] / found[name]["rate"] for found in outcome.rounds]
        rates[name] = median([found["rate"] for found in rounds])
        row = [name, f"{rates[name]:,.0f}", f"{median(ratios):.2f}"]
        outcome.figures[name] = {"rate": rates[name], "ratio": median(ratios)}
        for field in ("p50", "p99", "p999", "server_cpu", "generator_cpu"):
            # What the CPU time of a baseline of several processes is, nobody asks.
            values = [found[field] for found in rounds if found.get(field)]
            row.append(f"{median(values):.1f}" if values else "")
            if values:
                outcome.figures[name][field] = median(values)
        rows.append(row)
    headings = ["", "events/s", "ratio", "p50 ms", "p99 ms", "p99.9 ms"]
    headings += ["CPU µs/event", "generator's"]
    title = f"{title}, median of {len(outcome.rounds)}"
    outcome.tables.append(Table(title=title, headings=headings, rows=rows))
    series = Series(name="events/s", x=names, y=list(rates.values()))
    outcome.charts.append(
        Chart(
            kind="bars",
            title=title,
            x_label="server",
            y_label="acknowledged events a second",
            series=[series],
        )
    )
    return outcome
