"""Who may sign in: users, their one-time links and sessions. Used by pages and by the command line.

Tokens are random enough that a slow hash would add nothing: what is stored is their SHA-256.
"""

import hashlib
import re

from meterbell.dashboard.passwords import hash_password, require_good
from meterbell.errors import InvalidParamError
from meterbell.ids import IdSource, new_id
from meterbell.records import AuditEntry, DashboardSession, DashboardUser, Role, SignInLink
from meterbell.store import dashboard_tables
from meterbell.store.moment import Moment
from meterbell.store.objects import Objects

ROLES: tuple[Role, ...] = ("viewer", "editor", "admin")
FIRST_USER = "admin"
SESSION_MS = 7 * 24 * 3600 * 1000
IDLE_MS = 24 * 3600 * 1000
LINK_MS = 15 * 60 * 1000
COMMAND_LINE = "command line"
SIGNED_IN = "session.open"
"""What the audit log calls it when somebody signs in."""

_TOKEN_LENGTH = 43
_SALT_LENGTH = 22
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")


def digest_of(token: str) -> bytes:
    """Return what is stored of a session's or a link's token."""
    return hashlib.sha256(token.encode()).digest()


def new_token(ids: IdSource) -> str:
    """Return a token that nobody can guess."""
    return ids.token(_TOKEN_LENGTH)


def may(role: Role, needed: Role) -> bool:
    """Return whether a role includes another: an admin is an editor, an editor a viewer."""
    return ROLES.index(role) >= ROLES.index(needed)


def find_user(objects: Objects, name: str) -> DashboardUser | None:
    """Return the user with a name, in whatever case it was typed."""
    found = objects.find(DashboardUser, dashboard_tables.dashboard_user.c.name == name.lower())
    return found[0] if found else None


def add_user(moment: Moment, name: str, *, role: Role, password: str | None) -> DashboardUser:
    """Store a new user and return it.

    Raises:
        InvalidParamError: The name can't be used, or the password is too easy.
    """
    if not _NAME.fullmatch(name):
        raise InvalidParamError(
            f"{name[:64]!r} can't be a user's name: it has 1 to 64 letters, digits or . _ @ + - "
            "and begins with a letter or digit.",
            param="name",
        )
    if find_user(moment.objects, name) is not None:
        raise InvalidParamError(f"There is a user {name.lower()} already.", param="name")
    user = DashboardUser(
        id=new_id(moment.ids, "usr"),
        name=name.lower(),
        role=role,
        password=None if password is None else new_hash(moment.ids, password),
        created=moment.now_ms // 1000,
    )
    moment.objects.insert(user)
    return user


def new_hash(ids: IdSource, password: str) -> str:
    """Return what is stored of a new password.

    Raises:
        InvalidParamError: It is too short, or too long.
    """
    require_good(password)
    return hash_password(password, salt=ids.token(_SALT_LENGTH))


def set_password(moment: Moment, user: DashboardUser, password: str) -> None:
    """Change a user's password and sign it out everywhere.

    Raises:
        InvalidParamError: It is too short, or too long.
    """
    stored = new_hash(moment.ids, password)
    users = dashboard_tables.dashboard_user
    moment.objects.update(DashboardUser, users.c.id == user.id, password=stored)
    end_sessions(moment.objects, user)


def remove_user(moment: Moment, user: DashboardUser) -> None:
    """Delete a user, its links and its sessions."""
    moment.objects.delete(DashboardUser, dashboard_tables.dashboard_user.c.id == user.id)
    end_sessions(moment.objects, user)


def end_sessions(objects: Objects, user: DashboardUser) -> None:
    """Sign a user out everywhere; links that were not used end, too."""
    objects.delete(DashboardSession, dashboard_tables.dashboard_session.c.user == user.id)
    objects.delete(SignInLink, dashboard_tables.sign_in_link.c.user == user.id)


def add_link(moment: Moment, user: DashboardUser, *, lives_ms: int = LINK_MS) -> str:
    """Make a link's token, which signs the user in once."""
    links = dashboard_tables.sign_in_link
    moment.objects.delete(SignInLink, links.c.expires_at_ms <= moment.now_ms)
    token = new_token(moment.ids)
    expires_at_ms = moment.now_ms + lives_ms
    moment.objects.insert(
        SignInLink(digest=digest_of(token), user=user.id, expires_at_ms=expires_at_ms)
    )
    return token


def use_link(moment: Moment, token: str) -> DashboardUser | None:
    """Return whom a link signs in and end the link; None if it was used or is too old."""
    links = dashboard_tables.sign_in_link
    link = moment.objects.fetch(SignInLink, digest=digest_of(token))
    if link is None or link.expires_at_ms <= moment.now_ms:
        return None
    moment.objects.delete(SignInLink, links.c.digest == link.digest)
    found = moment.objects.find(DashboardUser, dashboard_tables.dashboard_user.c.id == link.user)
    return found[0] if found else None


def open_session(moment: Moment, user: DashboardUser, token: str) -> None:
    """Keep that a browser with a token is signed in; forget those that are over."""
    now_ms, sessions = moment.now_ms, dashboard_tables.dashboard_session
    is_over = (sessions.c.expires_at_ms <= now_ms) | (sessions.c.seen_ms <= now_ms - IDLE_MS)
    moment.objects.delete(DashboardSession, is_over)
    moment.objects.insert(
        DashboardSession(
            digest=digest_of(token),
            user=user.id,
            created_ms=now_ms,
            seen_ms=now_ms,
            expires_at_ms=now_ms + SESSION_MS,
        )
    )


def note(
    moment: Moment, *, actor: str, action: str, address: str, object_id: str | None, **details: str
) -> None:
    """Add a line about accounts to the audit log."""
    entry = AuditEntry(
        at_ms=moment.now_ms,
        livemode=None,
        actor=actor,
        action=action,
        object=object_id,
        address=address,
        details=dict(details),
    )
    moment.objects.insert(entry)
