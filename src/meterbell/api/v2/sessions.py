"""Sessions of the meter event stream: tokens that prove themselves (contract §2.6).

A token holds its mode, its end and the id of the API key that it was made with, signed with a
secret of the installation. Nothing is stored for it, so it lives through a restart; it ends after
15 minutes, or when its API key is revoked.
"""

import base64
import binascii
import hashlib
import hmac
from typing import Any, NamedTuple

import msgspec

from meterbell.api.auth import Authenticator, Principal, key_in
from meterbell.api.call import Call
from meterbell.api.v2.route import Keyed, NoParams, Replayable, Route
from meterbell.errors import AuthenticationError, SessionExpiredError
from meterbell.ids import new_id
from meterbell.ledger.transaction import Transaction
from meterbell.services import Services
from meterbell.store.sealing import SESSION_KEY, read_fact, store_fact
from meterbell.wire.objects_v2 import render_session

SESSION_MS = 15 * 60 * 1000
_PREFIX = "mes_tok_"
_TOKEN_LENGTH_MAX = 1000
_SECRET_LENGTH = 43
# For so long a token is not looked at again, nor whether its API key was revoked.
_KNOWN_MS = 1000
_KNOWN_MAX = 1000


class Claims(NamedTuple):
    """What a token says."""

    livemode: bool
    expires_at_ms: int
    key_id: str


def sign(claims: Claims, *, secret: str) -> str:
    """Return the token that says this."""
    content = base64.urlsafe_b64encode(msgspec.json.encode(claims)).rstrip(b"=")
    return f"{_PREFIX}{content.decode()}.{_signature(content, secret)}"


def read_token(token: str, *, secret: str) -> Claims | None:
    """Return what a token says, or None if it was not signed with `secret`."""
    if len(token) > _TOKEN_LENGTH_MAX or not token.startswith(_PREFIX):
        return None
    text, _, signature = token.removeprefix(_PREFIX).partition(".")
    content = text.encode()
    if not hmac.compare_digest(signature.encode(), _signature(content, secret).encode()):
        return None
    try:
        padded = content + b"=" * (-len(content) % 4)
        return msgspec.json.decode(base64.urlsafe_b64decode(padded), type=Claims)
    except (binascii.Error, msgspec.DecodeError):
        return None


def _signature(content: bytes, secret: str) -> str:
    return hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()


class SessionAuthenticator:
    """Recognises the tokens of sessions, and signs them."""

    def __init__(self, services: Services, authenticator: Authenticator) -> None:
        """Prepare.

        Args:
            services: Where the installation's secret is.
            authenticator: Knows the API keys behind sessions.
        """
        self._services = services
        self._authenticator = authenticator
        self._known: dict[bytes, tuple[int, Principal]] = {}

    def authenticate(self, header: bytes | None) -> Principal:
        """Return whom the token in an `Authorization` header stands for.

        Raises:
            SessionExpiredError: Its 15 minutes are over.
            AuthenticationError: It is no token, or its API key is not valid any more.
        """
        now_ms = self._services.clock.now_ms()
        cached = self._known.get(header or b"")
        if cached is not None and cached[0] > now_ms:
            return cached[1]
        token, secret = key_in(header), stored_secret(self._services)
        # Without a secret there was no session yet, so whatever this is, it is no token.
        claims = None if secret is None else read_token(token, secret=secret)
        principal = self._recognise(claims, now_ms)
        if len(self._known) >= _KNOWN_MAX:
            self._known.clear()
        assert claims is not None, "it was recognised"
        self._known[header or b""] = (min(now_ms + _KNOWN_MS, claims.expires_at_ms), principal)
        return principal

    def identify(self, header: bytes | None) -> tuple[bool | None, str | None]:
        """Return mode and last four characters of the key behind a token, as far as known."""
        cached = self._known.get(header or b"")
        return (None, None) if cached is None else (cached[1].livemode, cached[1].last4)

    def _recognise(self, claims: Claims | None, now_ms: int) -> Principal:
        if claims is None:
            raise AuthenticationError(
                "The meter event stream takes the authentication_token of a session, and no API "
                "key. Make one with POST /v2/billing/meter_event_session and send it as "
                "'Authorization: Bearer TOKEN'."
            )
        if claims.expires_at_ms <= now_ms:
            raise SessionExpiredError(
                "The session of this meter event stream has expired: it lasts 15 minutes. Make "
                "another with POST /v2/billing/meter_event_session and send these events again."
            )
        principal = self._authenticator.find(claims.key_id)
        if principal.livemode != claims.livemode:
            raise AuthenticationError("The API key behind this session is of another mode.")
        return principal


def stored_secret(services: Services) -> str | None:
    """Return the secret that tokens are signed with; None before the first session."""
    return read_fact(services.store.reader, services.vault, SESSION_KEY)


async def installation_secret(services: Services) -> str:
    """Return the secret that tokens are signed with, made at its first use.

    Raises:
        StoreUnavailableError: It can't be made now.
    """
    vault = services.vault
    found = stored_secret(services)
    if found is not None:
        return found

    def command(transaction: Transaction) -> str:
        found = read_fact(transaction.objects, vault, SESSION_KEY)
        if found is None:
            found = transaction.ids.token(_SECRET_LENGTH)
            store_fact(transaction.objects, vault, SESSION_KEY, found)
        return found

    return await services.committer.execute(command)


async def _create(call: Call, _body: NoParams, _keyed: Keyed) -> Replayable:
    services = call.services
    now_ms = services.clock.now_ms()
    claims = Claims(call.livemode, now_ms + SESSION_MS, call.key_id)
    rendered: dict[str, Any] = render_session(
        new_id(services.ids, "mes", livemode=call.livemode),
        token=sign(claims, secret=await installation_secret(services)),
        livemode=call.livemode,
        created_ms=now_ms,
        expires_at_ms=claims.expires_at_ms,
    )
    return Replayable(rendered)


ROUTES = [
    Route(
        method="POST",
        path="/v2/billing/meter_event_session",
        summary="Open a session of 15 minutes for the meter event stream",
        tag="Usage",
        returns="v2.billing.meter_event_session",
        record=_create,
        is_ingest=True,
    ),
]
