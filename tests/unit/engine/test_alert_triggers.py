"""When an alert triggers, by example, in the rules' own words. Rules A1 to A3."""

import pytest

from meterbell.engine.model import EventTimeWindow
from meterbell.engine.value import format_value
from meterbell.ids import AlertId
from tests.builders import DAY, HOUR, NOW, EngineRun, make_alert, make_meter


def test_a1_an_alert_for_any_customer_watches_each_one_separately() -> None:
    run = EngineRun()
    run.create(make_alert(gte=10))

    run.use("6")
    run.use("6", customer="cus_b")
    run.use("6")
    run.use("6", customer="cus_b")

    assert run.fired == [("alert", "cus_a", "12", 4), ("alert", "cus_b", "12", 5)]


def test_a1_an_alert_for_one_customer_watches_no_other() -> None:
    run = EngineRun()
    run.create(make_alert(gte=10, customer="cus_b"))

    run.use("20")
    run.use("20", customer="cus_b")

    assert run.fired == [("alert", "cus_b", "20", 3)]


def test_a1_an_alert_watches_one_meter() -> None:
    run = EngineRun(make_meter(), make_meter("tokens"))
    run.create(make_alert(gte=10, meter="tokens"))

    run.use("20")
    run.use("10", meter="tokens")

    assert run.fired == [("alert", "cus_a", "10", 3)]


@pytest.mark.parametrize("merged", [False, True])
def test_a2_only_usage_after_the_alert_counts(*, merged: bool) -> None:
    run = EngineRun()
    run.use("8")
    if merged:
        run.merge()
    run.create(make_alert(gte=10))
    if merged:
        run.merge()

    run.use("9", "1")

    assert run.fired == [("alert", "cus_a", "10", 4)]


def test_a2_an_alert_younger_than_its_usage_counts_by_commit_not_by_timestamp() -> None:
    run = EngineRun()
    run.create(make_alert(gte=10))

    run.use("10", timestamp=NOW - 30 * DAY)

    assert run.fired == [("alert", "cus_a", "10", 2)]


def test_a2_lifetime_counts_earlier_usage_at_the_next_usage() -> None:
    run = EngineRun()
    run.use("20", "-5")
    run.create(make_alert(gte=10, baseline="lifetime"))
    assert run.fired == []

    run.use("0")

    assert run.fired == [("alert", "cus_a", "15", 4)]


def test_a2_lifetime_evaluated_on_create_triggers_at_once_for_those_who_are_there() -> None:
    run = EngineRun(customers=["cus_a", "cus_b", "cus_c"])
    run.use("10", customer="cus_b")
    run.merge()
    run.use("30", customer="cus_a")
    run.use("9", customer="cus_c")

    run.create(make_alert(gte=10, baseline="lifetime"), evaluate=True)
    run.use("1", customer="cus_c")
    run.use("1", customer="cus_b")

    assert run.fired == [
        ("alert", "cus_a", "30", 4),
        ("alert", "cus_b", "10", 4),
        ("alert", "cus_c", "10", 5),
    ]


def test_a2_evaluated_on_create_for_one_customer() -> None:
    run = EngineRun()
    run.use("10")
    run.use("10", customer="cus_b")

    run.create(make_alert("b", gte=10, baseline="lifetime", customer="cus_b"), evaluate=True)
    run.create(make_alert("z", gte=10, baseline="lifetime", customer="cus_z"), evaluate=True)

    assert run.fired == [("b", "cus_b", "10", 3)]


def test_a2_evaluated_on_create_never_triggers_on_usage_before_a_baseline_of_creation() -> None:
    run = EngineRun()
    run.use("10")

    run.create(make_alert(gte=10), evaluate=True)

    assert run.fired == []


def test_a2_cancelling_usage_from_before_the_alert_does_not_move_it() -> None:
    run = EngineRun()
    run.use("8", identifier="early")
    run.create(make_alert(gte=10))
    run.use("9")
    run.merge()

    run.cancel("early")
    run.use("0.999999999999")
    assert run.fired == []
    run.use("0.000000000001")

    assert run.fired == [("alert", "cus_a", "10", 6)]


