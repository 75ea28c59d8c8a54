"""The error tree. The core knows nothing of HTTP; `api/errors.py` maps each leaf to its answer.

MeterbellError
├── RequestError                  the caller must change something
│   ├── InvalidParamError         a parameter is missing, unknown or malformed
│   │   └── UsageRefusedError     … of a meter event, with the reason that error reports name
│   ├── NotFoundError             the object named in the path does not exist
│   ├── DuplicateIdentifierError  the identifier was counted before (C2)
│   ├── LimitReachedError         one more would pass a documented limit
│   ├── AuthenticationError       no key, or a key that is not known
│   ├── TooManyAttemptsError      too many wrong passwords came lately, or views of one page
│   ├── SessionExpiredError       the token of a stream has lived for its 15 minutes
│   ├── PermissionDeniedError     the key may not do this
│   ├── IdempotencyMismatchError  an Idempotency-Key was used before for something else
│   ├── IdempotencyInUseError     the first request with this Idempotency-Key is still running
│   ├── BodyTooLargeError         the body passes the limit
│   ├── UnsupportedMediaTypeError the body is in a format that this route does not read
│   └── MethodNotAllowedError     the path exists, but not with this method
├── OverloadedError               the queue is full; the same request may be sent again later
├── StoreUnavailableError         nothing was acknowledged; the same request may be sent again
│   └── StoreFailedError          … and the store can't be trusted any more: the process must end
├── SecretUnreadableError         a secret in the database can't be decrypted
└── SettingsError                 the server can't start as it was asked to
"""

from collections.abc import Sequence


class MeterbellError(Exception):
    """Anything that meterbell raises on purpose."""


class RequestError(MeterbellError):
    """The caller must change something; the message says what, where and how.

    Attributes:
        message: For people; shown as it is in API, CLI and dashboard.
        param: Wire path of the parameter at fault, such as `usage_threshold[gte]`.
        code: Short machine-readable reason in Stripe's vocabulary, where one exists.
    """

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code


class InvalidParamError(RequestError):
    """A parameter is missing, unknown or malformed."""


class UsageRefusedError(InvalidParamError):
    """A meter event may not be counted.

    Attributes:
        reason: One of `engine.model.RefusalReason`.
    """

    def __init__(
        self, message: str, *, reason: str, param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message, param=param, code=code)
        self.reason = reason


class NotFoundError(RequestError):
    """The object named in the path does not exist."""


class DuplicateIdentifierError(RequestError):
    """The identifier was counted before (C2)."""


class LimitReachedError(RequestError):
    """One more would pass a documented limit."""


class AuthenticationError(RequestError):
    """No key was given, or one that is not known."""


class TooManyAttemptsError(RequestError):
    """Too many wrong passwords came lately, or too many views of one customer's page."""


class SessionExpiredError(RequestError):
    """The token of a stream has lived for its 15 minutes."""


class PermissionDeniedError(RequestError):
    """The key may not do this."""


class IdempotencyMismatchError(RequestError):
    """An Idempotency-Key was used before for something else."""


class IdempotencyInUseError(RequestError):
    """The first request with this Idempotency-Key is still running."""


class BodyTooLargeError(RequestError):
    """The body passes the limit."""


class UnsupportedMediaTypeError(RequestError):
    """The body is in a format that this route does not read."""


class MethodNotAllowedError(RequestError):
    """The path exists, but not with this method.

    Attributes:
        allowed: The methods that it does take.
    """

    def __init__(self, message: str, *, allowed: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.allowed = tuple(allowed)


class OverloadedError(MeterbellError):
    """The queue is full; the same request may be sent again later."""


class StoreUnavailableError(MeterbellError):
    """Nothing was acknowledged; the same request may be sent again."""


class StoreFailedError(StoreUnavailableError):
    """The store can't be trusted any more: nothing may be acknowledged, the process must end."""


class SecretUnreadableError(MeterbellError):
    """A secret in the database can't be decrypted: it was changed, or its key is not there."""


class SettingsError(MeterbellError):
    """The server can't start as it was asked to."""
