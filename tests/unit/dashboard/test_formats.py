"""Numbers and times as pages write them."""

import pytest

from meterbell.dashboard.formats import counted, day, group, iso, sparkline, utc


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1\u202f000"),
        ("1234567.000000000001", "1\u202f234\u202f567.000000000001"),
        ("-1500.5", "\u22121\u202f500.5"),
    ],
)
def test_digits_stand_in_groups_and_none_is_lost(number: int | str, text: str) -> None:
    assert group(number) == text


def test_times_are_utc() -> None:
    assert utc(1_796_000_000_120) == "2026-11-30 00:53:20 UTC"
    assert iso(1_796_000_000_120) == "2026-11-30T00:53:20.120Z"
    assert day(1_796_000_000_120) == "30 Nov"


def test_a_number_agrees_with_its_noun() -> None:
    assert [counted(1, "customer"), counted(2, "customer")] == ["1 customer", "2 customers"]
    assert counted(1234, "entry", "entries") == "1\u202f234 entries"


def test_a_small_line_stays_in_its_picture() -> None:
    assert sparkline([0, 5, 10]) == "1.0,22.0 48.0,12.0 95.0,2.0"
    assert sparkline([0, 0]) == "1.0,22.0 95.0,22.0"
