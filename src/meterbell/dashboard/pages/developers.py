"""Developers: API keys, snippets to begin with, and how this server is set up."""

import hashlib
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version

import msgspec

from meterbell.api.params import Choice, Param, Text, read_params
from meterbell.api.stored_keys import (
    NAME_LENGTH_MAX,
    PERMISSIONS,
    create_key,
    follow_key,
    key_status,
    revoke_key,
    roll_key,
)
from meterbell.dashboard.changes import Write, change_own, note, once
from meterbell.dashboard.problems import Problem, explain
from meterbell.dashboard.snippets import Snippets, snippets
from meterbell.dashboard.tabs import Tab, section_tabs
from meterbell.dashboard.visit import Action, Done, Nav, Page, Route, Visit
from meterbell.errors import NotFoundError
from meterbell.ledger.transaction import Transaction
from meterbell.records import ApiKey, Permission
from meterbell.settings import SECRETS, Settings
from meterbell.store.tables import api_key
from meterbell.vault import Vault, VaultKey

SECTION = "/developers"
MAY: dict[Permission, str] = {
    "all": "Everything",
    "read": "Retrieve and list only",
    "ingest": "Report usage only",
}
_TABS = (
    ("API keys", SECTION),
    ("Requests", f"{SECTION}/requests"),
    ("Error reports", f"{SECTION}/errors"),
)
_ENDED_MAX = 10
"""Keys that are over are shown for a look back, not for ever."""

_OVERLAP_SECONDS = 24 * 3600
_FORM: dict[str, Param] = {
    "name": Text(length_max=NAME_LENGTH_MAX, can_unset=True, is_plain=True),
    "permission": Choice(values=PERMISSIONS, required=True),
}


@dataclass(frozen=True, slots=True)
class KeyLine:
    """One API key; `used_ms` is 0 for one that was never used."""

    id: str
    name: str
    shown: str
    may: str
    status: str
    created_ms: int
    used_ms: int
    ends_ms: int
    can_roll: bool
    can_revoke: bool


@dataclass(frozen=True, slots=True)
class SettingLine:
    """One setting in force; without a value if it is a secret."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class DevelopersView:
    """Everything on the page.

    Attributes:
        revealed: A key that was just made.
        has_test_key: Whether a key that is not listed is accepted besides.
        settings: In force; empty for those who are no admins.
    """

    tabs: list[Tab]
    keys: list[KeyLine]
    has_test_key: bool
    permissions: list[tuple[str, str]]
    revealed: str
    problem: Problem
    url: str
    snippets: list[Snippets]
    version: str
    settings: list[SettingLine]


def tabs(visit: Visit, here: str) -> list[Tab]:
    """Return the section's pages, the one with a path marked."""
    return section_tabs(visit, _TABS, here)


async def _view(visit: Visit) -> DevelopersView:
    settings = visit.services.settings
    placeholder = "sk_live_…" if visit.livemode else "sk_test_…"
    return DevelopersView(
        tabs=tabs(visit, SECTION),
        keys=_keys(visit),
        has_test_key=settings.test_key is not None and not visit.livemode,
        permissions=list(MAY.items()),
        revealed=visit.revealed,
        problem=explain(visit.problem, {name: name for name in _FORM}),
        url=settings.base_url,
        snippets=snippets(settings, visit.revealed or placeholder),
        version=version("meterbell"),
        settings=_settings(settings) if visit.may("admin") else [],
    )


def _keys(visit: Visit) -> list[KeyLine]:
    now = visit.services.clock.now_ms() // 1000
    found = visit.services.store.reader.find(
        ApiKey, api_key.c.livemode == visit.livemode, order_by=api_key.c.number.desc()
    )
    used = visit.services.requests.keys.last_ms()
    lines = [_line(key, key_status(key, now), used.get(key.id, 0)) for key in found]
    working = [line for line in lines if line.can_revoke]
    ended = [line for line in lines if not line.can_revoke]
    return working + ended[:_ENDED_MAX]


