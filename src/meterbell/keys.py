"""API keys: make, recognise, digest. A key is shown once and kept only as its SHA-256.

A key ends in a checksum, so a mistyped one is refused without a look at the database.
"""

import hashlib
import zlib

from meterbell.ids import IdSource

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RANDOM_LENGTH = 28
_CHECKSUM_LENGTH = 6
_PREFIXES = {"sk_test_": False, "rk_test_": False, "sk_live_": True, "rk_live_": True}


def generate_key(ids: IdSource, *, livemode: bool, restricted: bool) -> str:
    """Return a new key such as `sk_test_…`, with 166 random bits and a checksum."""
    prefix = f"{'rk' if restricted else 'sk'}_{'live' if livemode else 'test'}_"
    random = ids.token(_RANDOM_LENGTH)
    return prefix + random + _checksum(prefix + random)


def digest_of(key: str) -> bytes:
    """Return what is stored of a key. It is random enough that a slow hash would add nothing."""
    return hashlib.sha256(key.encode()).digest()


def mode_of(key: str) -> bool | None:
    """Return whether a key is for live mode, or None if it has not the shape of a key."""
    return _PREFIXES.get(key[:8]) if len(key) > len("sk_test_") else None


def is_mistyped(key: str) -> bool:
    """Return whether a key of our own length has a wrong checksum."""
    if len(key) != len("sk_test_") + _RANDOM_LENGTH + _CHECKSUM_LENGTH:
        return False
    return _checksum(key[:-_CHECKSUM_LENGTH]) != key[-_CHECKSUM_LENGTH:]


def _checksum(text: str) -> str:
    number = zlib.crc32(text.encode())
    digits = []
    for _ in range(_CHECKSUM_LENGTH):
        number, rest = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[rest])
    return "".join(digits)
