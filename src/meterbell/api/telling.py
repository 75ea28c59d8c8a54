"""What went wrong → the HTTP answer that says so."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import structlog

from meterbell.api.errors import Answer as ErrorAnswer
from meterbell.api.http import Answer
from meterbell.errors import MeterbellError, MethodNotAllowedError
from meterbell.wire.json import encode_json

logger = structlog.get_logger(__name__)


def tell(
    error: Exception,
    request_id: str,
    *,
    answer_to: Callable[[Exception], tuple[ErrorAnswer, dict[str, Any]]],
    scheme: bytes,
) -> Answer:
    """Return the answer that tells of an error; what nobody expected is logged.

    Args:
        error: What went wrong.
        request_id: Of the request, for the log.
        answer_to: The table's row and the body that the API's version has for an error.
        scheme: How to authenticate, for those who are not known.
    """
    if not isinstance(error, MeterbellError):
        logger.error("request failed unexpectedly", request=request_id, exc_info=error)
    found, body = answer_to(error)
    headers = [(b"stripe-should-retry", b"true" if found.should_retry else b"false")]
    headers += [(name.lower().encode(), value.encode()) for name, value in found.headers]
    if found.status == HTTPStatus.UNAUTHORIZED:
        headers.append((b"www-authenticate", scheme + b' realm="meterbell"'))
    if isinstance(error, MethodNotAllowedError):
        headers.append((b"allow", ", ".join(error.allowed).encode()))
    return Answer(found.status, encode_json(body), tuple(headers))
