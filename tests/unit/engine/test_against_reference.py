"""The engine against the slow reference, on random sequences. Rules C2 to C7 and A1 to A7."""

from collections.abc import Callable, Iterable, Iterator

from hypothesis import given, note
from hypothesis import strategies as st

from meterbell.engine.counter import Counted, Counter
from meterbell.engine.hours import Hours, merge
from meterbell.engine.model import Meter
from meterbell.engine.state import State
from meterbell.engine.summary import counting_in_windows, summarize
from meterbell.ids import CustomerId, MeterId
from tests.builders import DAY, HOUR, EngineRun, all_counters
from tests.hypothesis_profiles import load_profile, part_of_examples
from tests.reference.model import Reference, RefMeter
from tests.unit.engine.operations import (
    CUSTOMERS,
    START,
    Operation,
    World,
    cuts,
    resolve,
    sequences,
    worlds,
)
from tests.unit.engine.playing import play_on_engine, play_on_reference, scaled

load_profile()

Fired = tuple[str, str, int, int]

# (start, minutes, window): a range of minutes around the present, or of whole hours or days.
ranges = st.one_of(
    st.tuples(st.integers(-3000, 600), st.integers(1, 3000), st.none()),
    st.tuples(st.integers(-60, 5), st.integers(1, 80), st.just(HOUR)),
    st.tuples(st.integers(-40, 2), st.integers(1, 45), st.just(DAY)),
)
Range = tuple[int, int, int | None]


@given(
    world=worlds,
    drawn=sequences,
    cut=cuts,
    stores=cuts,
    streams=st.booleans(),
    asked=st.lists(ranges, min_size=2, max_size=4),
)
def test_engine_gives_what_the_rules_define(
    world: World,
    drawn: list[Operation],
    cut: int,
    asked: list[Range],
    *,
    stores: int,
    streams: bool,
) -> None:
    operations = _resolved(world, drawn)

    run, outcomes = play_on_engine(world, operations, cut=cut, stores=stores, streams=streams)

    reference, expected = play_on_reference(world, operations)
    assert outcomes == expected
    assert fired(run) == [
        (trigger.alert, trigger.customer, scaled(trigger.value), trigger.position)
        for trigger in reference.triggers()
    ]
    for meter, ref_meter in _meters(run, reference):
        for customer in {*CUSTOMERS, "cus_unknown"}:
            counter = run.state.counter(meter.id, CustomerId(customer)) or Counter()
            assert counter.total == scaled(reference.total(ref_meter, customer))
            for start, end, window in map(_absolute, asked):
                assert _summary(
                    run, meter, customer, start=start, end=end, window=window
                ) == _expected_summary(
                    reference, ref_meter, customer, start=start, end=end, window=window
                )


@part_of_examples(5)
@given(world=worlds, drawn=sequences, one_cut=cuts, other_cut=cuts, streams=st.booleans())
def test_a3_batching_never_changes_what_fires_or_counts(
    world: World, drawn: list[Operation], one_cut: int, other_cut: int, *, streams: bool
) -> None:
    operations = _resolved(world, drawn)

    one, one_outcomes = play_on_engine(world, operations, cut=one_cut)
    other, other_outcomes = play_on_engine(world, operations, cut=other_cut, streams=streams)

    assert one_outcomes == other_outcomes
    assert one.log == other.log
    assert fired(one) == fired(other)
    assert plain_state(one.state) == plain_state(other.state)
    for meter, customer in all_counters(one.state):
        assert one.hours(customer, meter) == other.hours(customer, meter)


