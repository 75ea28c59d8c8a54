"""What a counter holds, by example. Rules C3 and C5 to C7."""

import pytest

from meterbell.engine.counter import Counter
from meterbell.engine.fold import add_event
from meterbell.engine.hours import merge
from meterbell.engine.model import Formula
from meterbell.engine.value import SCALE, format_value, parse_value
from meterbell.errors import (
    DuplicateIdentifierError,
    InvalidParamError,
)
from tests.builders import HOUR, NOW, EngineRun, make_meter, make_request


def test_c3_a_million_events_of_a_tenth_are_exactly_a_hundred_thousand() -> None:
    meter = make_meter()
    counter = Counter()
    tenth = parse_value("0.1", param="value")

    for sequence in range(1, 1_000_001):
        add_event(meter, counter, sequence=sequence, timestamp=NOW + sequence, value=tenth)

    assert format_value(counter.total) == "100000"
    assert sum(counter.bucket(hour).value for hour in counter.hours()) == 100_000 * SCALE


def test_c3_events_of_a_tenth_are_exact_through_groups() -> None:
    run = EngineRun()

    for _ in range(20):
        run.use(*["0.1"] * 500)
        run.merge()

    assert run.total() == "1000"


def test_c3_a_total_grows_past_two_to_the_63_and_stays_exact() -> None:
    run = EngineRun()

    run.use(*["999999999999999.999999999999"] * 10_000)

    assert run.total() == "9999999999999999999.99999999"
    assert run.counter().total > 2**63 * SCALE


def test_c3_values_may_be_negative_and_totals_too() -> None:
    run = EngineRun()

    run.use("1.5", "-4")

    assert run.total() == "-2.5"


@pytest.mark.parametrize(("formula", "total"), [("sum", "12"), ("count", "3"), ("last", "4")])
def test_c5_each_formula_adds_up_in_its_way(formula: Formula, total: str) -> None:
    run = EngineRun(make_meter(formula=formula))

    run.use("3", "5", "4")

    assert run.total() == total


def test_c5_count_reads_no_value() -> None:
    run = EngineRun(make_meter(formula="count"))

    run.record(make_request(None))
    run.record(make_request("not a number"))

    assert run.total() == "2"


def test_c5_last_takes_the_newest_timestamp_not_the_newest_arrival() -> None:
    run = EngineRun(make_meter(formula="last"))

    run.use("3", timestamp=NOW)
    run.use("9", timestamp=NOW - HOUR)

    assert run.total() == "3"


def test_c5_of_equal_timestamps_last_takes_the_later_commit() -> None:
    run = EngineRun(make_meter(formula="last"))

    run.use("3", "9", "1", timestamp=NOW)

    assert run.total() == "1"


@pytest.mark.parametrize(("formula", "total"), [("sum", "11"), ("count", "2"), ("last", "7")])
def test_c5_in_a_window_only_the_last_received_event_counts(formula: Formula, total: str) -> None:
    run = EngineRun(make_meter(formula=formula, window="hour"))

    run.use("100", timestamp=NOW - 1)
    run.use("4", timestamp=NOW - HOUR)
    run.merge()
    run.use("100", timestamp=NOW + 100)
    run.use("7", timestamp=NOW)

    assert run.total() == total


def test_c5_a_day_window_spans_its_hours() -> None:
    run = EngineRun(make_meter(window="day"), now=NOW + 20 * HOUR)

    run.use("4", timestamp=NOW + 20 * HOUR)
    run.merge()
    run.use("7", timestamp=NOW)
    run.use("1", timestamp=NOW - 1)

    assert run.total() == "8"


@pytest.mark.parametrize(("formula", "total"), [("sum", "7"), ("count", "2"), ("last", "4")])
def test_c6_a_cancelled_event_is_as_if_it_had_never_come(formula: Formula, total: str) -> None:
    run = EngineRun(make_meter(formula=formula))
    run.use("3", identifier="a")
    run.use("4", identifier="b")
    run.use("5", identifier="c")

    run.cancel("c")

    assert run.total() == total


def test_c6_cancelling_the_only_event_leaves_nothing() -> None:
    for formula in ("sum", "count", "last"):
        run = EngineRun(
            make_meter(formula=formula),
            make_meter("windowed", formula=formula, window="day"),
        )
        run.use("3", identifier="a")
        run.use("3", identifier="b", meter="windowed")
        run.merge()
        run.cancel("a")
        run.cancel("b", meter="windowed")

        assert run.total() == "0"
        assert run.total(meter="windowed") == "0"
        assert run.counter(meter="windowed").read_detail().slots == {}


def test_c6_cancelling_the_event_of_a_window_lets_the_one_before_it_count_again() -> None:
    run = EngineRun(make_meter(window="day"), now=NOW + 10 * HOUR)
    run.use("3", identifier="a", timestamp=NOW + 9 * HOUR)
    run.use("4", identifier="b", timestamp=NOW + HOUR)
    run.merge()
    run.use("5", identifier="c")

    run.cancel("c")
    assert run.total() == "4"
    run.cancel("b")
    assert run.total() == "3"


def test_c6_a_cancelled_identifier_stays_used_and_is_cancelled_once() -> None:
    run = EngineRun()
    run.use("3", identifier="a")
    run.cancel("a")

    with pytest.raises(DuplicateIdentifierError):
        run.use("3", identifier="a")
    with pytest.raises(InvalidParamError, match="cancelled before"):
        run.cancel("a")
    run.merge()
    with pytest.raises(InvalidParamError, match="cancelled before"):
        run.cancel("a")


def test_c6_an_unknown_event_is_not_cancelled() -> None:
    run = EngineRun(make_meter(), make_meter("tokens"))
    run.use("3", identifier="a")

    with pytest.raises(InvalidParamError, match="No meter event with identifier 'b'"):
        run.cancel("b")
    with pytest.raises(InvalidParamError, match="No meter event with identifier 'a'"):
        run.cancel("a", meter="tokens")
    with pytest.raises(InvalidParamError, match="No meter found"):
        run.cancel("a", meter="unknown")

    assert run.total() == "3"


def test_c7_a_late_event_lands_in_the_hour_of_its_timestamp() -> None:
    run = EngineRun()

    run.use("3", timestamp=NOW)
    run.use("4", timestamp=NOW - 3 * HOUR + 5)
    run.use("5", timestamp=NOW - 3 * HOUR)

    buckets = {hour: merge(parts) for hour, parts in run.hours().items()}
    assert {hour: (b.value // SCALE, b.events) for hour, b in buckets.items()} == {
        NOW // HOUR: (3, 1),
        NOW // HOUR - 3: (9, 2),
    }


def test_c7_each_event_names_the_one_before_it_in_its_hour() -> None:
    run = EngineRun()

    first = run.use("3", timestamp=NOW)
    run.use("4", timestamp=NOW - HOUR)
    run.merge()
    third = run.use("5", timestamp=NOW + 1)
    run.merge()

    assert [run.lookup(sequence).previous for sequence in (1, 2, 3)] == [0, 0, first]
    assert run.counter().bucket(NOW // HOUR).head == third


def test_a_gap_in_the_log_is_noticed() -> None:
    run = EngineRun()
    run.use("1", "2")
    run.merge()
    again = EngineRun()

    with pytest.raises(AssertionError, match="gap"):
        again.replay(run.log[1])