def test_a2_an_event_that_takes_the_window_of_one_before_the_alert_counts_in_full() -> None:
    run = EngineRun(make_meter(window="hour"))
    run.use("10")
    run.create(make_alert(gte=5))

    run.use("6")

    assert run.total() == "6"
    assert run.fired == [("alert", "cus_a", "6", 3)]


def test_a2_of_last_only_values_after_the_alert_count() -> None:
    run = EngineRun(make_meter(formula="last"))
    run.use("50", timestamp=NOW)
    run.create(make_alert(gte=10))

    run.use("12", timestamp=NOW - HOUR)

    assert run.total() == "50"
    assert run.fired == [("alert", "cus_a", "12", 3)]


@pytest.mark.parametrize("window", [None, "hour", "day"])
@pytest.mark.parametrize("offset", [HOUR, 2 * DAY])
def test_a2_of_last_a_cancelled_value_gives_way_to_the_one_before_it(
    window: EventTimeWindow | None, offset: int
) -> None:
    run = EngineRun(make_meter(formula="last", window=window))
    run.use("50", timestamp=NOW)
    run.use("40", timestamp=NOW - 4 * DAY)
    run.create(make_alert(gte=10))
    run.use("5", timestamp=NOW - 5 * DAY)
    run.use("9", timestamp=NOW - 4 * DAY, identifier="kept")
    run.use("12", timestamp=NOW - offset, identifier="a")
    run.set_status("alert", "inactive")
    assert _value_taken(run) == "12"

    run.cancel("a")
    assert _value_taken(run) == "9"
    run.cancel("kept")
    assert _value_taken(run) == "5"


def test_a2_of_last_nothing_counts_when_all_values_after_the_alert_are_cancelled() -> None:
    run = EngineRun(make_meter(formula="last"))
    run.use("50", timestamp=NOW)
    run.create(make_alert(gte=10))
    run.use("5", timestamp=NOW, identifier="a")
    run.cancel("a")

    assert _value_taken(run) is None
    assert run.total() == "50"


def _value_taken(run: EngineRun) -> str | None:
    """Return the value that counts for the only alert."""
    since = run.counter().read_detail().baselines[AlertId("alrt_alert")].since
    return None if since is None else format_value(since.value)


def test_a3_the_first_event_at_or_above_the_threshold_triggers_with_its_usage() -> None:
    run = EngineRun()
    run.create(make_alert(gte=10))

    run.use("4", "5.999999999999", "0.000000000001", "7")

    assert run.fired == [("alert", "cus_a", "10", 4)]


def test_a3_a_threshold_just_missed_does_not_trigger() -> None:
    run = EngineRun()
    run.create(make_alert(gte=10))

    run.use("9.999999999999")

    assert run.fired == []


def test_a3_usage_that_rises_over_and_falls_back_within_one_group_triggers() -> None:
    run = EngineRun()
    run.create(make_alert(gte=10))

    run.use("12", "-12", "1")

    assert run.fired == [("alert", "cus_a", "12", 2)]


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_a3_batching_never_changes_which_event_triggers(size: int) -> None:
    run = EngineRun()
    run.create(make_alert("low", gte=5))
    run.create(make_alert("high", gte=11))

    for count, value in enumerate(["3", "-1", "4", "-5", "10", "1"], start=1):
        run.use(value)
        if count % size == 0:
            run.merge()

    assert run.fired == [("low", "cus_a", "6", 5), ("high", "cus_a", "11", 7)]


def test_a3_one_event_triggers_several_alerts_lowest_threshold_first() -> None:
    run = EngineRun()
    run.create(make_alert("high", gte=9))
    run.create(make_alert("low", gte=3))
    run.create(make_alert("own", gte=5, customer="cus_a"))
    run.create(make_alert("twin", gte=3))

    run.use("9")

    assert [name for name, *_ in run.fired] == ["low", "twin", "own", "high"]


def test_a3_a_cancellation_never_triggers_but_the_next_usage_does() -> None:
    run = EngineRun()
    run.create(make_alert(gte=10))
    run.use("-5", identifier="refund")
    run.use("12")
    run.cancel("refund")
    assert run.fired == []

    run.use("-1")

    assert run.fired == [("alert", "cus_a", "11", 5)]
