"""Log lines: JSON for machines, and no secrets."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from meterbell.logs import configure_logs, redact


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """What is logged; afterwards logging is as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    written = io.StringIO()
    configure_logs("info", stream=written)
    yield written
    structlog.reset_defaults()
    root.handlers, root.level = handlers, level


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("key sk_test_abc123 end", "key sk_test_**** end"),
        ("rk_live_A9 and whsec_xyz", "rk_live_**** and whsec_****"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ****"),
        ("http://user:pass@host/p", "http://****@host/p"),
        ("https://host/p?token=1&b=2 x", "https://host/p?**** x"),
        ("nothing to hide", "nothing to hide"),
    ],
)
def test_secrets_are_blacked_out(text: str, shown: str) -> None:
    assert redact(text) == shown


def test_lines_are_json_without_secrets(stream: io.StringIO) -> None:
    structlog.get_logger("t").info("refused", key="sk_live_abc", attempt=3)
    logging.getLogger("library").warning("at http://u:p@h/x?y=1")
    logging.getLogger("library").info("chatter")

    first, second = map(json.loads, stream.getvalue().splitlines())

    assert (first["event"], first["key"], first["attempt"]) == ("refused", "sk_live_****", 3)
    assert first["level"] == "info"
    assert second["event"] == "at http://****@h/x?****"


def test_an_exceptions_text_is_blacked_out_too(stream: io.StringIO) -> None:
    try:
        int("whsec_abcdef")
    except ValueError:
        structlog.get_logger("t").exception("failed")
        logging.getLogger("library").exception("failed")

    assert "whsec_abcdef" not in stream.getvalue()
    assert stream.getvalue().count("whsec_****") >= 2
