"""What came of an attempt, whoever made it."""

from typing import NamedTuple

_FINAL = frozenset({"bad_url", "event_missing", "not_sendable"})
_OURS = _FINAL | {"event_unreadable", "secret_unreadable", "internal_error"}


class Outcome(NamedTuple):
    """What came of an attempt.

    Attributes:
        text: `succeeded`, or what went wrong. An answer came: `status_500`, `redirect`. None came:
            `timeout`, `dns_error`, `connection_refused`, `connection_closed`, `connection_failed`,
            `tls_error`, `bad_answer`. None was asked for: `address_denied`, `bad_url`,
            `event_missing`, `event_unreadable`, `not_sendable`, `internal_error`.
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
