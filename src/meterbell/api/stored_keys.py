"""API keys in the database: create, roll, revoke, and how they are. For pages and commands.

A running server takes up a change within a second.
"""

from pathlib import Path
from typing import NamedTuple, get_args

from meterbell.errors import InvalidParamError
from meterbell.folder import keep_test_key, read_test_key
from meterbell.ids import new_id
from meterbell.keys import digest_of, generate_key
from meterbell.records import ApiKey, Permission
from meterbell.store import tables
from meterbell.store.moment import Moment

PERMISSIONS: tuple[Permission, ...] = get_args(Permission)
NAME_LENGTH_MAX = 100

_columns = tables.api_key.c


class NewKey(NamedTuple):
    """A key that was just made; `text` is not kept anywhere."""

    text: str
    record: ApiKey


def create_key(moment: Moment, *, livemode: bool, permission: Permission, name: str) -> NewKey:
    """Make a key and store its digest."""
    text = generate_key(moment.ids, livemode=livemode, restricted=permission != "all")
    record = ApiKey(
        id=new_id(moment.ids, "mk"),
        livemode=livemode,
        name=name,
        permission=permission,
        digest=digest_of(text),
        last4=text[-4:],
        created=moment.now_ms // 1000,
        expires_at=None,
        revoked_at=None,
    )
    moment.objects.insert(record)
    return NewKey(text, record)


def key_status(key: ApiKey, now: int) -> str:
    """Return `active`, `expiring`, `expired` or `revoked`."""
    if key.revoked_at is not None:
        return "revoked"
    if key.expires_at is not None:
        return "expired" if key.expires_at <= now else "expiring"
    return "active"


def roll_key(moment: Moment, old: ApiKey, *, ends_at: int) -> NewKey:
    """Make a key like another, which goes on working until it ends.

    Raises:
        InvalidParamError: The other one has an end already.
    """
    status = key_status(old, moment.now_ms // 1000)
    if status != "active":
        raise InvalidParamError(
            f"Key {old.id} is {status}, so it can't be rolled. Create a new one instead."
        )
    made = create_key(moment, livemode=old.livemode, permission=old.permission, name=old.name)
    moment.objects.update(ApiKey, _columns.id == old.id, expires_at=ends_at)
    return made


def revoke_key(moment: Moment, key: ApiKey) -> ApiKey:
    """End a key now, unless it was revoked before, and return it as it is then."""
    if key.revoked_at is None:
        moment.objects.update(ApiKey, _columns.id == key.id, revoked_at=moment.now_ms // 1000)
    return moment.objects.find(ApiKey, _columns.id == key.id)[0]


def follow_key(folder: Path, old: ApiKey, new: str | None) -> None:
    """Keep the local copy of the test key in step with a roll or a revocation."""
    local = read_test_key(folder)
    if local is not None and digest_of(local) == old.digest:
        keep_test_key(folder, new)
