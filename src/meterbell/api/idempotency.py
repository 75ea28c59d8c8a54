"""Idempotency-Key on v1 POSTs: the first answer is stored with its effect and replayed.

Usage is different: its key stands in the log beside the event, see `engine.decide`.
"""

import hashlib
from collections.abc import Callable

import msgspec

from meterbell.errors import IdempotencyInUseError, IdempotencyMismatchError, InvalidParamError
from meterbell.ledger.transaction import Transaction
from meterbell.records import IdempotentReply
from meterbell.store import tables
from meterbell.wire.form import Form

KEY_LENGTH_MAX = 255
_KEPT_MS = 24 * 3600 * 1000
_PRUNED_AT_ONCE = 20
_encode = msgspec.json.Encoder(order="sorted").encode
_columns = tables.idempotent_reply.c


def read_key(header: bytes | None) -> str | None:
    """Return the request's Idempotency-Key.

    Raises:
        InvalidParamError: It is too long.
    """
    if not header:
        return None
    key = header.decode("latin-1")
    if len(key) > KEY_LENGTH_MAX:
        raise InvalidParamError(
            f"The Idempotency-Key is too long: it has at most {KEY_LENGTH_MAX} characters."
        )
    return key


def digest_params(form: Form) -> bytes:
    """Return a digest of a request's parameters, whatever their order."""
    return hashlib.blake2b(_encode(form), digest_size=8).digest()


def digest_key(key: str) -> bytes:
    """Return the digest of a key, as the log keeps it."""
    return hashlib.blake2b(key.encode(), digest_size=16).digest()


class InFlight:
    """The keys of requests that are running."""

    def __init__(self) -> None:
        self._keys: set[tuple[bool, str]] = set()

    def enter(self, key: str, *, livemode: bool) -> None:
        """Note that a request with a key has begun.

        Raises:
            IdempotencyInUseError: Another one with the same key is running.
        """
        if (livemode, key) in self._keys:
            raise IdempotencyInUseError(
                "There is currently another in-progress request using this Idempotency-Key (that "
                "probably means you submitted twice, and the other request is still going "
                "through). Send it again to get the first one's answer."
            )
        self._keys.add((livemode, key))

    def leave(self, key: str, *, livemode: bool) -> None:
        """Note that the request has ended."""
        self._keys.discard((livemode, key))


def answer_once(
    transaction: Transaction,
    *,
    key: str,
    livemode: bool,
    request: str,
    digest: bytes,
    request_id: str,
    run: Callable[[], bytes],
) -> tuple[bytes, IdempotentReply | None]:
    """Run a request unless its key has an answer; return the body, and the stored answer if so.

    Args:
        transaction: The answer is stored in it, together with the effect.
        key: The Idempotency-Key.
        livemode: Keys of test and live mode never meet.
        request: Method and path.
        digest: Of the parameters.
        request_id: Of this request.
        run: Does the work and returns the body.

    Raises:
        IdempotencyMismatchError: The key was used for something else.
        RequestError: Raised by `run`; nothing is stored then, and the key may be used again.
    """
    found = transaction.objects.find(
        IdempotentReply,
        _columns.livemode == livemode,
        _columns.key == key,
        _columns.created_ms > transaction.now_ms - _KEPT_MS,
        limit=1,
    )
    if found:
        _require_same(found[0], request=request, digest=digest)
        return found[0].body, found[0]
    body = run()
    old = transaction.objects.find(
        IdempotentReply,
        _columns.created_ms <= transaction.now_ms - _KEPT_MS,
        order_by=_columns.created_ms,
        limit=_PRUNED_AT_ONCE,
    )
    for reply in old:
        transaction.objects.delete(
            IdempotentReply, _columns.livemode == reply.livemode, _columns.key == reply.key
        )
    transaction.objects.insert(
        IdempotentReply(
            livemode=livemode,
            key=key,
            request=request,
            digest=digest,
            request_id=request_id,
            status=200,
            body=body,
            created_ms=transaction.now_ms,
        )
    )
    return body, None


def _require_same(stored: IdempotentReply, *, request: str, digest: bytes) -> None:
    if stored.request != request:
        raise IdempotencyMismatchError(
            "Keys for idempotent requests can only be used for the same endpoint they were first "
            f"used for ('{stored.request}' vs '{request}'). Try using a key other than "
            f"'{stored.key}' if you meant to execute a different request."
        )
    if stored.digest != digest:
        raise IdempotencyMismatchError(
            "Keys for idempotent requests can only be used with the same parameters they were "
            f"first used with. Try using a key other than '{stored.key}' if you meant to execute "
            "a different request."
        )
