"""The usage of a meter from a place on, against the slow reference. Rules A2, A3, C6."""

from collections.abc import Sequence

from hypothesis import given, note
from hypothesis import strategies as st

from meterbell.engine.counter import Counted
from meterbell.engine.dry_run import StepCount, count_steps
from meterbell.engine.model import Cancellation, EventRun, LogEntry, Meter
from meterbell.engine.tail import Tail, UsageRun
from meterbell.engine.value import SCALE
from meterbell.ids import CustomerId
from tests.builders import DAY, NOW, EngineRun, make_meter
from tests.hypothesis_profiles import load_profile, part_of_examples
from tests.reference.entries import NewAlert
from tests.unit.engine.operations import Operation, World, cuts, resolve, sequences, worlds
from tests.unit.engine.playing import play_on_engine, play_on_reference, scaled

load_profile()


def usage_run(run: EventRun) -> UsageRun:
    names = sorted(set(run.meters))
    which = [names.index(meter) for meter in run.meters]
    return UsageRun(
        run.sequence, run.received_at_ms, names, which, run.customers, run.timestamps, run.values
    )


def usage_entries(log: Sequence[LogEntry]) -> list[UsageRun | Cancellation]:
    return [
        usage_run(entry) if isinstance(entry, EventRun) else entry
        for entry in log
        if isinstance(entry, EventRun | Cancellation)
    ]


@part_of_examples(10)
@given(
    world=worlds,
    drawn=sequences,
    cut=cuts,
    place=st.integers(0, 60),
    at_once=st.integers(1, 20),
    gtes=st.lists(st.integers(1, 15), min_size=1, max_size=2),
)
def test_a2_a3_usage_from_a_place_on_is_what_an_alert_made_there_would_count(
    world: World,
    drawn: list[Operation],
    cut: int,
    place: int,
    *,
    at_once: int,
    gtes: list[int],
) -> None:
    operations = resolve(world, drawn)
    note("\n".join(map(str, [world, *operations])))
    run, _ = play_on_engine(world, operations, cut=cut)
    first = min(place + 1, len(run.log) + 1)

    reference, _ = play_on_reference(world, operations)
    for meter in list(run.state.meters.values()):
        if meter.livemode:
            continue
        tail = taken(run, meter, first=first, at_once=at_once)
        peaks = peaks_of(run, tail)
        for gte in gtes:
            expected = reference.dry_run(meter.event_name, None, gte, first=first)
            reached = {customer for customer, peak in peaks.items() if peak >= gte * SCALE}
            assert reached == {fired.customer for fired in expected}
        alert = NewAlert(first - 1, "", meter.event_name, None, 1, lifetime=False, evaluate=False)
        for customer, peak in peaks.items():
            place = tail.place_of(CustomerId(customer))
            usage = tail.usage(place)
            assert usage == scaled(reference.usage(alert, customer, len(reference.log)))
            assert max(usage, 0) == peak or place in tail.unsteady


def taken(run: EngineRun, meter: Meter, *, first: int, at_once: int = 100) -> Tail:
    """Return the tail of a run's log from a place on, taken in by some entries at a time."""
    tail = Tail(run.state, meter, first=first)
    entries = usage_entries(run.log[first - 1 :])
    for start in range(0, len(entries), at_once):
        tail.take(entries[start : start + at_once], run.lookup)
    return tail


def peaks_of(run: EngineRun, tail: Tail) -> dict[str, int]:
    """Return the highest usage by customer."""
    names = [run.state.customer_ids[number] for number in tail.customers.tolist()]
    wholes, parts = tail.peaks
    values = [w * SCALE + p for w, p in zip(wholes.tolist(), parts.tolist(), strict=True)]
    return dict(zip(names, values, strict=True))


def test_steps_are_thinned_out_where_very_many_customers_have_usage() -> None:
    run = EngineRun(customers=("cus_a", "cus_b"))
    run.use("1", customer="cus_a")
    run.use("1", customer="cus_b")
    run.merge()
    tail = Tail(run.state, make_meter(), first=1, steps_max=9)
    tail.take(usage_entries(run.log), run.lookup)

    for day in range(1, 7):
        tail.end_step(day * DAY)

    assert [step.end // DAY for step in tail.steps] == [2, 4, 6]
    assert count_steps(tail.steps, 1, start=0) == [
        StepCount(0, 2 * DAY, 2),
        StepCount(2 * DAY, 4 * DAY, 0),
        StepCount(4 * DAY, 6 * DAY, 0),
    ]


def test_usage_of_customers_who_were_deleted_since_counts() -> None:
    run = EngineRun(customers=("cus_a", "cus_b"))
    run.use("3", customer="cus_a")
    run.use("4", customer="cus_b")
    run.merge()
    run.state.remove_customer(CustomerId("cus_a"), livemode=False)

    tail = taken(run, make_meter(), first=1)

    assert peaks_of(run, tail) == {"cus_a": 3 * SCALE, "cus_b": 4 * SCALE}


def test_there_may_be_very_many_customers() -> None:
    names = [f"cus_{number}" for number in range(3000)]
    run = EngineRun(customers=names)
    for number, name in enumerate(names):
        run.use(str(number), customer=name)
    run.merge()

    tail = taken(run, make_meter(), first=1, at_once=2000)

    assert peaks_of(run, tail) == {name: number * SCALE for number, name in enumerate(names)}


def test_a3_one_customer_is_followed_up_to_a_threshold() -> None:
    run = EngineRun()
    events = [Counted(NOW, sequence, 2 * SCALE) for sequence in range(1, 6)]
    name = CustomerId("cus_a")

    reaching = Tail(run.state, make_meter(), first=1)
    staying_below = Tail(run.state, make_meter(), first=1)

    assert reaching.reach(name, events, 5 * SCALE, run.lookup) == (3, 6 * SCALE)
    assert staying_below.reach(name, events, 11 * SCALE, run.lookup) is None


def test_a_run_is_cut_where_it_is_asked_to_be() -> None:
    run = EngineRun()
    run.use("1", "2", "3")
    run.merge()
    whole = usage_run(EventRun.of(1, 0, [e.row(0) for e in run.log if isinstance(e, EventRun)]))

    assert whole.part(0, 3) is whole
    assert (whole.part(1, 2).sequence, list(whole.part(1, 2).values)) == (2, ["2"])
