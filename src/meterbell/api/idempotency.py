"""Idempotency-Key on POSTs, and on v2 DELETEs: the first answer is stored with its effect.

It is replayed for the same request. v1 stores failures too, v2 only successes.

Usage is different: its key stands in the log beside the event, see `engine.decide`.
"""

import hashlib
from collections.abc import Callable, Hashable

import msgspec

from meterbell.api.errors import answer_to
from meterbell.errors import (
    IdempotencyInUseError,
    IdempotencyMismatchError,
    InvalidParamError,
    RequestError,
)
from meterbell.ledger.transaction import Transaction
from meterbell.records import IdempotentReply
from meterbell.store import tables
from meterbell.store.sealing import row
from meterbell.vault import Vault
from meterbell.wire.form import Form
from meterbell.wire.json import encode_json

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


class Recent:
    """What was done lately, in memory: the oldest makes room for the newest."""

    def __init__(self, limit: int) -> None:
        """Remember at most `limit` things."""
        self._limit = limit
        self._done: dict[Hashable, None] = {}

    def __contains__(self, thing: Hashable) -> bool:
        return thing in self._done

    def add(self, thing: Hashable) -> None:
        """Remember that this was done."""
        if len(self._done) >= self._limit:
            del self._done[next(iter(self._done))]
        self._done[thing] = None


def answer_once(
    transaction: Transaction,
    vault: Vault,
    *,
    key: str,
    livemode: bool,
    request: str,
    digest: bytes,
    request_id: str,
    run: Callable[[], bytes],
    keeps_failures: bool = True,
) -> tuple[IdempotentReply, bool]:
    """Run a request unless its key has an answer; return the answer, and whether it was there.

    Args:
        transaction: The answer is stored in it, together with the effect.
        vault: Seals the answer: it may show a new secret, or repeat one that was sent.
        key: The Idempotency-Key.
        livemode: Keys of test and live mode never meet.
        request: Method and path.
        digest: Of the parameters.
        request_id: Of this request.
        run: Does the work and returns the body. An error that it raises, before it has changed
            anything, is an answer like any other.
        keeps_failures: Whether an error is stored as the answer; if not, it is raised.

    Raises:
        IdempotencyMismatchError: The key was used for something else.
        SecretUnreadableError: The stored answer can't be decrypted.
    """
    key_digest = digest_key(key).hex()
    about = row(tables.idempotent_reply, f"{livemode:d} {key_digest}")
    found = transaction.objects.find(
        IdempotentReply, _columns.livemode == livemode, _columns.key == key_digest, limit=1
    )
    oldest_ms = transaction.now_ms - _KEPT_MS
    if found and found[0].created_ms > oldest_ms:
        stored = _opened(found[0], vault, about)
        _require_same(stored, key=key, request=request, digest=digest)
        return stored, True
    _prune(transaction, oldest_ms, found)
    status = 200
    try:
        body = run()
    except RequestError as error:
        if not keeps_failures:
            raise
        answer, content = answer_to(error)
        status, body = answer.status, encode_json(content)
    reply = IdempotentReply(
        livemode=livemode,
        key=key_digest,
        request=request,
        digest=digest,
        request_id=request_id,
        status=status,
        body=body,
        created_ms=transaction.now_ms,
    )
    transaction.objects.insert(_sealed(reply, vault, about))
    return reply, False


def _sealed(reply: IdempotentReply, vault: Vault, about: str) -> IdempotentReply:
    """Return an answer as it is stored."""
    return msgspec.structs.replace(
        reply,
        request=vault.seal(reply.request, about=about),
        body=vault.seal(reply.body.decode(), about=about).encode(),
    )


def _opened(reply: IdempotentReply, vault: Vault, about: str) -> IdempotentReply:
    """Return a stored answer as it was given.

    Raises:
        SecretUnreadableError: It can't be decrypted.
    """
    return msgspec.structs.replace(
        reply,
        request=vault.open(reply.request, about=about),
        body=vault.open(reply.body.decode(), about=about).encode(),
    )


def _prune(transaction: Transaction, oldest_ms: int, also: list[IdempotentReply]) -> None:
    """Remove a few answers that are too old, and `also` those."""
    old = transaction.objects.find(
        IdempotentReply,
        _columns.created_ms <= oldest_ms,
        order_by=_columns.created_ms,
        limit=_PRUNED_AT_ONCE,
    )
    for reply in [*old, *also]:
        transaction.objects.delete(
            IdempotentReply, _columns.livemode == reply.livemode, _columns.key == reply.key
        )


def _require_same(stored: IdempotentReply, *, key: str, request: str, digest: bytes) -> None:
    if stored.request != request:
        raise IdempotencyMismatchError(
            "Keys for idempotent requests can only be used for the same endpoint they were first "
            f"used for ('{stored.request}' vs '{request}'). Try using a key other than "
            f"'{key}' if you meant to execute a different request."
        )
    if stored.digest != digest:
        raise IdempotencyMismatchError(
            "Keys for idempotent requests can only be used with the same parameters they were "
            f"first used with. Try using a key other than '{key}' if you meant to execute "
            "a different request."
        )
