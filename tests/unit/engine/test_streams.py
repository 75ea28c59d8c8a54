"""Each way out of the stream's hot path, by example: what it counts is what `Group.record` counts.

Rules A2, A3, C2 to C7. Whatever the loop can't decide in one step must leave the state that the
same events leave when they come one by one.
"""

import gc
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import pytest

from meterbell.engine import values
from meterbell.engine.hours import merge
from meterbell.engine.model import DefaultPayload, EventRun, StreamUsage
from meterbell.engine.stream import record_batches
from meterbell.engine.validate import FUTURE_SECONDS_MAX, PAST_SECONDS_MAX
from meterbell.engine.value import format_value
from meterbell.errors import DuplicateIdentifierError, UsageRefusedError
from meterbell.ids import CustomerId
from tests.builders import (
    HOUR,
    NOW,
    EngineRun,
    all_counters,
    make_alert,
    make_meter,
    make_request,
    stream_batch,
)


def usage(
    identifier: str,
    value: str | None = "1",
    *,
    customer: str = "cus_a",
    meter: str = "requests",
    at: int | None = None,
) -> StreamUsage:
    """Return one meter event of a stream; `at` in Unix seconds."""
    return StreamUsage(
        event_name=meter,
        payload=DefaultPayload(CustomerId(customer), value),
        identifier=identifier,
        timestamp=None if at is None else datetime.fromtimestamp(at, UTC),
    )


def send(run: EngineRun, *events: StreamUsage) -> list[str]:
    """Count a batch in the open group; return the reasons of what is refused."""
    before = len(run.group.refusals)
    identifiers = [event.identifier or "" for event in events]
    record_batches(run.group, [stream_batch(False, events, identifiers)], run.values)  # noqa: FBT003
    return [refusal.reason for refusal in run.group.refusals[before:]]


def send_singly(run: EngineRun, *events: StreamUsage) -> list[str]:
    """Count the same events by `Group.record`; return the reasons of what is refused."""
    reasons: list[str] = []
    for event in events:
        stamp = event.timestamp
        request = make_request(
            event.payload.value,
            customer=event.payload.stripe_customer_id,
            meter=event.event_name,
            identifier=event.identifier,
            timestamp=None if stamp is None else int(stamp.timestamp()),
        )
        try:
            run.record(request)
        except DuplicateIdentifierError:
            reasons.append("duplicate_meter_event")
        except UsageRefusedError as error:
            reasons.append(error.reason)
    return reasons


def facts(run: EngineRun) -> object:
    """Return all that the events left: log, counters, triggers, identifiers."""
    run.merge()
    known = [run.state.identifiers[mode] for mode in (False, True)]
    return run.log, all_counters(run.state), run.triggers, known, run.state.sequence


Prepare = Callable[[EngineRun], None]


def hour_values(run: EngineRun) -> dict[int, str]:
    return {hour: format_value(merge(parts).value) for hour, parts in run.hours().items()}


def assert_alike(
    events: Sequence[StreamUsage], prepare: Prepare = lambda _run: None
) -> tuple[EngineRun, list[str]]:
    """Count events as one batch and one by one; both must leave the same; return the batch's."""
    at_once, singly = EngineRun(), EngineRun()
    for run in (at_once, singly):
        prepare(run)

    refused = send(at_once, *events)

    assert refused == send_singly(singly, *events)
    assert facts(at_once) == facts(singly)
    again = at_once.replayed().state
    assert all_counters(again) == all_counters(at_once.state)
    return at_once, refused


def test_c2_an_identifier_twice_in_one_batch_counts_once() -> None:
    events = [usage("a", "1"), usage("b", "10"), usage("a", "100"), usage("c", "1000")]

    run, refused = assert_alike(events)

    assert run.total() == "1011"
    assert refused == ["duplicate_meter_event"]


@pytest.mark.parametrize("is_committed", [False, True])
def test_c2_a_batch_of_which_half_is_known_counts_the_other_half(is_committed: bool) -> None:  # noqa: FBT001
    def prepare(run: EngineRun) -> None:
        send(run, *(usage(f"id_{number}", "1") for number in range(0, 20, 2)))
        if is_committed:
            run.merge()

    run, refused = assert_alike([usage(f"id_{number}", "1") for number in range(20)], prepare)

    assert run.total() == "20"
    assert refused == ["duplicate_meter_event"] * 10


def test_refusals_leave_nothing_that_only_a_collection_finds() -> None:
    run = EngineRun(make_meter())
    send(run, usage("a", "1"))
    gc.collect()
    gc.disable()
    try:
        refused = send(run, *(usage("a", "1") for _ in range(300)))
        found = gc.collect()
    finally:
        gc.enable()

    assert refused == ["duplicate_meter_event"] * 300
    assert found < 300


