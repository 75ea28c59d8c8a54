"""Which columns hold secrets, and that all of them are sealed with the vault's first key (D5).

`unlock` runs before the store is opened. It refuses to go on without the right key, so that a lost
key never leads to new secrets in silence. It seals what an earlier version wrote as plain text, and
what is sealed with an older key it seals again with the first one.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import apsw
import structlog
from sqlalchemy import Table

from meterbell.errors import SecretUnreadableError, SettingsError
from meterbell.ids import IdSource
from meterbell.store import channel_tables, tables
from meterbell.store.objects import Objects
from meterbell.store.sql import Connection, Row
from meterbell.vault import Vault, VaultKey, generate_key, key_of, parse_keys

DIGEST_KEY = "digest_key"
SESSION_KEY = "session_key"
LISTENER_SECRETS = {False: "listener_secret_test", True: "listener_secret_live"}
"""What listeners' events are signed with, by mode."""

_SECRET_FACTS = (DIGEST_KEY, SESSION_KEY, *LISTENER_SECRETS.values())
_SEALED_WITH = "sealed_with"
"""Fact: the id of the key that everything is sealed with."""
_TRACES = "plain_text_traces"
"""Fact: secrets were plain text, and the database was not rewritten since."""
_ROWS_AT_ONCE = 500
_KEY_FILE_HEAD = """\
# The key of the secrets in meterbell.db. Keep a copy of this file, and keep it apart from copies of
# the database: without the key the server does not start, with both anybody can read the secrets.
"""

logger = structlog.get_logger(__name__)


class SealedColumns(NamedTuple):
    """Columns of a table that hold a sealed text, or null.

    Attributes:
        key: The column that tells the row, or several put together.
        only: Values of `key`, if other rows hold no secrets.
    """

    table: Table
    key: str
    columns: tuple[str, ...]
    only: tuple[str, ...] = ()


SEALED: tuple[SealedColumns, ...] = (
    SealedColumns(tables.idempotent_reply, "livemode || ' ' || key", ("request", "body")),
    SealedColumns(tables.meta, "key", ("value",), _SECRET_FACTS),
    SealedColumns(channel_tables.notification_channel, "id", ("url",)),
    SealedColumns(tables.webhook_endpoint, "id", ("secret", "old_secrets")),
)
"""All of them. A column that is not here keeps its old key for ever."""


def row(table: Table, key: str) -> str:
    """Return what a secret in a row is `about`: the same for all columns of the row."""
    return f"{table.name} {key}"


def read_fact(objects: Objects, vault: Vault, name: str) -> str | None:
    """Return a secret fact about the installation, or None.

    Raises:
        SecretUnreadableError: It can't be decrypted.
    """
    sealed = objects.get_meta(name)
    return None if sealed is None else vault.open(sealed, about=row(tables.meta, name))


def store_fact(objects: Objects, vault: Vault, name: str, text: str) -> None:
    """Store a secret fact about the installation; its name is one of `SEALED`."""
    assert name in _SECRET_FACTS, "another key would not reach it"
    objects.set_meta(name, vault.seal(text, about=row(tables.meta, name)))


def unlock(database: Path, *, keys: str | None, key_file: Path, ids: IdSource) -> Vault:
    """Return the vault of a database that nobody has open; afterwards its first key seals all.

    Args:
        database: Up to date.
        keys: From the settings; they come before those in the file.
        key_file: Made, with a fresh key, if nothing was sealed yet and there is no key at all.
        ids: Where random bytes come from.

    Raises:
        SettingsError: The key is missing, wrong or malformed, or the database can't be sealed.
    """
    connection = Connection(database)
    try:
        objects = Objects(connection)
        sealed_with = objects.get_meta(_SEALED_WITH)
        found = parse_keys(keys or "", where="The setting secret_keys") + _read(key_file)
        if not found:
            if sealed_with is not None:
                raise SettingsError(_missing(database, key_file, sealed_with))
            found = _make(key_file, ids)
        vault = Vault(found, ids)
        if sealed_with is not None and not vault.has_key(sealed_with):
            raise SettingsError(_missing(database, key_file, sealed_with))
        if sealed_with != vault.key_id or objects.get_meta(_TRACES) is not None:
            _seal_all(connection, objects, vault)
    except SecretUnreadableError as error:
        raise SettingsError(str(error)) from error
    except apsw.Error as error:
        raise SettingsError(
            f"The secrets in {database} can't be encrypted: {error}. Where they were plain text "
            "the database is rewritten once, which needs as much free space again as it takes."
        ) from error
    finally:
        connection.close()
    return vault


