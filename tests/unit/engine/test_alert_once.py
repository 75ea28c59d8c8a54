"""Once only, status, limits and cost of alerts, by example. Rules A4 to A8."""

import gc
import sys
from collections.abc import Iterator
from copy import deepcopy
from types import FrameType

import pytest
from typing_extensions import override

from meterbell.engine.counter import Counter
from meterbell.engine.model import Formula
from meterbell.engine.state import Limits
from meterbell.errors import InvalidParamError, LimitReachedError
from meterbell.ids import CustomerId
from tests.builders import (
    HOUR,
    NOW,
    EngineRun,
    all_counters,
    make_alert,
    make_meter,
    make_request,
)


def test_a4_an_alert_triggers_once_however_often_usage_falls_and_rises() -> None:
    run = EngineRun()
    run.create(make_alert(gte=10))

    run.use("12", "-12", "12")
    run.merge()
    run.use("-12", "12")

    assert run.fired == [("alert", "cus_a", "12", 2)]


def test_a4_reactivation_does_not_trigger_again() -> None:
    run = EngineRun()
    run.use("5")
    run.create(make_alert("baseline", gte=10))
    run.create(make_alert("whole", gte=10, baseline="lifetime"))
    run.use("12")
    for name in ("baseline", "whole"):
        run.set_status(name, "inactive")
    run.use("12")
    for name in ("baseline", "whole"):
        run.set_status(name, "active")

    run.use("12")

    assert run.fired == [("baseline", "cus_a", "12", 4), ("whole", "cus_a", "17", 4)]


def test_a4_a_cancelled_event_leaves_its_trigger_and_no_second_follows() -> None:
    run = EngineRun()
    run.create(make_alert(gte=10))
    run.use("12", identifier="a")

    run.cancel("a")
    run.use("15")

    assert run.fired == [("alert", "cus_a", "12", 2)]


def test_a4_after_a_restart_an_alert_stays_triggered() -> None:
    run = EngineRun()
    run.use("1", customer="cus_b")
    run.create(make_alert(gte=10))
    run.use("12")

    again = run.replayed()
    again.use("12")

    assert again.fired == run.fired == [("alert", "cus_a", "12", 3)]


def test_a4_what_a_checkpoint_covers_is_not_counted_again() -> None:
    run = EngineRun()
    run.use("8", identifier="a")
    run.create(make_alert(gte=1, baseline="lifetime"), evaluate=True)
    run.cancel("a")
    run.merge()
    sequence, kept = run.state.sequence, deepcopy(run.state.table.block(0))
    run.use("2")
    run.merge()
    again = EngineRun()
    again.state.table.load_block(0, kept, sequence=sequence)

    for entry in run.log:
        again.replay(entry)
    again.merge()

    assert again.total() == "2"
    assert again.state.cancelled == {1}
    assert again.fired == []
    assert all_counters(again.state) == all_counters(run.state)


def test_a6_a_deactivated_alert_never_triggers_and_its_usage_keeps_counting() -> None:
    run = EngineRun()
    run.use("7")
    run.create(make_alert(gte=10))
    run.set_status("alert", "inactive")
    run.use("6", "6")
    assert run.fired == []
    run.set_status("alert", "active")
    assert run.fired == []

    run.use("1")

    assert run.fired == [("alert", "cus_a", "13", 7)]


@pytest.mark.parametrize("formula", ["sum", "last"])
def test_a6_an_alert_activated_below_an_earlier_peak_waits_for_its_threshold(
    formula: Formula,
) -> None:
    run = EngineRun(make_meter(formula=formula))
    run.create(make_alert(gte=10))
    run.use("1")
    run.set_status("alert", "inactive")
    run.use("12", identifier="a")
    run.cancel("a")
    run.set_status("alert", "active")

    run.use("3")
    assert run.fired == []
    run.use("10")

    assert run.fired == [("alert", "cus_a", "14" if formula == "sum" else "10", 8)]


def test_a6_setting_a_status_again_changes_nothing() -> None:
    run = EngineRun()
    run.create(make_alert(gte=10))

    run.set_status("alert", "active")

    assert run.state.sequence == 1


def test_a6_archive_is_final() -> None:
    run = EngineRun()
    run.create(make_alert(gte=10))
    run.use("1")
    run.set_status("alert", "archived")
    assert run.set_status("alert", "archived").status == "archived"

    with pytest.raises(InvalidParamError, match="archived, which is final"):
        run.set_status("alert", "active")
    run.use("20")

    assert run.fired == []


