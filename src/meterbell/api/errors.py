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
    SettingsError,
    StoreFailedError,
    StoreUnavailableError,
    UnsupportedMediaTypeError,
    UsageRefusedError,
)

_INVALID = "invalid_request_error"


class Answer(NamedTuple):
    """How a kind of error is answered.

    Attributes:
        code: Used where the error itself names none.
        should_retry: Whether the same request may succeed when it is sent again as it is.
    """

    status: int
    type: str
    code: str | None = None
    should_retry: bool = False
    headers: tuple[tuple[str, str], ...] = ()


ANSWERS: dict[type[MeterbellError], Answer] = {
    InvalidParamError: Answer(400, _INVALID),
    UsageRefusedError: Answer(400, _INVALID),
    NotFoundError: Answer(404, _INVALID, "resource_missing"),
    DuplicateIdentifierError: Answer(400, _INVALID),
    LimitReachedError: Answer(400, _INVALID),
    AuthenticationError: Answer(401, _INVALID),
    PermissionDeniedError: Answer(403, _INVALID),
    IdempotencyMismatchError: Answer(400, "idempotency_error"),
    IdempotencyInUseError: Answer(409, _INVALID, "idempotency_key_in_use", should_retry=True),
    BodyTooLargeError: Answer(413, _INVALID),
    UnsupportedMediaTypeError: Answer(415, _INVALID),
    MethodNotAllowedError: Answer(405, _INVALID),
    OverloadedError: Answer(
        429,
        _INVALID,
        "rate_limit",
        should_retry=True,
        headers=(("Retry-After", "1"), ("Stripe-Rate-Limited-Reason", "global-concurrency")),
    ),
    StoreUnavailableError: Answer(503, "api_error", should_retry=True),
    StoreFailedError: Answer(503, "api_error", should_retry=True),
    SettingsError: Answer(500, "api_error"),
}
UNEXPECTED = Answer(500, "api_error")
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