def test_c2_two_requests_of_one_group_with_the_same_identifiers_count_once() -> None:
    run = EngineRun()
    events = [usage("a"), usage("b")]
    batch = stream_batch(False, events, ["a", "b"])  # noqa: FBT003

    record_batches(run.group, [batch, batch], run.values)

    assert run.total() == "2"


def test_c2_a_generated_identifier_that_is_known_is_no_error() -> None:
    run = EngineRun()
    events = [replace_identifier(usage("a")), replace_identifier(usage("b"))]
    batch = stream_batch(False, events, ["idmp_1", "idmp_2"])  # noqa: FBT003

    record_batches(run.group, [batch], run.values)
    run.merge()
    record_batches(run.group, [batch], run.values)

    assert run.group.refusals == []
    assert run.total() == "2"


def replace_identifier(event: StreamUsage) -> StreamUsage:
    return StreamUsage(event.event_name, event.payload, None, event.timestamp)


def test_c2_events_of_the_general_shape_in_one_batch_count_as_others_do() -> None:
    run = EngineRun()
    requests = [make_request("2", identifier="a"), make_request("3", identifier="a")]

    record_batches(run.group, [stream_batch(False, requests, ["a", "a"])], run.values)  # noqa: FBT003

    assert [refusal.reason for refusal in run.group.refusals] == ["duplicate_meter_event"]
    assert run.total() == "2"


@pytest.mark.parametrize("customer", ["cus_a", None])
def test_a1_an_alert_fires_for_a_counter_that_the_batch_makes(customer: str | None) -> None:
    def prepare(run: EngineRun) -> None:
        run.create(make_alert("own", gte=5, customer=customer))
        run.merge()

    run, _ = assert_alike([usage("a", "3"), usage("b", "4"), usage("c", "5")], prepare)

    assert run.fired == [("own", "cus_a", "7", 3)]


def test_a1_an_alert_of_one_customer_fires_for_that_customer_only() -> None:
    def prepare(run: EngineRun) -> None:
        run.create(make_alert("own", gte=5, customer="cus_a"))

    events = [usage("a", "9", customer="cus_b"), usage("b", "9"), usage("c", "9")]

    assert assert_alike(events, prepare)[0].fired == [("own", "cus_a", "9", 3)]


def test_a3_several_thresholds_are_crossed_at_their_own_events() -> None:
    def prepare(run: EngineRun) -> None:
        for gte in (2, 3, 7):
            run.create(make_alert(str(gte), gte=gte))

    run, _ = assert_alike([usage(str(n), "1.5") for n in range(6)], prepare)

    assert run.fired == [
        ("2", "cus_a", "3", 5),
        ("3", "cus_a", "3", 5),
        ("7", "cus_a", "7.5", 8),
    ]


def test_a_deleted_customer_is_refused_in_the_middle_of_a_batch() -> None:
    def prepare(run: EngineRun) -> None:
        run.use("1")
        run.merge()
        run.state.remove_customer(CustomerId("cus_a"), livemode=False)

    events = [usage("a", customer="cus_b"), usage("b"), usage("c", customer="cus_b")]
    run, refused = assert_alike(events, prepare)

    assert refused == ["meter_event_customer_not_found"]
    assert (run.total(), run.total("cus_b")) == ("1", "2")


def test_an_unknown_customer_is_refused_in_the_middle_of_a_batch() -> None:
    run, refused = assert_alike([usage("a"), usage("b", customer="cus_x"), usage("c")])

    assert refused == ["meter_event_customer_not_found"]
    assert run.total() == "2"


def test_a3_a_negative_value_lowers_the_total_and_keeps_the_peak() -> None:
    def prepare(run: EngineRun) -> None:
        run.create(make_alert("ten", gte=10))

    run, _ = assert_alike(
        [usage("a", "6"), usage("b", "-4"), usage("c", "5"), usage("d", "3")], prepare
    )

    assert run.total() == "10"
    assert run.fired == [("ten", "cus_a", "10", 5)]