def _line(key: ApiKey, status: str, used_ms: int) -> KeyLine:
    kind = "sk" if key.permission == "all" else "rk"
    return KeyLine(
        id=key.id,
        name=key.name,
        shown=f"{kind}_{'live' if key.livemode else 'test'}_…{key.last4}",
        may=MAY[key.permission],
        status=status,
        created_ms=key.created * 1000,
        used_ms=used_ms,
        ends_ms=(key.revoked_at or key.expires_at or 0) * 1000,
        can_roll=status == "active",
        can_revoke=status in ("active", "expiring"),
    )


def _settings(settings: Settings) -> list[SettingLine]:
    return [
        SettingLine(field.name, _shown(field.name, getattr(settings, field.name)))
        for field in msgspec.structs.fields(Settings)
    ]


def _shown(name: str, value: object) -> str:
    if value is None:
        return "none"
    if name in SECRETS:
        return "set, not shown"
    return str(value).lower() if isinstance(value, bool) else str(value)


async def _create(visit: Visit) -> Visit:
    params = read_params(_FORM, visit.form)
    permission: Permission = params["permission"]
    name: str = params.get("name", "").strip()

    def command(transaction: Transaction) -> dict[str, str]:
        made = create_key(transaction, livemode=visit.livemode, permission=permission, name=name)
        details = {"permission": permission, "name": name, "last4": made.record.last4}
        note(transaction, visit, "key.create", object_id=made.record.id, details=details)
        return _sealed(visit, made.text)

    return await _reveal(visit, command)


def _vault(visit: Visit) -> Vault:
    """Return a vault that only who has the form can open: the server keeps no key, and no token."""
    secret = hashlib.sha256(visit.form_token.encode()).digest()
    return Vault([VaultKey("0" * 16, secret)], visit.services.ids)


def _sealed(visit: Visit, text: str) -> dict[str, str]:
    """Return a new key as the answer to its form is kept for a second sending."""
    return {"key": _vault(visit).seal(text, about="key")}


async def _reveal(visit: Visit, command: Write) -> Visit:
    """Make a key, once for each form, and show it."""
    made = await visit.services.committer.execute(once(visit, command))
    return replace(visit, form={}, revealed=_vault(visit).open(made["key"], about="key"))


def _find(visit: Visit, transaction: Transaction) -> ApiKey:
    """Return the key that the path names.

    Raises:
        NotFoundError: There is none in this mode.
    """
    key_id = visit.ids["id"]
    found = transaction.objects.get(ApiKey, key_id, livemode=visit.livemode)
    if found is None:
        raise NotFoundError(f"There is no API key {key_id[:100]} in this mode.")
    return found


async def _roll(visit: Visit) -> Visit:
    folder = visit.services.settings.folder

    def command(transaction: Transaction) -> dict[str, str]:
        old = _find(visit, transaction)
        made = roll_key(transaction, old, ends_at=transaction.now + _OVERLAP_SECONDS)
        details = {"new": made.record.id, "last4": made.record.last4}
        note(transaction, visit, "key.roll", object_id=old.id, details=details)
        transaction.after_commit(partial(follow_key, folder, old, made.text))
        return _sealed(visit, made.text)

    return await _reveal(visit, command)


async def _revoke(visit: Visit) -> Done:
    folder = visit.services.settings.folder

    def command(transaction: Transaction) -> None:
        key = revoke_key(transaction, _find(visit, transaction))
        transaction.after_commit(partial(follow_key, folder, key, None))

    await change_own(visit, command, action="key.revoke", object_id=visit.ids["id"])
    return Done(visit.url(SECTION), notice="key_revoked")


PAGE = Page(
    path=SECTION,
    template="developers.html",
    view=_view,
    nav=Nav("Developers", "code"),
)
ROUTES: list[Route] = [
    PAGE,
    Action(path=SECTION, act=_create, role="admin", page=PAGE),
    Action(path=f"{SECTION}/keys/{{id}}/roll", act=_roll, role="admin", page=PAGE),
    Action(path=f"{SECTION}/keys/{{id}}/revoke", act=_revoke, role="admin", page=PAGE),
]
