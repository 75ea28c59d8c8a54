"""Dry runs against the slow reference, on random sequences. Rules A1, A2, A3, C6."""

import asyncio
from decimal import Decimal

from hypothesis import given, note
from hypothesis import strategies as st

from meterbell.engine.dry_run import Candidate, DryRun
from meterbell.ids import CustomerId
from meterbell.insight.dry_run import LIMIT_MAX, Trial
from tests.builders import DAY
from tests.hypothesis_profiles import load_profile, part_of_examples
from tests.reference.entries import Fired, NewAlert
from tests.reference.model import Reference
from tests.unit.engine.operations import (
    START,
    Operation,
    World,
    cuts,
    resolve,
    sequences,
    worlds,
)
from tests.unit.engine.playing import play_on_engine, play_on_reference, scaled
from tests.unit.insight.fakes import FakeStore, TickingClock, dry_runner

load_profile()

trials = st.tuples(
    st.integers(0, 2), st.integers(1, 15), st.sampled_from([None, None, "cus_a", "cus_unknown"])
)


@part_of_examples(10)
@given(
    world=worlds,
    drawn=sequences,
    cut=cuts,
    stores=cuts,
    days=st.sampled_from([0, 0, 1, 2, 20, 36]),
    asked=st.lists(trials, min_size=1, max_size=2),
)
def test_a2_a3_a_dry_run_is_what_an_alert_made_at_the_start_would_have_done(
    world: World,
    drawn: list[Operation],
    *,
    cut: int,
    stores: int,
    days: int,
    asked: list[tuple[int, int, str | None]],
) -> None:
    operations = resolve(world, drawn)
    note("\n".join(map(str, [world, *operations])))
    run, _ = play_on_engine(world, operations, cut=cut, stores=stores)
    store = FakeStore(run)
    start = min(START + days * DAY, run.now_ms // 1000)
    first = store.first_sequence_since(start * 1000)
    runner = dry_runner(run, store, TickingClock(run.now_ms))
    reference, _ = play_on_reference(world, operations)

    for meter, gte, customer in asked:
        found = run.state.meters_by_event_name[False, f"m{meter % len(world.meters)}"]
        named = None if customer is None else CustomerId(customer)
        trial = Trial(found, gte, named, start)
        told = asyncio.run(runner.run(trial, limit=LIMIT_MAX, wait_ms=1))
        fired = reference.dry_run(found.event_name, customer, gte, first=first)
        assert told.complete
        assert told.count == len(fired) == sum(step.customers for step in told.steps)
        assert sorted(map(_crossing, told.fired)) == sorted(
            (f.customer, f.position, scaled(f.value)) for f in fired
        )
        assert _others(told) == _expected_others(reference, trial, fired, first)


def _crossing(candidate: Candidate) -> tuple[str, int, int]:
    assert candidate.crossing is not None, "there was time enough"
    return candidate.customer, candidate.crossing.sequence, candidate.crossing.value


def _others(told: DryRun) -> tuple[list[tuple[str, int]], int]:
    """Return those for whom it would not have fired with their highest usage, and how many."""
    return sorted((c.customer, c.peak) for c in told.near), sum(told.shares)


def _expected_others(
    reference: Reference, trial: Trial, fired: list[Fired], first: int
) -> tuple[list[tuple[str, int]], int]:
    name = trial.meter.event_name
    alert = NewAlert(first - 1, "", name, trial.customer, trial.gte, lifetime=False, evaluate=False)
    others: dict[str, Decimal] = {}
    for position, customer in reference.reports(name, first=first):
        if trial.customer in (None, customer) and customer not in {f.customer for f in fired}:
            usage = reference.usage(alert, customer, position)
            others[customer] = max(usage, others.get(customer, Decimal(0)))
    return sorted((customer, scaled(peak)) for customer, peak in others.items()), len(others)
