"""Passwords: slow hashes of them, and whether one fits. Pure, and slow on purpose."""

import base64
import hashlib
import hmac

from meterbell.errors import InvalidParamError

LENGTH_MIN = 12
LENGTH_MAX = 1024
COST = 2**15
"""scrypt's n; with r = 8 and p = 3 a guess takes 32 MiB and about a quarter of a second."""

_BLOCK, _PARALLEL, _BYTES = 8, 3, 32
_MEMORY_MAX = 2**27


def require_good(password: str) -> None:
    """Refuse a password that is easy to guess by its length, or too long to hash.

    Raises:
        InvalidParamError: It is.
    """
    if not LENGTH_MIN <= len(password) <= LENGTH_MAX:
        raise InvalidParamError(
            f"A password has {LENGTH_MIN} to {LENGTH_MAX} characters. A few words in a row are "
            "easy to remember and hard to guess.",
            param="password",
        )


def hash_password(password: str, *, salt: str, cost: int = COST) -> str:
    """Return what is stored of a password: `scrypt$cost$salt$hash`.

    Args:
        password: As typed.
        salt: Random letters and digits.
        cost: scrypt's n, a power of 2.
    """
    return f"scrypt${cost}${salt}${_digest(password, salt, cost)}"


def fits(password: str, stored: str) -> bool:
    """Return whether a password is the one that `stored` stands for."""
    _, cost, salt, digest = stored.split("$")
    return hmac.compare_digest(_digest(password, salt, int(cost)), digest)


def _digest(password: str, salt: str, cost: int) -> str:
    raw = hashlib.scrypt(
        password.encode(),
        salt=salt.encode(),
        n=cost,
        r=_BLOCK,
        p=_PARALLEL,
        dklen=_BYTES,
        maxmem=_MEMORY_MAX,
    )
    return base64.b64encode(raw).decode()