def test_a6_what_a_counter_keeps_for_an_alert_goes_when_it_is_archived() -> None:
    run = EngineRun()
    run.use("1")
    for name in ("one", "two"):
        run.create(make_alert(name, gte=10))
    run.use("1")
    run.set_status("one", "archived")
    run.use("1")

    counter = run.counter()

    assert list(counter.read_detail().baselines) == ["alrt_two"]
    assert counter.read_detail().watch == ("alrt_two",)


def test_a7_a_scope_of_a_meter_has_at_most_25_alerts_that_are_not_archived() -> None:
    run = EngineRun(make_meter(), make_meter("tokens"))
    for count in range(25):
        run.create(make_alert(f"{count}", gte=count + 1))
    run.set_status("3", "inactive")

    with pytest.raises(LimitReachedError, match="maximum of 25 alerts for any customer"):
        run.create(make_alert("one_more"))

    run.create(make_alert("other_scope", customer="cus_a"))
    run.create(make_alert("other_meter", meter="tokens"))
    run.set_status("3", "archived")
    run.create(make_alert("in_its_place"))


def test_a7_the_limit_is_a_setting_and_names_the_customer() -> None:
    run = EngineRun(limits=Limits(alerts_per_scope=1))
    run.create(make_alert("a", customer="cus_a"))

    with pytest.raises(LimitReachedError, match="maximum of 1 alerts for cus_a"):
        run.create(make_alert("b", customer="cus_a"))


def test_a8_creating_an_alert_for_any_customer_touches_no_counter() -> None:
    run = EngineRun()
    run.use("5")
    run.use("5", customer="cus_b")
    run.merge()
    before = deepcopy(all_counters(run.state))
    run.state.table.changed[:] = False

    run.create(make_alert(gte=10))
    run.create(make_alert("lifetime", gte=10, baseline="lifetime"))

    assert all_counters(run.state) == before
    assert not run.state.table.changed.any()


def _calls_per_event(*, alerts: int, customers: int) -> int:
    """Return how many calls one more event makes, with so many alerts above its usage."""
    run = EngineRun(
        customers=[f"cus_{count}" for count in range(customers)],
        limits=Limits(alerts_per_scope=alerts),
    )
    for count in range(alerts):
        run.create(make_alert(f"{count}", gte=1_000_000 + count))
    for count in range(customers):
        run.use("1", customer=f"cus_{count}")
    run.merge()
    request = make_request("1", customer="cus_0", identifier="measured")
    calls = 0

    def count_call(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    gc.disable()  # a collection would call what others hooked into it
    sys.setprofile(count_call)
    try:
        run.group.record(request, new_identifier="")
    finally:
        sys.setprofile(None)
        gc.enable()
    assert run.state.sequence == alerts + customers + 1
    return calls


def test_a8_the_work_for_an_event_does_not_grow_with_alerts_or_customers() -> None:
    one = _calls_per_event(alerts=1, customers=1)

    assert 10 < one < 100
    assert _calls_per_event(alerts=1000, customers=1) == one
    assert _calls_per_event(alerts=1, customers=1000) == one


def test_a8_an_event_does_not_look_through_the_windows_of_the_past() -> None:
    class NoScan(dict[int, object]):
        @override
        def __iter__(self) -> Iterator[int]:
            raise AssertionError("the past was looked through")

        @override
        def values(self) -> object:  # type: ignore[override]
            raise AssertionError("the past was looked through")

    for formula in ("sum", "last"):
        run = EngineRun(make_meter(formula=formula, window="hour"))
        run.use("1", timestamp=NOW - HOUR)
        run.use("2")
        detail = run.counter().open_detail()
        detail.slots = NoScan(detail.slots)  # type: ignore[assignment]
        detail.buckets = NoScan(detail.buckets)  # type: ignore[assignment]

        run.use("3")
        run.use("4")

        assert run.total() == ("5" if formula == "sum" else "4")


def test_a8_status_changes_leave_one_trace_each_alert() -> None:
    run = EngineRun()
    run.create(make_alert())

    for _ in range(50):
        run.set_status("alert", "inactive")
        run.set_status("alert", "active")

    assert len(run.state.meter_alerts[make_meter().id].any_customer.changes) == 1


def test_an_alert_on_a_customer_without_usage_starts_at_zero() -> None:
    run = EngineRun()
    run.create(make_alert(customer="cus_a", gte=2))

    run.use("2")

    assert run.state.meter_alerts[make_meter().id].watching(CustomerId("cus_b"))[1:] == ()
    assert run.fired == [("alert", "cus_a", "2", 2)]
    assert run.counter() != Counter()
