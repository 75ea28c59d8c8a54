"""What came of an attempt, whoever made it."""

import ssl
from typing import NamedTuple

READ_BYTES_MAX = 128 * 1024
"""Of an answer; then it is cut off."""

KEPT_BYTES_MAX = 64 * 1024
"""Of an answer's body."""

NETWORK_ERRORS: tuple[tuple[type[BaseException], str], ...] = (
    (ssl.SSLError, "tls_error"),
    (TimeoutError, "timeout"),
    (ConnectionRefusedError, "connection_refused"),
    (ConnectionResetError, "connection_closed"),
    (BrokenPipeError, "connection_closed"),
    (OSError, "connection_failed"),
)
"""The outcomes that errors of the network stand for; the first line that fits."""

_REDIRECT, _CLIENT_ERROR = 300, 400
_FINAL = frozenset({"bad_url", "event_missing", "not_sendable"})
_OURS = _FINAL | {"event_unreadable", "secret_unreadable", "internal_error"}


class Outcome(NamedTuple):
    """What came of an attempt.

    Attributes:
        text: `succeeded`, or what went wrong. An answer came: `status_500`, `redirect`. None came:
            `timeout`, `dns_error`, `connection_refused`, `connection_closed`, `connection_failed`,
            `tls_error`, `bad_answer`, `not_accepted`. None was asked for: `address_denied`,
            `bad_url`, `event_missing`, `event_unreadable`, `secret_unreadable`, `not_sendable`,
            `internal_error`.
        status_code: Of the answer, if one came.
        retry_after: The answer's `Retry-After` header.
        response: The first 64 KiB of the answer's body.
    """

    text: str
    status_code: int | None = None
    retry_after: str | None = None
    response: bytes = b""

    @property
    def succeeded(self) -> bool:
        """Whether the endpoint took the event."""
        return self.text == "succeeded"

    @property
    def is_endpoints(self) -> bool:
        """Whether it says something about the endpoint, and not only about us."""
        return self.text not in _OURS

    @property
    def is_final(self) -> bool:
        """Whether another attempt would end in the same way, whatever the endpoint does."""
        return self.text in _FINAL


def text_of_status(status: int) -> str:
    """Return the outcome that the status of an answer stands for that is no success."""
    return "redirect" if _REDIRECT <= status < _CLIENT_ERROR else f"status_{status}"
