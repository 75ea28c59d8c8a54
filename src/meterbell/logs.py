"""Structured logging: JSON lines for machines, readable lines on a terminal. Secrets never pass."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

LEVELS = ("debug", "info", "warning", "error")

# What follows goes on over dots: tokens of sessions have one, and messages shorten with them.
_SECRET = re.compile(r"((?:sk|rk|pk)_(?:test|live)_|whsec_|mes_tok_|page_tok_)[A-Za-z0-9_.…=+/-]+")
_AUTHORIZATION = re.compile(r"(?i)\b(bearer|basic)\s+[^\s\"']+")
_USERINFO = re.compile(r"(https?://)[^/@\s]+@")
_QUERY = re.compile(r"(https?://[^\s?\"']+)\?[^\s\"']*")


def redact(text: str) -> str:
    """Return a text without keys, signing secrets, credentials and query strings."""
    text = _SECRET.sub(r"\1****", text)
    text = _AUTHORIZATION.sub(r"\1 ****", text)
    text = _USERINFO.sub(r"\1****@", text)
    return _QUERY.sub(r"\1?****", text)


def redact_event(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Redact every text of a log line."""
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = redact(value)
    return event


def configure_logs(level: str, *, stream: TextIO = sys.stderr) -> None:
    """Send all log lines to `stream`, from `level` upwards."""
    number = logging.getLevelNamesMapping()[level.upper()]
    is_terminal = stream.isatty()
    renderer: Any = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if is_terminal
        else structlog.processors.JSONRenderer()
    )
    processors: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        # Before the redaction, so that a traceback's text is redacted too.
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*processors, redact_event, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        cache_logger_on_first_use=True,
    )
    # What libraries log through the standard library goes the same way, warnings and worse only.
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=processors, processors=[_drop_stdlib_fields, redact_event, renderer]
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=max(number, logging.WARNING), force=True)


def _drop_stdlib_fields(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    event.pop("_record", None)
    event.pop("_from_structlog", None)
    return event
