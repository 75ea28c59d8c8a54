"""Ids and randomness, passed in: the one place that draws random numbers.

Prefixes follow Stripe's (contract: `mtr_test_…` in test mode), so that a reader of a log line knows
what an id belongs to.
"""

import secrets  # noqa: TID251 - the one place that may
from typing import NewType, Protocol

MeterId = NewType("MeterId", str)
CustomerId = NewType("CustomerId", str)
AlertId = NewType("AlertId", str)

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BASE = len(_ALPHABET)
# Bytes become characters one to one. 62 goes four times into 256; what is left over would make some
# characters likelier than others and is dropped.
_FAIR = 256 - 256 % _BASE
_LETTERS = bytes(ord(_ALPHABET[byte % _BASE]) for byte in range(256))
_UNFAIR = bytes(range(_FAIR, 256))
_DRAWN_BYTES = 4096


class IdSource(Protocol):
    """A source of strings that nobody can guess and that never repeat."""

    def token(self, length: int) -> str:
        """Return `length` letters and digits."""

    def number(self, *, below: int) -> int:
        """Return a whole number from 0 up to, not including, `below`."""

    def raw(self, count: int) -> bytes:
        """Return `count` bytes; from any thread."""


class RandomIds:
    """Ids from the system's secure random numbers; 24 characters hold 142 bits."""

    def __init__(self) -> None:
        self._letters = ""
        self._used = 0

    def token(self, length: int) -> str:
        """Return `length` random letters and digits."""
        end = self._used + length
        if end > len(self._letters):
            # Asking the system takes longer than all the rest, so it is asked for many at once.
            kept = self._letters[self._used :]
            while len(kept) < length:
                drawn = secrets.token_bytes(_DRAWN_BYTES + 2 * length)
                kept += drawn.translate(_LETTERS, _UNFAIR).decode()
            self._letters, self._used, end = kept, 0, length
        token = self._letters[self._used : end]
        self._used = end
        return token

    def number(self, *, below: int) -> int:
        """Return a random whole number."""
        return secrets.randbelow(below)

    def raw(self, count: int) -> bytes:
        """Return random bytes."""
        return secrets.token_bytes(count)


class CountingIds:
    """Ids that count up, for tests that need to know them beforehand."""

    def __init__(self) -> None:
        self._count = 0

    def token(self, length: int) -> str:
        """Return the next number, filled with zeros to `length` characters."""
        self._count += 1
        return str(self._count).rjust(length, "0")

    def number(self, *, below: int) -> int:
        """Return the next number, counted round."""
        self._count += 1
        return self._count % below

    def raw(self, count: int) -> bytes:
        """Return the next number in `count` bytes."""
        self._count += 1
        return self._count.to_bytes(count, "big")


def new_id(ids: IdSource, prefix: str, *, livemode: bool | None = None) -> str:
    """Return a fresh id such as `alrt_…`.

    Args:
        ids: Where the random part comes from.
        prefix: Without the underscore: `alrt`.
        livemode: For prefixes that name their mode (`mtr_test_…`); None for the others.
    """
    infix = "test_" if livemode is False else ""
    return f"{prefix}_{infix}{ids.token(24)}"
