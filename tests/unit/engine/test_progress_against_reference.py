"""Explanations and progress against the slow reference, on random sequences. Rules A1 to A6."""

from hypothesis import given, note
from hypothesis import strategies as st

from meterbell.engine.explain import explain
from meterbell.engine.progress import Progress, Standings
from meterbell.ids import AlertId, CustomerId
from tests.builders import EngineRun
from tests.hypothesis_profiles import load_profile, part_of_examples
from tests.reference.entries import NewAlert
from tests.reference.model import Reference
from tests.unit.engine.operations import (
    CUSTOMERS,
    Operation,
    World,
    cuts,
    resolve,
    sequences,
    worlds,
)
from tests.unit.engine.playing import play_on_engine, play_on_reference, scaled

load_profile()

EVERYBODY = (*CUSTOMERS, "cus_unknown")
"""In the order in which they become known, if at all."""


@part_of_examples(5)
@given(
    world=worlds,
    drawn=sequences,
    cut=cuts,
    streams=st.booleans(),
    page=st.integers(1, 4),
    at_once=st.integers(1, 4),
)
def test_a2_a6_explanations_and_progress_are_what_the_rules_define(
    world: World,
    drawn: list[Operation],
    cut: int,
    page: int,
    *,
    streams: bool,
    at_once: int,
) -> None:
    operations = resolve(world, drawn)
    note("\n".join(map(str, [world, *operations])))

    run, _ = play_on_engine(world, operations, cut=cut, streams=streams)

    reference, _ = play_on_reference(world, operations)
    fired = {(trigger.alert, trigger.customer) for trigger in reference.triggers()}
    for alert in reference.alerts():
        expected: list[tuple[int, str, bool]] = []
        for customer in EVERYBODY:
            explained = _explained(run, alert, customer)
            assert explained == _expected(reference, alert, customer, fired)
            if explained[1] is not None and customer in reference.users(alert.meter):
                expected.append((explained[1], customer, (alert.alert, customer) in fired))
        expected.sort(key=lambda item: -item[0])
        if reference.status(alert.alert) == "archived":
            continue
        standings = _standings(run, alert, at_once)
        assert _pages(run, standings, page, waiting=False) == expected
        assert _pages(run, standings, page, waiting=True) == [i for i in expected if not i[2]]


def _explained(
    run: EngineRun, alert: NewAlert, customer: str
) -> tuple[str, int | None, int | None]:
    known = run.state.alerts[AlertId(f"alrt_{alert.alert}")]
    found = explain(run.state, known, CustomerId(customer))
    assert found.remaining == (
        None if found.usage is None else max(alert.gte * 10**12 - found.usage, 0)
    )
    return found.outcome, found.usage, found.not_counted


def _expected(
    reference: Reference, alert: NewAlert, customer: str, fired: set[tuple[str, str]]
) -> tuple[str, int | None, int | None]:
    word, usage, not_counted = reference.explanation(alert, customer, fired)
    if usage is None or not_counted is None:
        return word, None, None
    return word, scaled(usage), scaled(not_counted)


def _standings(run: EngineRun, alert: NewAlert, at_once: int) -> Standings:
    standings = Standings.of(run.state, run.state.alerts[AlertId(f"alrt_{alert.alert}")])
    for start in range(0, len(standings), at_once):
        standings.read(run.state, start, start + at_once)
    return standings


def _pages(
    run: EngineRun, standings: Standings, size: int, *, waiting: bool
) -> list[tuple[int, str, bool]]:
    """Return all that the standings tell, page by page."""
    found: list[Progress] = []
    while True:
        after = found[-1].customer if found else None
        more = standings.furthest(run.state, size, waiting=waiting, after=after)
        if not more:
            return [(p.usage, p.customer, p.triggered) for p in found]
        found += more
