"""What is accepted, by example. Rules C2 and C4."""

import pytest

from meterbell.engine.state import Limits
from meterbell.engine.value import SCALE
from meterbell.errors import (
    DuplicateIdentifierError,
    IdempotencyMismatchError,
    InvalidParamError,
    RequestError,
)
from meterbell.ids import CustomerId
from tests.builders import DAY, NOW, EngineRun, all_counters, make_meter, make_request


@pytest.mark.parametrize("merged", [False, True])
def test_c2_an_identifier_counts_once_and_the_first_one_wins(*, merged: bool) -> None:
    run = EngineRun()
    run.use("5", identifier="a")
    if merged:
        run.merge()

    with pytest.raises(DuplicateIdentifierError, match="already exists with identifier a"):
        run.use("7", identifier="a", customer="cus_b")

    assert run.total() == "5"
    assert list(all_counters(run.state)) == [("mtr_requests", "cus_a")]


def test_c2_an_identifier_is_free_again_after_the_set_days_and_not_before() -> None:
    run = EngineRun()
    run.use("5", identifier="a")
    run.advance(35 * DAY)

    with pytest.raises(DuplicateIdentifierError):
        run.use("7", identifier="a")
    run.advance(0.001)
    run.use("7", identifier="a")

    assert run.total() == "12"


def test_c2_the_days_are_a_setting() -> None:
    run = EngineRun(limits=Limits(identifier_days=40))
    run.use("5", identifier="a")
    run.advance(40 * DAY)

    with pytest.raises(DuplicateIdentifierError):
        run.use("7", identifier="a")


def test_c2_live_and_test_mode_never_meet() -> None:
    run = EngineRun(make_meter(), make_meter(livemode=True))
    run.use("5", identifier="a")

    recorded = run.record(make_request("7", identifier="a", livemode=True))

    assert not recorded.replayed
    run.merge()
    totals = {key: counter.total // SCALE for key, counter in all_counters(run.state).items()}
    assert totals == {("mtr_requests", "cus_a"): 5, ("mtr_live_requests", "cus_a"): 7}


def test_c2_one_identifier_serves_all_meters_of_a_mode() -> None:
    run = EngineRun(make_meter(), make_meter("tokens"))
    run.use("5", identifier="a")

    with pytest.raises(DuplicateIdentifierError):
        run.use("5", identifier="a", meter="tokens")


def test_c2_an_event_without_identifier_gets_the_given_one() -> None:
    run = EngineRun()

    event = run.group.record(make_request("1"), new_identifier="made_up").event

    assert event.identifier == "made_up"
    with pytest.raises(DuplicateIdentifierError):
        run.use("1", identifier="made_up")


def test_c2_a_refused_event_does_not_use_up_its_identifier() -> None:
    run = EngineRun()
    with pytest.raises(InvalidParamError):
        run.use("abc", identifier="a")

    run.use("5", identifier="a")

    assert run.total() == "5"


@pytest.mark.parametrize("merged", [False, True])
def test_c2_a_retry_with_the_same_request_key_returns_the_first_event(*, merged: bool) -> None:
    run = EngineRun()
    request = make_request("5", request_key=b"key", request_digest=b"digest")
    first = run.record(request)
    if merged:
        run.merge()

    again = run.record(request)

    assert (first.replayed, again.replayed) == (False, True)
    assert again.event == first.event
    assert run.total() == "5"


def test_c2_a_request_key_used_for_something_else_is_refused() -> None:
    run = EngineRun()
    run.record(make_request("5", request_key=b"key", request_digest=b"one"))

    with pytest.raises(IdempotencyMismatchError):
        run.record(make_request("6", request_key=b"key", request_digest=b"other"))


def test_c2_a_request_key_is_remembered_for_24_hours() -> None:
    run = EngineRun()
    request = make_request("5", request_key=b"key", request_digest=b"digest")
    run.record(request)
    run.advance(DAY)
    assert run.record(request).replayed
    run.advance(0.001)

    assert not run.record(request).replayed

    assert run.total() == "10"


@pytest.mark.parametrize("offset", [-35 * DAY, -1, 0, 300])
def test_c4_a_timestamp_within_35_days_back_and_5_minutes_ahead_is_accepted(offset: int) -> None:
    run = EngineRun()

    run.use("5", timestamp=NOW + offset)

    assert run.total() == "5"


@pytest.mark.parametrize(
    ("offset", "reason"), [(-35 * DAY - 1, "too far in the past"), (301, "too far in the future")]
)
def test_c4_any_other_timestamp_is_refused(offset: int, reason: str) -> None:
    run = EngineRun()

    with pytest.raises(InvalidParamError, match=reason) as caught:
        run.use("5", timestamp=NOW + offset)

    assert caught.value.param == "timestamp"


def test_c4_without_a_timestamp_usage_is_of_now() -> None:
    run = EngineRun()

    event = run.record(make_request("5")).event

    assert event.timestamp == NOW
    assert event.received_at_ms == NOW * 1000


@pytest.mark.parametrize(
    ("customer", "value", "param"),
    [
        (None, "1", "payload[stripe_customer_id]"),
        ("", "1", "payload[stripe_customer_id]"),
        ("cus_unknown", "1", "payload[stripe_customer_id]"),
        ("cus_a", None, "payload[value]"),
        ("cus_a", "1e3", "payload[value]"),
    ],
)
def test_a_refusal_names_the_parameter_and_changes_nothing(
    customer: str | None, value: str | None, param: str
) -> None:
    run = EngineRun()

    with pytest.raises(RequestError) as caught:
        run.record(make_request(value, customer=customer))

    assert isinstance(caught.value, InvalidParamError)
    assert caught.value.param == param
    run.merge()
    assert run.log == []
    assert all_counters(run.state) == {}


def test_usage_of_an_unknown_or_inactive_meter_is_refused() -> None:
    run = EngineRun(make_meter(), make_meter("old", status="inactive"))

    for name in ("old", "unknown"):
        with pytest.raises(InvalidParamError, match=f'No active meter found .* "{name}"'):
            run.use("1", meter=name)


def test_with_auto_create_an_unknown_customer_is_created_once() -> None:
    run = EngineRun(limits=Limits(auto_create_customers=True))

    run.use("1", "2", customer="cus_new")

    assert list(run.group.new_customers) == [(False, "cus_new")]
    run.merge()
    assert CustomerId("cus_new") in run.state.customers[False]
    assert CustomerId("cus_new") not in run.state.customers[True]
    run.use("3", customer="cus_new")
    assert run.group.new_customers == {}


def test_a_removed_customer_keeps_its_counter_and_is_refused() -> None:
    run = EngineRun()
    run.use("4")
    run.merge()

    run.state.remove_customer(CustomerId("cus_a"), livemode=False)

    with pytest.raises(InvalidParamError, match="No such customer"):
        run.use("1")
    assert run.total() == "4"
