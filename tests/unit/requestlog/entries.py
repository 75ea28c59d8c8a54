"""Requests to put into a request log."""

from typing import Any

from meterbell.records import RequestEntry
from meterbell.requestlog.log import RequestLog


def make_entry(**changes: Any) -> RequestEntry:  # noqa: ANN401
    """Return a request as it is kept."""
    facts: dict[str, Any] = {
        "id": "req_1",
        "livemode": False,
        "created_ms": 0,
        "method": "GET",
        "path": "/v1/customers",
        "status": 200,
        "duration_us": 10,
    }
    return RequestEntry(**{**facts, **changes})


def add(log: RequestLog, number: int, **changes: Any) -> None:  # noqa: ANN401
    """Tell a log of a request."""
    facts: dict[str, Any] = {
        "request_id": f"req_{number}",
        "method": "GET",
        "path": "/v1/customers",
        "is_known": True,
        "status": 200,
        "body": b"{}",
        "duration_us": 10,
        "livemode": False,
        "key_last4": "abcd",
        "is_kept": True,
    }
    log.add(**{**facts, **changes})
