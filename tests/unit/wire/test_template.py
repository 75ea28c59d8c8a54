"""Templates of notices: placeholders from a list, and nothing else."""

import re
from collections.abc import Mapping

import pytest

from meterbell.errors import InvalidParamError
from meterbell.wire.template import (
    BODY_DEFAULT,
    PLACEHOLDERS,
    TITLE_DEFAULT,
    check_template,
    fill_template,
)

VALUES = {name: f"<{name}>" for name in PLACEHOLDERS}


def filled(text: str, values: Mapping[str, str] = VALUES, *, length_max: int = 1000) -> str:
    return fill_template(text, values, length_max=length_max)


def test_every_placeholder_is_filled_in() -> None:
    text = " ".join(f"{{{name}}}" for name in PLACEHOLDERS)
    check_template(text, param="body")

    assert filled(text) == " ".join(VALUES.values())


def test_the_defaults_are_templates() -> None:
    for text in (TITLE_DEFAULT, BODY_DEFAULT):
        check_template(text, param="body")
        assert "{" not in filled(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("plain %s $x \\n", "plain %s $x \\n"),
        ("{{{value}}}", "{<value>}"),
        ("{{value}}", "{value}"),
        ("a }} b {{ c", "a } b { c"),
        ("two\nlines {value}", "two\nlines <value>"),
    ],
)
def test_braces_are_doubled_to_be_braces(text: str, expected: str) -> None:
    check_template(text, param="body")

    assert filled(text) == expected


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("{nothing}", "{nothing} is no placeholder"),
        ("{}", "{} is no placeholder"),
        ("{value.__class__}", "{value.__class__} is no placeholder"),
        ("{value!r}", "{value!r} is no placeholder"),
        ("{value:>9}", "{value:>9} is no placeholder"),
        ("{ value }", "{ value } is no placeholder"),
        ("{value", "a single { stands in body"),
        ("value}", "a single } stands in body"),
        ("{{value}", "a single } stands in body"),
        ("{a{value}}", "a single { stands in body"),
    ],
)
def test_anything_else_is_refused_by_name(text: str, shown: str) -> None:
    with pytest.raises(InvalidParamError, match=re.escape(shown)) as refused:
        check_template(text, param="body")

    assert refused.value.param == "body"


def test_what_is_filled_in_is_one_short_line_and_no_template() -> None:
    values = {"value": "a\r\nb\x1b{mode}\u2028\u202e", "customer.name": "x" * 500}

    assert filled("{value}|{customer.name}|{mode}", values) == f"a b {{mode}} |{'x' * 300}|"


def test_what_comes_out_is_cut_where_it_must_end() -> None:
    assert filled("{value} and more", {"value": "12"}, length_max=5) == "12 a…"
    assert filled("12 and", length_max=6) == "12 and"
