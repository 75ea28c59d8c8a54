"""A database and its key: made together, missed together, rotated. Rule D5."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from meterbell.api.idempotency import digest_key
from meterbell.errors import SettingsError
from meterbell.ids import RandomIds
from meterbell.records import IdempotentReply, WebhookEndpoint
from meterbell.store import tables
from meterbell.store.endpoint_secrets import secrets_of
from meterbell.store.migrations import migrate
from meterbell.store.migrations.upgrade import upgrade
from meterbell.store.objects import Objects
from meterbell.store.sealing import (
    DIGEST_KEY,
    SESSION_KEY,
    read_fact,
    rotate,
    row,
    store_fact,
    unlock,
)
from meterbell.store.sql import Connection
from meterbell.vault import Vault, generate_key, key_of

SECRET = "plain0123456789secret"
IDS = RandomIds()


class Folder:
    """A data folder with an up-to-date database that nobody has open."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.database = path / "meterbell.db"
        self.key_file = path / "secret-keys"

    def unlock(self, keys: str | None = None) -> Vault:
        return unlock(self.database, keys=keys, key_file=self.key_file, ids=IDS)

    def rotate(self, keys: str | None = None) -> Vault:
        return rotate(self.database, keys=keys, key_file=self.key_file, ids=IDS)

    def store(self, vault: Vault) -> None:
        """Store the secret as the server does."""
        with closing(Connection(self.database)) as connection:
            store_fact(Objects(connection), vault, DIGEST_KEY, SECRET)

    def store_plain(self) -> None:
        """Store the secret as an earlier version did."""
        with closing(Connection(self.database)) as connection:
            Objects(connection).set_meta(DIGEST_KEY, SECRET)

    def delete_plain(self) -> None:
        """Store the secret elsewhere and delete it, which leaves it in the file."""
        with closing(sqlite3.connect(self.database)) as connection, connection:
            connection.execute("PRAGMA secure_delete = OFF")
            connection.execute("INSERT INTO meta VALUES ('gone', ?)", (f"another {SECRET}" * 500,))
            connection.commit()
            connection.execute("DELETE FROM meta WHERE key = 'gone'")
        assert SECRET.encode() in self.bytes()

    def read(self, vault: Vault) -> str | None:
        with closing(Connection(self.database, readonly=True)) as connection:
            return read_fact(Objects(connection), vault, DIGEST_KEY)

    def stored(self) -> str:
        with closing(sqlite3.connect(self.database)) as connection:
            found = connection.execute("SELECT value FROM meta WHERE key = ?", (DIGEST_KEY,))
            return str(found.fetchone()[0])

    def bytes(self) -> bytes:
        """Return everything that is on disk."""
        return b"".join(file.read_bytes() for file in self.path.iterdir())


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh database, to copy."""
    path = tmp_path_factory.mktemp("migrated") / "meterbell.db"
    migrate(path)
    return path


@pytest.fixture
def folder(tmp_path: Path, migrated: Path) -> Folder:
    shutil.copy(migrated, tmp_path)
    return Folder(tmp_path)


def test_d5_the_first_start_makes_a_key_that_only_its_owner_can_read(folder: Folder) -> None:
    vault = folder.unlock()
    folder.store(vault)

    assert folder.key_file.stat().st_mode & 0o777 == 0o600
    assert vault.key_id not in folder.key_file.read_text()
    assert folder.read(folder.unlock()) == SECRET
    assert SECRET.encode() not in folder.bytes()


def test_d5_a_key_file_that_others_can_read_is_closed_to_them(folder: Folder) -> None:
    folder.unlock()
    folder.key_file.chmod(0o644)

    folder.unlock()

    assert folder.key_file.stat().st_mode & 0o777 == 0o600


def test_d5_without_its_key_a_database_is_refused_and_no_new_key_is_made(folder: Folder) -> None:
    key_id = folder.unlock().key_id
    kept = folder.key_file.read_text()
    folder.key_file.unlink()

    with pytest.raises(
        SettingsError, match=rf"with the key {key_id}, which is neither in .*secret-"
    ):
        folder.unlock()

    assert not folder.key_file.exists()
    folder.key_file.write_text(kept)
    assert folder.unlock().key_id == key_id


def test_d5_with_another_key_a_database_is_refused(folder: Folder) -> None:
    folder.store(folder.unlock())
    before = folder.stored()
    other = generate_key(IDS).text
    folder.key_file.write_text(other)

    for keys in (None, generate_key(IDS).text):
        with pytest.raises(SettingsError, match="Put the key back"):
            folder.unlock(keys)

    assert folder.stored() == before
    assert folder.key_file.read_text() == other


@pytest.mark.parametrize("text", ["", "# nothing\n", "no key\n", "\udcff"])
def test_d5_a_key_file_without_a_key_is_refused(folder: Folder, text: str) -> None:
    folder.key_file.write_bytes(text.encode(errors="surrogateescape"))

    with pytest.raises(SettingsError, match="secret-keys"):
        folder.unlock()


def test_d5_a_secret_that_was_changed_by_hand_stops_a_rotation(folder: Folder) -> None:
    folder.store(folder.unlock())
    with closing(sqlite3.connect(folder.database)) as connection, connection:
        connection.execute("UPDATE meta SET value = value || 'AA' WHERE key = ?", (DIGEST_KEY,))

    with pytest.raises(SettingsError, match=f"meta {DIGEST_KEY} can't be decrypted"):
        folder.rotate()

    assert len(folder.key_file.read_text().splitlines()) == 4, "the old key is kept"


def test_d5_the_key_may_be_in_the_settings_and_then_there_is_no_file(folder: Folder) -> None:
    key = generate_key(IDS)
    folder.store(folder.unlock(key.text))

    assert not folder.key_file.exists()
    assert key_of(folder.stored()) == key.id
    assert folder.read(folder.unlock(key.text)) == SECRET


def test_d5_a_key_in_the_settings_takes_the_place_of_the_file(folder: Folder) -> None:
    folder.store(folder.unlock())
    key = generate_key(IDS)

    folder.unlock(key.text)
    folder.key_file.unlink()

    assert folder.read(folder.unlock(key.text)) == SECRET


def test_d5_an_old_key_can_be_taken_away_after_a_start_with_the_new_one(folder: Folder) -> None:
    old, new = generate_key(IDS), generate_key(IDS)
    folder.store(folder.unlock(old.text))

    folder.unlock(f"{new.text},{old.text}")

    assert folder.read(folder.unlock(new.text)) == SECRET
    with pytest.raises(SettingsError, match=new.id):
        folder.unlock(old.text)


def test_d5_rotating_replaces_the_key_in_the_file(folder: Folder) -> None:
    before = folder.unlock()
    folder.store(before)
    old_file, old_secret = folder.key_file.read_text(), folder.stored()

    after = folder.rotate()

    assert after.key_id != before.key_id
    assert folder.read(folder.unlock()) == SECRET
    assert len(folder.key_file.read_text()) == len(old_file), "one key, as before"
    assert old_secret.encode() not in folder.bytes()
    folder.key_file.write_text(old_file)
    with pytest.raises(SettingsError, match=after.key_id):
        folder.unlock()


def test_d5_an_interrupted_rotation_is_finished_by_the_next_start(folder: Folder) -> None:
    folder.store(folder.unlock())
    fresh = generate_key(IDS)
    folder.key_file.write_text(f"{fresh.text}\n{folder.key_file.read_text()}")

    vault = folder.unlock()

    assert (vault.key_id, key_of(folder.stored())) == (fresh.id, fresh.id)
    assert folder.read(vault) == SECRET


def test_d5_a_key_in_the_settings_is_not_rotated_in_the_file(folder: Folder) -> None:
    with pytest.raises(SettingsError, match="METERBELL_SECRET_KEYS"):
        folder.rotate(generate_key(IDS).text)


def test_d5_plain_text_of_an_earlier_version_is_sealed_and_leaves_no_trace(folder: Folder) -> None:
    folder.store_plain()
    assert SECRET.encode() in folder.bytes()

    vault = folder.unlock()

    assert SECRET.encode() not in folder.bytes()
    assert folder.read(vault) == SECRET


def test_d5_what_an_earlier_version_had_deleted_leaves_no_trace_either(folder: Folder) -> None:
    folder.store_plain()
    folder.delete_plain()

    folder.unlock()

    assert SECRET.encode() not in folder.bytes()


def test_d5_rewriting_the_database_is_done_again_if_it_was_interrupted(folder: Folder) -> None:
    folder.store(folder.unlock())
    folder.delete_plain()
    with closing(Connection(folder.database)) as connection:
        Objects(connection).set_meta("plain_text_traces", "yes")

    vault = folder.unlock()

    assert SECRET.encode() not in folder.bytes()
    assert folder.read(vault) == SECRET
    with closing(Connection(folder.database, readonly=True)) as connection:
        assert Objects(connection).get_meta("plain_text_traces") is None


def test_d5_a_database_of_version_0_1_is_sealed_whole(tmp_path: Path) -> None:
    path = tmp_path / "meterbell.db"
    upgrade(path, "0003")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "INSERT INTO webhook_endpoint (id, livemode, created, url, enabled_events, metadata,"
            " status, secret) VALUES ('we_1', 0, 1, 'http://127.0.0.1/', '[\"*\"]', '{}',"
            f" 'enabled', 'whsec_{SECRET}')"
        )
        connection.executemany(
            "INSERT INTO idempotent_reply"
            " (livemode, key, request, digest, request_id, status, body, created_ms)"
            " VALUES (?, ?, ?, x'00', 'req_1', 200, ?, 1)",
            [
                (
                    number % 2,
                    f"{SECRET}{number}",
                    f"POST /v1/{SECRET}",
                    f'{{"a":"{SECRET}"}}'.encode(),
                )
                for number in range(1200)
            ],
        )
        connection.execute("INSERT INTO meta VALUES ('session_key', ?)", (f"session {SECRET}",))
        connection.execute("INSERT INTO meta VALUES ('retention', '{}')")

    migrate(path)
    folder = Folder(tmp_path)
    vault = folder.unlock()

    assert SECRET.encode() not in folder.bytes()
    with closing(Connection(path, readonly=True)) as reading:
        objects = Objects(reading)
        assert read_fact(objects, vault, SESSION_KEY) == f"session {SECRET}"
        assert objects.get_meta("retention") == "{}"
        (endpoint,) = objects.find(WebhookEndpoint)
        replies = objects.find(IdempotentReply)
    assert secrets_of(vault, endpoint, now_ms=0) == [f"whsec_{SECRET}"]
    assert len(replies) == 1200
    for livemode in (False, True):
        number = int(livemode)
        key = digest_key(f"{SECRET}{number}").hex()
        (reply,) = [r for r in replies if (r.livemode, r.key) == (livemode, key)]
        about = row(tables.idempotent_reply, f"{number} {key}")
        assert vault.open(reply.request, about=about) == f"POST /v1/{SECRET}"
        assert vault.open(reply.body.decode(), about=about) == f'{{"a":"{SECRET}"}}'
