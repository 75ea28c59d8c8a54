"""Who asks: an API key → its mode and what it may do."""

import base64
import binascii
from collections.abc import Callable
from typing import NamedTuple

from meterbell.clock import Clock
from meterbell.errors import AuthenticationError, PermissionDeniedError
from meterbell.keys import digest_of, is_mistyped, mode_of
from meterbell.records import ApiKey, Permission
from meterbell.store import tables
from meterbell.store.base import Store

_CACHE_MS = 1000
_CACHE_MAX = 10_000
_KEY_LENGTH_MAX = 255
_HIDDEN_LENGTH_MAX = 16  # a shorter key would be half told by its last four characters

NO_KEY = (
    "You did not provide an API key. You need to provide your API key in the Authorization header, "
    "using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY'). The key was printed when "
    "the server was first started; make another with `meterbell keys create`."
)


class Principal(NamedTuple):
    """A key that was recognised.

    Attributes:
        key_id: The key's own id, by which it is found again without the key.
        last4: Its last four characters; None where they would be all there is to guess.
    """

    livemode: bool
    permission: Permission
    key_id: str
    last4: str | None = None

    def require(self, method: str, *, is_ingest: bool) -> None:
        """Refuse what the key may not do.

        Raises:
            PermissionDeniedError: The key is restricted to something else.
        """
        if self.permission == "read" and method != "GET":
            raise PermissionDeniedError(
                "The API key is read-only: it can retrieve and list, and nothing else. Use a "
                "secret key (sk_…) for this request."
            )
        if self.permission == "ingest" and not is_ingest:
            raise PermissionDeniedError(
                "The API key can only report usage: create meter events and their adjustments. "
                "Use a secret key (sk_…) for this request."
            )


class Authenticator:
    """Recognises keys; a revoked one is refused within a second."""

    def __init__(
        self, store: Store, clock: Clock, *, test_key: str | None, note_use: Callable[[str], None]
    ) -> None:
        """Prepare.

        Args:
            store: Where the digests of keys are.
            clock: The present.
            test_key: A test-mode secret key to accept besides the stored ones.
            note_use: Told of the id of a stored key in use, once a second or less.
        """
        self._store = store
        self._clock = clock
        self._test_key = test_key
        self._note_use = note_use
        self._known: dict[bytes, tuple[int, Principal]] = {}
        self._known_ids: dict[str, tuple[int, Principal]] = {}
        self._test_key_id = f"test_key_{digest_of(test_key).hex()[:32]}" if test_key else None

    def authenticate(self, header: bytes | None) -> Principal:
        """Return whom an `Authorization` header stands for.

        Raises:
            AuthenticationError: It holds no key, or none that is valid.
        """
        now_ms = self._clock.now_ms()
        cached = self._known.get(header or b"")
        if cached is not None and cached[0] > now_ms:
            return cached[1]
        principal = self._recognise(key_in(header), now_ms // 1000)
        if len(self._known) >= _CACHE_MAX:
            self._known.clear()
        self._known[header or b""] = (now_ms + _CACHE_MS, principal)
        return principal

    def find(self, key_id: str) -> Principal:
        """Return whom a key stands for that was recognised before.

        Raises:
            AuthenticationError: It is not valid any more.
        """
        now_ms = self._clock.now_ms()
        cached = self._known_ids.get(key_id)
        if cached is not None and cached[0] > now_ms:
            return cached[1]
        if key_id == self._test_key_id:
            principal = self._test_principal()
        else:
            found = self._store.reader.find(ApiKey, tables.api_key.c.id == key_id, limit=1)
            if not found:
                raise AuthenticationError("The API key behind this session is not known any more.")
            principal = _judge(found[0], now_ms // 1000, "behind this session")
            self._note_use(key_id)
        if len(self._known_ids) >= _CACHE_MAX:
            self._known_ids.clear()
        self._known_ids[key_id] = (now_ms + _CACHE_MS, principal)
        return principal

    def identify(self, header: bytes | None) -> tuple[bool | None, str | None]:
        """Return mode and last four characters of a key, for the request log, as far as known.

        The database is not looked at, however often somebody comes with a bad key.
        """
        cached = self._known.get(header or b"")
        if cached is not None:
            return cached[1].livemode, cached[1].last4
        try:
            return mode_of(key_in(header)), None
        except AuthenticationError:
            return None, None

    def _test_principal(self) -> Principal:
        key = self._test_key or ""
        last4 = key[-4:] if len(key) > _HIDDEN_LENGTH_MAX else None
        key_id = self._test_key_id or ""
        return Principal(livemode=False, permission="all", key_id=key_id, last4=last4)

    def _recognise(self, key: str, now: int) -> Principal:
        if self._test_key is not None and digest_of(key) == digest_of(self._test_key):
            return self._test_principal()
        if mode_of(key) is None or is_mistyped(key):
            raise AuthenticationError(f"Invalid API Key provided: {_masked(key)}")
        found = self._store.reader.find(ApiKey, tables.api_key.c.digest == digest_of(key), limit=1)
        if not found:
            raise AuthenticationError(f"Invalid API Key provided: {_masked(key)}")
        principal = _judge(found[0], now, f"provided: {_masked(key)}")
        self._note_use(principal.key_id)
        return principal


def _judge(found: ApiKey, now: int, which: str) -> Principal:
    """Return whom a stored key stands for at an instant in Unix seconds.

    Raises:
        AuthenticationError: It was revoked, or has expired.
    """
    if found.revoked_at is not None:
        raise AuthenticationError(
            f"Expired API Key {which}. It was revoked.", code="api_key_expired"
        )
    if found.expires_at is not None and found.expires_at <= now:
        raise AuthenticationError(f"Expired API Key {which}.", code="api_key_expired")
    return Principal(
        livemode=found.livemode,
        permission=found.permission,
        key_id=found.id,
        last4=found.last4,
    )


def key_in(header: bytes | None) -> str:
    """Return the key in an `Authorization` header: Bearer, or Basic with the key as the user.

    Raises:
        AuthenticationError: There is none.
    """
    scheme, _, value = (header or b"").partition(b" ")
    value = value.strip()
    match scheme.lower():
        case b"bearer":
            raw = value
        case b"basic":
            try:
                raw = base64.b64decode(value, validate=True).partition(b":")[0]
            except (binascii.Error, ValueError) as error:
                raise AuthenticationError(
                    "The Authorization header is not well-formed Basic authentication."
                ) from error
        case _:
            raise AuthenticationError(NO_KEY)
    try:
        key = raw.decode("ascii")
    except UnicodeDecodeError as error:
        raise AuthenticationError("Invalid API Key provided: it is not ASCII.") from error
    if not key:
        raise AuthenticationError(NO_KEY)
    if len(key) > _KEY_LENGTH_MAX:
        raise AuthenticationError(f"Invalid API Key provided: {_masked(key)}")
    return key


def _masked(key: str) -> str:
    """Return a key as it may be shown: its kind and its last four characters."""
    head = key[:8] if mode_of(key) is not None else ""
    return f"{head}****{key[-4:]}" if len(key) > len(head) + 8 else f"{head}****"
