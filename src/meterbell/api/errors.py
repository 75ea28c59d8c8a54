"""The ONE table from errors to answers: status, type, code, and whether to send again."""

from typing import Any, NamedTuple

from meterbell.errors import (
    AuthenticationError,
    BodyTooLargeError,
    DuplicateIdentifierError,
    IdempotencyInUseError,
    IdempotencyMismatchError,
    InvalidParamError,
    LimitReachedError,
    MeterbellError,
    MethodNotAllowedError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    RequestError,
    SecretUnreadableError,
    SessionExpiredError,
    SettingsError,
    StoreFailedError,
    StoreUnavailableError,
    TooManyAttemptsError,
    UnsupportedMediaTypeError,
    UsageRefusedError,
)

_INVALID = "invalid_request_error"


class Answer(NamedTuple):
    """How a kind of error is answered.

    Attributes:
        type: In v1 bodies always; in v2 bodies where the SDKs pick a class by it.
        code: Used where the error itself names none.
        v2_code: The same for v2 bodies, which always have a code.
        should_retry: Whether the same request may succeed when it is sent again as it is.
    """

    status: int
    type: str
    code: str | None = None
    v2_code: str = "invalid_fields"
    should_retry: bool = False
    headers: tuple[tuple[str, str], ...] = ()


ANSWERS: dict[type[MeterbellError], Answer] = {
    InvalidParamError: Answer(400, _INVALID),
    UsageRefusedError: Answer(400, _INVALID),
    NotFoundError: Answer(404, _INVALID, "resource_missing", "not_found"),
    DuplicateIdentifierError: Answer(400, _INVALID, v2_code="duplicate_meter_event"),
    LimitReachedError: Answer(400, _INVALID, v2_code="limit_reached"),
    AuthenticationError: Answer(401, _INVALID, v2_code="unauthorized"),
    TooManyAttemptsError: Answer(
        429, _INVALID, "rate_limit", v2_code="too_many_concurrent_requests"
    ),
    SessionExpiredError: Answer(
        401,
        "temporary_session_expired",
        "billing_meter_event_session_expired",
        "billing_meter_event_session_expired",
    ),
    PermissionDeniedError: Answer(403, _INVALID, v2_code="permission_denied"),
    IdempotencyMismatchError: Answer(400, "idempotency_error", v2_code="idempotency_error"),
    IdempotencyInUseError: Answer(
        409, _INVALID, "idempotency_key_in_use", "idempotency_key_in_use", should_retry=True
    ),
    BodyTooLargeError: Answer(413, _INVALID, v2_code="body_too_large"),
    UnsupportedMediaTypeError: Answer(415, _INVALID, v2_code="unsupported_media_type"),
    MethodNotAllowedError: Answer(405, _INVALID, v2_code="method_not_allowed"),
    OverloadedError: Answer(
        429,
        _INVALID,
        "rate_limit",
        "too_many_concurrent_requests",
        should_retry=True,
        headers=(("Retry-After", "1"), ("Stripe-Rate-Limited-Reason", "global-concurrency")),
    ),
    StoreUnavailableError: Answer(
        503, "api_error", v2_code="service_unavailable", should_retry=True
    ),
    StoreFailedError: Answer(503, "api_error", v2_code="service_unavailable", should_retry=True),
    SecretUnreadableError: Answer(500, "api_error", v2_code="internal_error"),
    SettingsError: Answer(500, "api_error", v2_code="internal_error"),
}
UNEXPECTED = Answer(500, "api_error", v2_code="internal_error")
_V2_TYPES = frozenset({"idempotency_error", "temporary_session_expired"})
"""Types that the SDKs pick a class by; v2 bodies have no other."""

_V2_REASONS = {
    "meter_event_invalid_value": "payload_invalid_value",
    "meter_event_no_customer_defined": "payload_no_customer_defined",
    "meter_event_value_not_found": "payload_no_value_defined",
    "meter_event_value_too_many_digits": "payload_invalid_value",
}
"""Codes of refused usage where they differ from the reasons in error reports (contract §2.6)."""

_DOC_URLS = "https://docs.stripe.com/error-codes/"
_UNEXPECTED_MESSAGE = (
    "meterbell met an unexpected error and did not do what you asked. The server's log tells more "
    "under this request's id."
)


def answer_to(error: Exception) -> tuple[Answer, dict[str, Any]]:
    """Return how to answer an error, and the body of the answer."""
    answer = UNEXPECTED
    if isinstance(error, MeterbellError):
        answer = ANSWERS.get(type(error), UNEXPECTED)
    body: dict[str, Any] = {"type": answer.type}
    code = answer.code
    if isinstance(error, RequestError):
        code = error.code or code
        if error.param is not None:
            body["param"] = error.param
    if code is not None:
        body["code"] = code
    body["message"] = _UNEXPECTED_MESSAGE if answer is UNEXPECTED else str(error)
    return answer, {"error": body}


def answer_to_v2(error: Exception) -> tuple[Answer, dict[str, Any]]:
    """Return how a v2 route answers an error, and the body of the answer."""
    answer = UNEXPECTED
    if isinstance(error, MeterbellError):
        answer = ANSWERS.get(type(error), UNEXPECTED)
    code = answer.v2_code
    body: dict[str, Any] = {}
    if isinstance(error, UsageRefusedError):
        code = _V2_REASONS.get(error.reason, error.reason)
    elif isinstance(error, RequestError) and error.code not in (None, answer.code):
        code = error.code or code
    body["code"] = code
    body["message"] = _UNEXPECTED_MESSAGE if answer is UNEXPECTED else str(error)
    if answer.type in _V2_TYPES:
        body["type"] = answer.type
    if isinstance(error, SessionExpiredError):
        body["doc_url"] = _DOC_URLS + code.replace("_", "-")
    if isinstance(error, RequestError) and error.param is not None:
        body["param"] = error.param
    return answer, {"error": body}
