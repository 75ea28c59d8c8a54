"""A status as it is asked for."""

import pytest

from meterbell.requestlog.filters import parse_status


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("404", (404, 404)),
        ("4xx", (400, 499)),
        ("5XX", (500, 599)),
        ("40x", None),
        ("4x", None),
        ("999", None),
        ("4444", None),
        ("٤٠٤", None),
        ("4²²", None),
    ],
)
def test_a_status_is_a_number_or_a_class(text: str, found: tuple[int, int] | None) -> None:
    assert parse_status(text) == found