def rotate(database: Path, *, keys: str | None, key_file: Path, ids: IdSource) -> Vault:
    """Seal everything with a fresh key, and forget those in the file.

    It may be interrupted at any point: the file has the old keys until the fresh one seals all.

    Raises:
        SettingsError: As for `unlock`, or the keys are not in the file but in the settings.
    """
    if keys is not None:
        raise SettingsError(
            "The key is in the setting secret_keys (METERBELL_SECRET_KEYS). Put a new one in front "
            "of it, with a comma between, and start the server: it encrypts everything with the "
            "first. Then the old one can be taken away."
        )
    unlock(database, keys=None, key_file=key_file, ids=ids)
    fresh = generate_key(ids)
    _write(key_file, [fresh, *_read(key_file)])
    vault = unlock(database, keys=None, key_file=key_file, ids=ids)
    _write(key_file, [fresh])
    return vault


def _missing(database: Path, key_file: Path, sealed_with: str) -> str:
    return (
        f"The secrets in {database} are encrypted with the key {sealed_with}, which is neither in "
        f"{key_file} nor in the setting secret_keys (METERBELL_SECRET_KEYS). Put the key back from "
        "your copy of it. Without it no webhook can be signed as its receiver expects."
    )


def _read(key_file: Path) -> list[VaultKey]:
    try:
        key_file.chmod(0o600)
        text = key_file.read_text()
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise SettingsError(f"{key_file} can't be read: {error}") from error
    keys = parse_keys(text, where=str(key_file))
    if not keys:
        raise SettingsError(
            f"{key_file} holds no key. Put the key back from your copy of it, or delete the file "
            "if nothing was encrypted yet."
        )
    return keys


def _make(key_file: Path, ids: IdSource) -> list[VaultKey]:
    """Make the file with a fresh key, on stable storage before anything is sealed with it."""
    keys = [generate_key(ids)]
    _write(key_file, keys)
    logger.info("made the key of secrets: keep a copy of it", file=str(key_file), key=keys[0].id)
    return keys


def _write(key_file: Path, keys: Sequence[VaultKey]) -> None:
    draft = key_file.with_name(f"{key_file.name}.new")
    text = _KEY_FILE_HEAD + "".join(f"{key.text}\n" for key in keys)
    try:
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(key_file)
        folder = os.open(key_file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise SettingsError(f"{key_file} can't be written: {error}") from error


def _seal_all(connection: Connection, objects: Objects, vault: Vault) -> None:
    """Seal everything with the vault's first key, and leave no trace of what was plain text."""
    # What is written over must not stay in the file.
    connection.run("PRAGMA secure_delete = ON")
    connection.run("BEGIN IMMEDIATE")
    found = [key_id for sealed in SEALED for key_id in _seal_table(connection, sealed, vault)]
    objects.set_meta(_SEALED_WITH, vault.key_id)
    if None in found:
        objects.set_meta(_TRACES, "yes")
    connection.run("COMMIT")
    if found:
        logger.info("secrets encrypted", secrets=len(found), key=vault.key_id)
    has_traces = objects.get_meta(_TRACES) is not None
    if has_traces:
        logger.info("rewriting the database: secrets were plain text in it")
        connection.run("VACUUM")
    ((is_busy, *_),) = connection.run("PRAGMA wal_checkpoint(TRUNCATE)")
    if is_busy:
        raise apsw.BusyError("another program reads the database")
    if has_traces:
        connection.run("DELETE FROM meta WHERE key = ?", (_TRACES,))


def _seal_table(
    connection: Connection, sealed: SealedColumns, vault: Vault
) -> Iterator[str | None]:
    """Seal a table; yield for each secret that was not sealed with the first key, with which."""
    for row_id, name, *values in _rows(connection, sealed):
        if sealed.only and name not in sealed.only:
            continue
        about = row(sealed.table, name)
        for column, value in zip(sealed.columns, values, strict=True):
            text = value.decode() if isinstance(value, bytes) else value
            if text is None or key_of(text) == vault.key_id:
                continue
            plain = text if key_of(text) is None else vault.open(text, about=about)
            fresh = vault.seal(plain, about=about)
            connection.run(
                f"UPDATE {sealed.table.name} SET {column} = ? WHERE rowid = ?",  # noqa: S608 - ours
                (fresh.encode() if isinstance(value, bytes) else fresh, row_id),
            )
            yield key_of(text)


def _rows(connection: Connection, sealed: SealedColumns) -> Iterator[Row]:
    """Yield row number, key and secrets of each row; it may be changed meanwhile."""
    columns = ", ".join(("rowid", sealed.key, *sealed.columns))
    last = 0
    while True:
        rows = connection.run(
            f"SELECT {columns} FROM {sealed.table.name}"  # noqa: S608 - ours
            " WHERE rowid > ? ORDER BY rowid LIMIT ?",
            (last, _ROWS_AT_ONCE),
        )
        yield from rows
        if len(rows) < _ROWS_AT_ONCE:
            return
        last = rows[-1][0]
