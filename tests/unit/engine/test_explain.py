"""Each thing that keeps an alert from firing, by example. Rules A1 to A6."""

from dataclasses import replace

import pytest

from meterbell.engine.explain import Explanation, explain
from meterbell.engine.model import Formula
from meterbell.engine.value import format_value
from meterbell.ids import AlertId, CustomerId
from tests.builders import NOW, EngineRun, make_alert, make_meter


def explained(run: EngineRun, customer: str = "cus_a", name: str = "alert") -> Explanation:
    run.merge()
    return explain(run.state, run.state.alerts[AlertId(f"alrt_{name}")], CustomerId(customer))


def numbers(found: Explanation) -> tuple[str | None, ...]:
    """Return usage, what is missing and what does not count."""
    values = (found.usage, found.remaining, found.not_counted)
    return tuple(None if value is None else format_value(value) for value in values)


def test_a2_usage_from_before_the_alert_is_told_apart() -> None:
    run = EngineRun()
    run.use("7")
    run.create(make_alert(gte=10))
    run.use("2.5")

    found = explained(run)

    assert found.outcome == "below"
    assert numbers(found) == ("2.5", "7.5", "7")


@pytest.mark.parametrize(("formula", "not_counted"), [("sum", "7"), ("count", "1"), ("last", "7")])
def test_a2_without_usage_since_the_alert_nothing_counts(
    formula: Formula, not_counted: str
) -> None:
    run = EngineRun(make_meter(formula=formula))
    run.use("7")
    run.create(make_alert(gte=10))
    run.create(make_alert("lifetime", gte=10, baseline="lifetime"))

    assert numbers(explained(run)) == ("0", "10", not_counted)
    assert numbers(explained(run, name="lifetime"))[2] == "0"


def test_a2_usage_that_counts_without_an_event_is_due_at_the_next() -> None:
    run = EngineRun()
    run.use("12")
    run.create(make_alert(gte=10, baseline="lifetime"))

    assert explained(run).outcome == "due"
    assert numbers(explained(run)) == ("12", "0", "0")


def test_a4_what_triggered_stays_so_whatever_comes_later() -> None:
    run = EngineRun()
    run.create(make_alert(gte=10))
    run.use("12", identifier="big")
    run.cancel("big")
    run.set_status("alert", "archived")

    assert explained(run).outcome == "triggered"
    assert numbers(explained(run)) == (None, None, None)


def test_a6_a_deactivated_alert_tells_its_usage_and_an_archived_one_does_not() -> None:
    run = EngineRun()
    run.create(make_alert(gte=10))
    run.set_status("alert", "inactive")
    run.use("12")

    assert explained(run).outcome == "inactive"
    assert numbers(explained(run)) == ("12", "0", "0")
    run.set_status("alert", "active")
    assert explained(run).outcome == "due"
    run.set_status("alert", "archived")
    assert explained(run).outcome == "archived"
    assert numbers(explained(run)) == (None, None, None)


def test_a1_whom_an_alert_does_not_watch() -> None:
    run = EngineRun()
    run.create(make_alert(customer="cus_b"))
    run.use("3", customer="cus_a")

    assert explained(run, "cus_a").outcome == "other_customer"
    assert explained(run, "cus_nobody").outcome == "customer_unknown"
    assert explained(run, "cus_b").outcome == "no_usage"
    assert numbers(explained(run, "cus_b")) == ("0", "10", "0")


def test_meters_and_customers_that_take_no_usage_any_more() -> None:
    run = EngineRun()
    run.create(make_alert())
    run.use("3", customer="cus_a")
    run.state.remove_customer(CustomerId("cus_a"), livemode=False)

    assert explained(run).outcome == "customer_deleted"
    assert numbers(explained(run)) == ("3", "7", "0")
    run.state.put_meter(replace(make_meter(), status="inactive", deactivated_at=NOW))
    assert explained(run).outcome == "meter_inactive"
