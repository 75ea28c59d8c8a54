"""Progress towards a threshold. Rules A2, A6; and exact as C3 wants it."""

from fractions import Fraction

import pytest

from meterbell.engine.counter import Counter
from meterbell.engine.progress import Progress, Standings, nearest, progress_of
from meterbell.engine.table import WHOLE_MAX
from meterbell.engine.value import SCALE, format_value
from meterbell.ids import CustomerId
from tests.builders import EngineRun, make_alert, make_meter


def standings_of(run: EngineRun, name: str = "alert") -> Standings:
    run.merge()
    alert = next(alert for alert in run.state.alerts.values() if alert.title == name)
    standings = Standings.of(run.state, alert)
    standings.read(run.state, 0, len(standings))
    return standings


def told(found: list[Progress]) -> list[tuple[str, str]]:
    return [(progress.customer, format_value(progress.usage)) for progress in found]


def everybody(run: EngineRun, standings: Standings, **more: bool) -> list[tuple[str, str]]:
    return told(standings.furthest(run.state, 100, waiting=more.get("waiting", False)))


def test_a2_those_with_most_usage_since_the_creation_come_first() -> None:
    run = EngineRun(customers=("cus_a", "cus_b", "cus_c", "cus_d"))
    run.use("100", customer="cus_a")
    run.use("1", customer="cus_b")
    run.create(make_alert(gte=10))
    run.use("4.5", customer="cus_a")
    run.use("9", customer="cus_c")
    standings = standings_of(run)

    assert everybody(run, standings) == [("cus_c", "9"), ("cus_a", "4.5"), ("cus_b", "0")]


def test_progress_knows_what_is_missing_and_its_share() -> None:
    run = EngineRun()
    alert = run.create(make_alert(gte=8))
    run.use("6")
    run.merge()

    below = progress_of(run.state, alert, CustomerId("cus_a"))
    none = progress_of(run.state, alert, CustomerId("cus_nobody"))
    run.use("6")
    run.merge()
    above = progress_of(run.state, alert, CustomerId("cus_a"))

    assert (below.remaining, below.share, below.triggered) == (2 * SCALE, Fraction(3, 4), False)
    assert (none.usage, none.remaining) == (0, 8 * SCALE)
    assert (above.remaining, above.share, above.triggered) == (0, Fraction(3, 2), True)


def test_of_equals_the_customer_made_first_comes_first_on_every_page() -> None:
    names = [f"cus_{number:02}" for number in range(20)]
    run = EngineRun(customers=names)
    run.create(make_alert(gte=10))
    for name in reversed(names):
        run.use("1.5", customer=name)
    standings = standings_of(run)

    first = standings.furthest(run.state, 7, waiting=False)
    second = standings.furthest(run.state, 13, waiting=False, after=first[-1].customer)

    assert [progress.customer for progress in first + second] == names


def test_those_for_whom_it_fired_can_be_left_out() -> None:
    run = EngineRun()
    run.create(make_alert(gte=10))
    run.use("12", customer="cus_a")
    run.use("3", customer="cus_b")
    standings = standings_of(run)

    assert everybody(run, standings, waiting=True) == [("cus_b", "3")]
    assert everybody(run, standings) == [("cus_a", "12"), ("cus_b", "3")]


def test_what_came_since_they_were_read_is_told_exactly() -> None:
    run = EngineRun(customers=("cus_a", "cus_b", "cus_c"))
    run.create(make_alert(gte=10))
    for customer, value in (("cus_a", "5"), ("cus_b", "4"), ("cus_c", "3")):
        run.use(value, customer=customer)
    standings = standings_of(run)

    run.use("6", customer="cus_a")
    run.use("0.25", customer="cus_c")
    run.merge()

    assert told(standings.furthest(run.state, 2, waiting=True)) == [
        ("cus_b", "4"),
        ("cus_c", "3.25"),
    ]


def test_a1_an_alert_for_one_customer_has_progress_of_that_one_only() -> None:
    run = EngineRun()
    run.create(make_alert(customer="cus_b"))
    run.use("3", customer="cus_a")
    run.use("2", customer="cus_b")
    run.create(make_alert("other", customer="cus_new"))

    assert everybody(run, standings_of(run)) == [("cus_b", "2")]
    assert everybody(run, standings_of(run, "other")) == []


def test_deleted_customers_are_left_out() -> None:
    run = EngineRun()
    run.create(make_alert())
    run.use("3", customer="cus_a")
    run.use("2", customer="cus_b")
    run.state.remove_customer(CustomerId("cus_a"), livemode=False)
    run.state.remove_customer(CustomerId("cus_b"), livemode=True)

    assert everybody(run, standings_of(run)) == [("cus_b", "2")]


@pytest.mark.parametrize("before", ["0", "1"])
def test_c3_counters_that_no_row_can_hold_are_told_exactly(before: str) -> None:
    run = EngineRun(customers=("cus_a", "cus_b", "cus_c", "cus_d"))
    if before == "1":
        for customer in ("cus_a", "cus_b", "cus_c", "cus_d"):
            run.use("1", customer=customer)
    alert = run.create(make_alert())
    run.use("1", customer="cus_a")
    run.merge()
    for customer, whole in (("cus_b", WHOLE_MAX), ("cus_c", 3 * WHOLE_MAX), ("cus_d", -WHOLE_MAX)):
        counter = run.state.counter(make_meter().id, CustomerId(customer)) or Counter()
        counter.armed = alert.created_sequence
        counter.total += whole * SCALE
        run.state.put_counter(make_meter().id, CustomerId(customer), counter)
    standings = standings_of(run)

    one_by_one = [
        told(standings.furthest(run.state, 1, waiting=False, after=after))[0][0]
        for after in (None, CustomerId("cus_c"), CustomerId("cus_b"), CustomerId("cus_a"))
    ]

    assert one_by_one == ["cus_c", "cus_b", "cus_a", "cus_d"]
    assert everybody(run, standings)[0][1] == str(3 * WHOLE_MAX + int(before))


def test_the_nearest_are_told_once_for_each_meter_by_their_share() -> None:
    run = EngineRun(make_meter(), make_meter("seats"))
    half, tenth = run.create(make_alert("half", gte=20)), run.create(make_alert("tenth", gte=100))
    seats = run.create(make_alert("seats", gte=4, meter="seats"))
    fired = run.create(make_alert("fired", gte=1))
    run.use("10", customer="cus_a")
    run.use("3", customer="cus_a", meter="seats")
    run.use("9.5", customer="cus_b")
    run.merge()
    found = [
        progress_of(run.state, alert, CustomerId(customer))
        for alert in (tenth, half, seats, fired)
        for customer in ("cus_a", "cus_b")
    ]

    assert [(p.customer, p.alert.title) for p in nearest(found, 9)] == [
        ("cus_a", "seats"),
        ("cus_a", "half"),
        ("cus_b", "half"),
    ]
    assert nearest(found + found, 1) == nearest(found, 9)[:1]
