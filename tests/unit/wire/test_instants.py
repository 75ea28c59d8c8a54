"""RFC 3339 texts and the instants that they stand for."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterbell.errors import InvalidParamError
from meterbell.wire.instants import format_instant, parse_instant_ms


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.001Z", 1),
        ("1970-01-01T00:00:00.9Z", 900),
        ("1970-01-01t00:00:01z", 1000),
        ("1970-01-01T00:00:00.999999999Z", 999),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1969-12-31T23:59:59Z", -1000),
        ("1969-12-31T23:59:59.5Z", -500),
        ("1969-12-31T18:30:00-05:30", 0),
        ("0001-01-01T00:00:00+14:00", -62135647200000),
        ("9999-12-31T23:59:59.999-14:00", 253402351199999),
        ("2024-02-29T12:00:00Z", 1709208000000),
    ],
)
def test_a_text_is_one_instant(text: str, ms: int) -> None:
    assert parse_instant_ms(text, param="t") == ms


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "2024-02-30T00:00:00Z",
        "2024-01-01",
        "2024-01-01T00:00:00",
        "2024-01-01 00:00:00Z",
        "2024-01-01T24:00:00Z",
        "2024-01-01T00:00:60Z",
        "2024-01-01T00:00:00+24:00",
        "2024-01-01T00:00:00+0100",
        "2024-01-01T00:00:00.Z",
        "2024-01-01T00:00:00.1234567890Z",
        "2024-W01-1T00:00:00Z",
        "2024-01-01T00:00:00Z\n",
        "\u0662024-01-01T00:00:00Z",
    ],
)
def test_other_texts_are_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidParamError, match="RFC 3339") as caught:
        parse_instant_ms(text, param="events[3].timestamp")

    assert caught.value.param == "events[3].timestamp"


@given(st.datetimes(timezones=st.just(UTC)))
def test_what_is_written_is_read_again(at: datetime) -> None:
    ms = parse_instant_ms(at.isoformat(timespec="milliseconds"), param="t")

    assert parse_instant_ms(format_instant(ms), param="t") == ms