def test_c7_a_late_event_lands_in_the_hour_of_its_timestamp() -> None:
    events = [usage("a", "1"), usage("b", "2", at=NOW - 5 * HOUR), usage("c", "4")]

    run, _ = assert_alike(events)

    assert hour_values(run) == {NOW // HOUR: "5", NOW // HOUR - 5: "2"}
    assert [run.lookup(sequence).previous for sequence in (1, 2, 3)] == [0, 0, 1]


def test_c7_a_new_hour_keeps_the_one_before_it() -> None:
    events = [usage("a", "1", at=NOW - HOUR), usage("b", "2"), usage("c", "4", at=NOW + 60)]

    run, _ = assert_alike(events)

    assert hour_values(run) == {NOW // HOUR: "6", NOW // HOUR - 1: "1"}


@pytest.mark.parametrize("place", [0, 1, 2])
def test_an_unknown_event_name_is_refused_wherever_it_stands(place: int) -> None:
    events = [usage("a", "1"), usage("b", "2")]
    events.insert(place, usage("x", meter="unknown"))

    run, refused = assert_alike(events)

    assert refused == ["no_meter"]
    assert run.group.refusals == []  # those of the next group
    assert run.total() == "3"
    run.use("1", identifier="x")
    assert run.total() == "4"


@pytest.mark.parametrize("value", ["", "x", "1e3", "1" * 16, None])
def test_c3_a_value_that_is_no_decimal_is_refused_in_the_middle(value: str | None) -> None:
    run, refused = assert_alike([usage("a", "1"), usage("b", value), usage("c", "2")])

    assert len(refused) == 1
    assert run.total() == "3"


def test_a2_an_alert_made_between_two_groups_counts_only_what_follows() -> None:
    run = EngineRun()
    send(run, usage("a", "8"))
    run.merge()
    run.create(make_alert("later", gte=10))
    run.merge()

    send(run, usage("b", "8"), usage("c", "2"), usage("d", "1"))

    assert run.fired == [("later", "cus_a", "10", 4)]
    assert all_counters(run.replayed().state) == all_counters(run.state)


def test_a2_an_alert_of_one_customer_made_between_two_groups_is_noticed() -> None:
    run = EngineRun()
    send(run, usage("a", "8"), usage("b", "8", customer="cus_b"))
    run.merge()
    run.create(make_alert("later", gte=10, customer="cus_a"))
    run.merge()

    send(run, usage("c", "12", customer="cus_b"), usage("d", "9"), usage("e", "2"))

    assert run.fired == [("later", "cus_a", "11", 6)]


def test_a2_an_alert_made_between_two_batches_of_one_group_counts_what_follows() -> None:
    run = EngineRun()
    send(run, usage("a", "8"))
    run.create(make_alert("later", gte=10))
    send(run, usage("b", "8"), usage("c", "2"))

    assert run.fired == [("later", "cus_a", "10", 4)]
    run.merge()
    assert [run.lookup(sequence).identifier for sequence in (1, 3, 4)] == ["a", "b", "c"]


def test_c3_a_full_value_cache_changes_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "_KEPT_MAX", 3)

    run, _ = assert_alike([usage(str(n), f"{n % 7}.5") for n in range(70)])

    assert run.total() == "245"


def test_c3_a_cached_value_of_another_meter_is_the_same_value() -> None:
    run = EngineRun(make_meter(), make_meter("counted", formula="count"))

    send(run, usage("a", "5"), usage("b", "5", meter="counted"), usage("c", "5"))

    assert (run.total(), run.total(meter="counted")) == ("10", "1")


def test_c5_a_count_meter_needs_no_value_and_reads_none() -> None:
    run = EngineRun(make_meter(formula="count"))

    assert send(run, usage("a", None), usage("b", "not a number"), usage("c", "7")) == []

    assert run.total() == "3"


@pytest.mark.parametrize("bound", [-PAST_SECONDS_MAX, FUTURE_SECONDS_MAX])
def test_c4_a_timestamp_on_a_bound_is_accepted_and_one_beyond_it_is_not(bound: int) -> None:
    beyond = bound + (1 if bound > 0 else -1)

    run, refused = assert_alike(
        [usage("a", "1", at=NOW + bound), usage("b", "2", at=NOW + beyond), usage("c", "4")]
    )

    assert refused == ["timestamp_in_future" if bound > 0 else "timestamp_too_far_in_past"]
    assert run.total() == "5"


def _create(run: EngineRun, gte: int) -> None:
    run.create(make_alert(gte=gte))


@pytest.mark.parametrize("late", [0, 1, 2, 3, 4])
def test_the_log_names_each_event_once_and_in_order(late: int) -> None:
    """Wherever the loop hands over to `Group.record`, the log has neither gap nor repetition."""
    events = [usage(str(n), "1", at=NOW - HOUR if n == late else None) for n in range(5)]

    run, _ = assert_alike(events, lambda run: _create(run, 3))

    rows = [
        (sequence, row[2])
        for entry in run.log
        if isinstance(entry, EventRun)
        for sequence, row in enumerate(entry.rows(), entry.sequence)
    ]
    assert rows == [(number + 2, str(number)) for number in range(5)]