@part_of_examples(5)
@given(
    world=worlds,
    drawn=sequences,
    cut=cuts,
    stores=cuts,
    group_size=st.integers(1, 70),
    streams=st.booleans(),
    asked=st.lists(ranges, min_size=2, max_size=4),
)
def test_a4_replaying_the_log_gives_an_equal_state_and_the_same_triggers(
    world: World,
    drawn: list[Operation],
    cut: int,
    asked: list[Range],
    *,
    stores: int,
    group_size: int,
    streams: bool,
) -> None:
    operations = _resolved(world, drawn)
    run, _ = play_on_engine(world, operations, cut=cut, stores=stores, streams=streams)

    again = run.replayed(group_size=group_size)

    assert again.log == run.log
    assert fired(again) == fired(run)
    assert plain_state(again.state) == plain_state(run.state)
    for meter, customer in all_counters(run.state):
        one, other = run.hours(customer, meter), again.hours(customer, meter)
        assert {hour: merge(parts) for hour, parts in one.items()} == {
            hour: merge(parts) for hour, parts in other.items()
        }
        for start, end, window in map(_absolute, asked):
            found = run.state.meters[MeterId(meter)]
            assert _summary(
                again, found, customer, start=start, end=end, window=window
            ) == _summary(run, found, customer, start=start, end=end, window=window)


def fired(run: EngineRun) -> list[Fired]:
    return [(t.alert.title, t.customer, t.value, t.sequence) for t in run.triggers]


def plain_state(state: State) -> dict[str, object]:
    """Return all that replay must rebuild, as plain comparable data."""
    return {
        "sequence": state.sequence,
        "identifiers": state.identifiers,
        "request_keys": state.request_keys,
        "cancelled": state.cancelled,
        "alerts": state.alerts,
        "scopes": {
            (meter, customer): (scope.alerts, scope.thresholds, scope.changes, scope.revision)
            for meter, alerts in state.meter_alerts.items()
            for customer, scope in [(None, alerts.any_customer), *alerts.by_customer.items()]
            if scope.revision
        },
        "counters": {key: plain_counter(counter) for key, counter in all_counters(state).items()},
    }


def plain_counter(counter: Counter) -> dict[str, object]:
    detail = counter.read_detail()
    return {
        "total": counter.total,
        "peak": detail.peak,
        "armed": counter.armed,
        "next_fire": counter.next_fire,
        "newest": detail.newest,
        "slots": detail.slots,
        "baselines": detail.baselines,
        "watch": detail.watch,
        "triggered": detail.triggered,
    }


def _resolved(world: World, drawn: list[Operation]) -> list[Operation]:
    """Return the operations made absolute, and have them printed if the test fails."""
    operations = resolve(world, drawn)
    note("\n".join(map(str, [world, *operations])))
    return operations


def _meters(run: EngineRun, reference: Reference) -> Iterable[tuple[Meter, RefMeter]]:
    for (livemode, name), ref_meter in reference.meters.items():
        yield run.state.meters_by_event_name[livemode, name], ref_meter


def _absolute(asked: Range) -> tuple[int, int, int | None]:
    first, count, window = asked
    step = window or 60
    start = START // step * step + first * step
    return start, start + count * step, window


def _summary(
    run: EngineRun, meter: Meter, customer: str, *, start: int, end: int, window: int | None
) -> list[tuple[int, int, int]]:
    counter = run.state.counter(meter.id, CustomerId(customer)) or Counter()
    hours = run.hours(customer, meter.id)
    return [
        (summary.start, summary.end, summary.value)
        for summary in summarize(
            meter,
            hours,
            counting=counting_in_windows(meter, counter),
            start=start,
            end=end,
            window_seconds=window,
            hour_events=_hour_events(run, hours),
        )
    ]


def _hour_events(run: EngineRun, hours: Hours) -> Callable[[int], Iterator[Counted]]:
    """Return a walk along an hour's chains of events, as a store does it."""

    def surviving(hour: int) -> Iterator[Counted]:
        for part in hours[hour]:
            sequence = part.head
            while sequence:
                event = run.lookup(sequence)
                if sequence not in run.state.cancelled:
                    yield Counted(event.timestamp, event.sequence, event.value)
                sequence = event.previous

    return surviving


def _expected_summary(
    reference: Reference,
    meter: RefMeter,
    customer: str,
    *,
    start: int,
    end: int,
    window: int | None,
) -> list[tuple[int, int, int]]:
    return [
        (at, until, scaled(value))
        for at, until, value in reference.summary(
            meter, customer, start=start, end=end, window=window
        )
    ]
