"""Exact decimals in and out. Rule C3."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterbell.engine.value import SCALE, format_value, parse_value
from meterbell.errors import InvalidParamError
from tests.hypothesis_profiles import load_profile

load_profile()

GOOD = {
    "0": 0,
    "-0": 0,
    "1": SCALE,
    "007": 7 * SCALE,
    "-1": -SCALE,
    "0.5": SCALE // 2,
    "-3.25": -13 * SCALE // 4,
    "1.0": SCALE,
    "0.000000000001": 1,
    "-0.000000000001": -1,
    "0.100000000000": SCALE // 10,
    "999999999999999": 999_999_999_999_999 * SCALE,
    "999999999999999.999999999999": 10**27 - 1,
    "-999999999999999.999999999999": 1 - 10**27,
    "000000000000001": SCALE,
}

BAD = [
    "",
    " ",
    ".",
    "-",
    "--1",
    "+",
    "+1",
    "-+1",
    "1-",
    "1.",
    "-1.",
    ".5",
    "-.5",
    "1..2",
    "1.2.3",
    "1.-2",
    "1,5",
    "1,000",
    "1_000",
    "_1",
    "1_",
    "0.1_1",
    " 1",
    "1 ",
    "1 000",
    "\t1",
    "1\n",
    "\n1",
    "1\r\n",
    "0.5\n",
    "1\x00",
    "\x001",
    "1\u00a0",
    "\ufeff1",
    "\u200b1",
    "1e5",
    "1E5",
    "1e-5",
    "1.5e3",
    "0x10",
    "0b1",
    "0o7",
    "1L",
    "1f",
    "1.0f",
    "NaN",
    "nan",
    "-NaN",
    "sNaN",
    "Infinity",
    "-Infinity",
    "inf",
    "-inf",
    "null",
    "None",
    "true",
    "one",
    "1/2",
    "$1",
    "1%",
    "\uff11",  # fullwidth
    "\uff11.5",
    "1.\uff15",
    "\u0661",  # Arabic-Indic
    "\u06f1",  # extended Arabic-Indic
    "\u0967",  # Devanagari
    "\U0001d7cf",  # mathematical bold
    "\u00b2",  # superscript two
    "\u00bd",  # one half
    "\u2167",  # Roman numeral eight
    "\u2212" + "1",  # minus sign
    "\u20131",  # en dash
    "1\u066b5",  # Arabic decimal separator
    "1234567890123456",
    "-1234567890123456",
    "0000000000000001",
    "1234567890123456.5",
    "0.1234567890123",
    "-0.0000000000001",
    "1.0000000000000",
    "9" * 5000,
]


@pytest.mark.parametrize("text", GOOD)
def test_c3_a_decimal_is_read_exactly(text: str) -> None:
    assert parse_value(text, param="payload[value]") == GOOD[text]


@pytest.mark.parametrize("text", BAD, ids=[ascii(text)[:30] for text in BAD])
def test_c3_anything_else_is_refused_and_named(text: str) -> None:
    with pytest.raises(InvalidParamError, match="Invalid decimal") as caught:
        parse_value(text, param="payload[tokens]")

    assert caught.value.param == "payload[tokens]"
    assert len(caught.value.message) < 400


@pytest.mark.parametrize(
    ("scaled", "text"),
    [
        (0, "0"),
        (SCALE, "1"),
        (100 * SCALE, "100"),
        (SCALE // 10, "0.1"),
        (-13 * SCALE // 4, "-3.25"),
        (1, "0.000000000001"),
        (-1, "-0.000000000001"),
        (2**63 * SCALE, "9223372036854775808"),
        (10**40 + 1, "10000000000000000000000000000.000000000001"),
    ],
)
def test_c3_a_total_is_written_exactly_and_shortest(scaled: int, text: str) -> None:
    assert format_value(scaled) == text


@given(st.integers(min_value=1 - 10**27, max_value=10**27 - 1))
def test_c3_what_is_written_reads_back_the_same(scaled: int) -> None:
    assert parse_value(format_value(scaled), param="value") == scaled
    assert Fraction(format_value(scaled)) * SCALE == scaled


@given(st.from_regex(r"-?[0-9]{1,15}(\.[0-9]{1,12})?", fullmatch=True))
def test_c3_every_text_of_the_rule_is_accepted_at_its_worth(text: str) -> None:
    assert Fraction(parse_value(text, param="value"), SCALE) == Fraction(text)


@given(st.text(max_size=20) | st.text(alphabet="0123456789-.+e_ ", max_size=20))
def test_c3_a_text_is_read_as_what_it_says_or_refused(text: str) -> None:
    whole, point, fraction = text.removeprefix("-").partition(".")
    allowed = (
        set(whole + fraction) <= set("0123456789")
        and 1 <= len(whole) <= 15
        and len(fraction) <= 12
        and bool(point) == bool(fraction)
    )

    try:
        scaled = parse_value(text, param="value")
    except InvalidParamError:
        assert not allowed
    else:
        assert allowed
        assert Fraction(scaled, SCALE) == Fraction(text)
