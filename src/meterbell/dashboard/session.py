"""Who a browser is signed in as, and whether a form comes from one of our own pages.

A cookie holds a random token. A form holds another, made from that one and from a nonce, so that it
is different each time and a compressed page tells nothing about it.
"""

import hashlib
import hmac
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from meterbell.dashboard.accounts import IDLE_MS, SESSION_MS, digest_of
from meterbell.dashboard.visit import MOUNT
from meterbell.errors import OverloadedError, PermissionDeniedError, StoreUnavailableError
from meterbell.ids import IdSource
from meterbell.records import DashboardSession, DashboardUser
from meterbell.services import Services
from meterbell.store import dashboard_tables

COOKIE = "meterbell_session"
SECURE_COOKIE = f"__Host-{COOKIE}"
CSRF_FIELD = "csrf"

_NONCE_LENGTH = 16
_TOUCH_MS = 10 * 60 * 1000
# Browsers leave them out.
_DEFAULT_PORTS = {"https": ":443", "http": ":80"}
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]", "::1"})


@dataclass(frozen=True, slots=True)
class Site:
    """The address that a browser asked, if it is one of ours.

    Attributes:
        host: With the port, as browsers write it.
        is_secure: Whether it is reached over https.
    """

    host: str
    is_secure: bool

    @property
    def cookie(self) -> str:
        """The cookie's name; the prefix binds it to this host and to https."""
        return SECURE_COOKIE if self.is_secure else COOKIE

    def set_cookie(self, token: str) -> str:
        """Return the header that keeps a session's token; an empty one ends it."""
        path = "/; Secure" if self.is_secure else MOUNT
        age = SESSION_MS // 1000 if token else 0
        return f"{self.cookie}={token}; Path={path}; Max-Age={age}; HttpOnly; SameSite=Lax"


def find_site(host: str, public_url: str | None) -> Site | None:
    """Return which of our addresses a `Host` header names; None for a name that is not ours.

    A name that some other site made point here gets nothing: that is how pages elsewhere would read
    ours. Off this machine the only name is the one in the setting.
    """
    if public_url is not None:
        public = urlsplit(public_url)
        own = public.netloc.lower().removesuffix(_DEFAULT_PORTS[public.scheme])
        if host.lower() == own:
            return Site(own, public.scheme == "https")
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    return Site(host, is_secure=False) if name in _LOOPBACK else None


def new_form_token(session: str, ids: IdSource) -> str:
    """Return a token for one form of a session."""
    nonce = ids.token(_NONCE_LENGTH)
    return nonce + _mac(session, nonce)


def require_own_site(headers: Mapping[bytes, bytes], site: Site) -> None:
    """Refuse a change that a page elsewhere asked for, as far as browsers tell.

    Raises:
        PermissionDeniedError: It comes from another site.
    """
    from_site = headers.get(b"sec-fetch-site")
    # Forms of pages that send no referrer say that their origin is "null".
    origin = headers.get(b"origin", b"null")
    scheme = "https" if site.is_secure else "http"
    if from_site not in (None, b"same-origin") or (
        origin not in (b"null", f"{scheme}://{site.host}".encode())
    ):
        raise PermissionDeniedError("This request came from another site, so it was not done.")


def require_own_form(
    session: str, form_token: object, headers: Mapping[bytes, bytes], site: Site
) -> str:
    """Return the token of a form; refuse a change that none of our own pages asked for.

    Raises:
        PermissionDeniedError: It comes from elsewhere, or its page is older than the session.
    """
    require_own_site(headers, site)
    text = form_token if isinstance(form_token, str) else ""
    nonce, mac = text[:_NONCE_LENGTH], text[_NONCE_LENGTH:]
    if not session or not hmac.compare_digest(mac.encode(), _mac(session, nonce).encode()):
        raise PermissionDeniedError(
            "The page that this was sent from is out of date. Go back, reload it, and try again."
        )
    return text


def _mac(session: str, nonce: str) -> str:
    key = hashlib.sha256(session.encode()).digest()
    return hashlib.blake2b(nonce.encode(), key=key, person=b"form", digest_size=16).hexdigest()


def find_session(services: Services, token: str) -> tuple[DashboardSession, DashboardUser] | None:
    """Return a session that has not ended, and its user."""
    if not token:
        return None
    objects, now_ms = services.store.reader, services.clock.now_ms()
    session = objects.fetch(DashboardSession, digest=digest_of(token))
    if session is None or now_ms >= min(session.expires_at_ms, session.seen_ms + IDLE_MS):
        return None
    users = objects.find(DashboardUser, dashboard_tables.dashboard_user.c.id == session.user)
    return (session, users[0]) if users else None


async def touch(services: Services, session: DashboardSession) -> None:
    """Keep that a session is in use, a few times an hour; later where there is much to do."""
    now_ms = services.clock.now_ms()
    if now_ms - session.seen_ms >= _TOUCH_MS:
        sessions = dashboard_tables.dashboard_session
        with suppress(OverloadedError, StoreUnavailableError):
            await services.committer.execute(
                lambda changes: changes.objects.update(
                    DashboardSession, sessions.c.digest == session.digest, seen_ms=now_ms
                )
            )
