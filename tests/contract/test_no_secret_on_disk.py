"""What a stolen disk, backup or log would tell: no secret at all. Rule D5."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.contract.planting import IDS, Planting
from tests.contract.plants import PLANTS
from tests.support.server import ServerProcess

OPEN_FILES = {"secret-keys", "server.json", "test-key"}
"""Files that hold a secret on purpose, for their owner only, and belong in no backup."""


class Planted(NamedTuple):
    """What a server with secrets leaves behind.

    Attributes:
        secrets: By kind.
        canary: No secret, and stored.
        files: Contents by name, of the data folder while the server ran, after a kill and after a
            stop, of a backup, and of the log.
    """

    secrets: dict[str, list[str]]
    canary: str
    files: dict[str, bytes]


def contents(folder: Path, what: str) -> dict[str, bytes]:
    """Return all files of a data folder that may be in a backup."""
    return {
        f"{what}: {file.relative_to(folder)}": file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file() and file.name not in OPEN_FILES
    }


def back_up(data: Path, target: Path) -> bytes:
    source, copy = sqlite3.connect(data / "meterbell.db"), sqlite3.connect(target)
    with closing(source), closing(copy):
        source.backup(copy)
    return target.read_bytes()


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    folder = tmp_path_factory.mktemp("planted")
    arguments = ["--log-level", "debug", "--checkpoint-seconds", "1"]
    with ServerProcess(folder / "data", arguments=arguments) as server:
        planting = Planting(server)
        secrets = {plant.__name__: list(plant(planting)) for plant in PLANTS}
        meter = {"display_name": "A", "event_name": "a", "default_aggregation[formula]": "sum"}
        planting.made("/v1/billing/meters", meter)
        planting.made("/v1/customers", {"id": "cus_a"})
        usage = {"event_name": "a", "payload[stripe_customer_id]": "cus_a", "payload[value]": "1"}
        planting.made("/v1/billing/meter_events", usage)
        canary = str(planting.made("/v1/customers", {"name": f"canary{IDS.token(24)}"})["name"])
        files = contents(server.data, "running")
        files["backup"] = back_up(server.data, folder / "backup.db")
        server.kill()
        files |= contents(server.data, "killed")
        server.start()
        modes = {
            file.name: file.stat().st_mode & 0o777
            for file in server.data.rglob("*")
            if file.is_file()
        }
        assert {name: mode for name, mode in modes.items() if mode != 0o600} == {}
        server.stop()
        files |= contents(server.data, "stopped")
        files["log"] = server.output.encode()
    return Planted(secrets, canary, files)


def fingerprints(secret: str) -> list[bytes]:
    """Return parts of a secret that nothing else holds; its last four characters may be shown."""
    return [secret[12:28].encode(), secret[-20:-4].encode()]


def test_d5_fifty_planted_secrets_are_on_no_disk_in_no_backup_and_in_no_log(
    planted: Planted,
) -> None:
    found = [
        (kind, secret, name)
        for kind, secrets in planted.secrets.items()
        for secret in secrets
        for name, content in planted.files.items()
        if any(part in content for part in fingerprints(secret))
    ]

    assert found == []
    assert all(
        len(part) >= 12 for s in planted.secrets.values() for t in s for part in fingerprints(t)
    )
    assert len({secret for secrets in planted.secrets.values() for secret in secrets}) >= 50


def test_what_is_no_secret_is_found_where_it_is(planted: Planted) -> None:
    """So the search would find a secret, too."""
    names = {name for name, content in planted.files.items() if planted.canary.encode() in content}

    assert {"backup", "stopped: meterbell.db", "killed: meterbell.db-wal"} <= names
    assert any(name.startswith("stopped: keys/") for name in planted.files)
    for told in (b"state recovered", b"Invalid HTTP request", b"Traceback", b"no such table"):
        assert told in planted.files["log"]
