"""`meterbell secrets rotate` and `meterbell webhooks roll-secret`."""

import json
import re
from pathlib import Path

import pytest
import stripe
from typer.testing import CliRunner, Result

from meterbell.cli.main import app
from meterbell.ids import RandomIds
from meterbell.settings import Settings
from meterbell.store.migrations import migrate
from meterbell.store.sealing import unlock
from meterbell.vault import generate_key
from tests.cli.conftest import Run, clean_environment
from tests.support.server import ServerProcess
from tests.support.vault import vault_of


def rotate(folder: Path, *arguments: str, **environment: str) -> Result:
    words = ["secrets", "rotate", "--data", str(folder), *arguments]
    return CliRunner().invoke(app, words, env={**clean_environment(), **environment})


def test_d5_the_key_is_rotated_and_shown_by_its_id_only(tmp_path: Path) -> None:
    settings = Settings(data=str(tmp_path))
    migrate(settings.database)
    unlock(settings.database, keys=None, key_file=settings.key_file, ids=RandomIds())
    ids = [vault_of(tmp_path).key_id]

    shown = rotate(tmp_path)
    ids.append(vault_of(tmp_path).key_id)
    printed = rotate(tmp_path, "--json")
    ids.append(vault_of(tmp_path).key_id)

    assert (shown.exit_code, printed.exit_code) == (0, 0)
    assert f"the key {ids[1]} now" in shown.stdout
    assert json.loads(printed.stdout) == {"key": ids[2], "file": str(settings.key_file)}
    assert len(set(ids)) == 3


def test_d5_a_key_in_the_settings_is_rotated_there(tmp_path: Path) -> None:
    migrate(tmp_path / "meterbell.db")

    done = rotate(tmp_path, METERBELL_SECRET_KEYS=generate_key(RandomIds()).text)

    assert done.exit_code == 1
    assert "The key is in the setting secret_keys" in done.stderr
    assert not (tmp_path / "secret-keys").exists()


def test_without_a_database_there_is_nothing_to_rotate(tmp_path: Path) -> None:
    done = rotate(tmp_path / "none")

    assert done.exit_code == 1
    assert "There is no up-to-date database" in done.stderr
    assert not (tmp_path / "none").exists()


def test_d5_the_key_of_a_running_server_is_not_rotated(server: ServerProcess, run: Run) -> None:
    before = (server.data / "secret-keys").read_text()

    done = run("secrets", "rotate")

    assert done.returncode == 1
    assert "Another meterbell server is using the data folder" in done.stderr
    assert (server.data / "secret-keys").read_text() == before


@pytest.fixture
def endpoint(server: ServerProcess) -> stripe.WebhookEndpoint:
    return server.client.v1.webhook_endpoints.create(
        {"url": "http://127.0.0.1:9009/", "enabled_events": ["*"]}
    )


def test_d5_a_webhook_secret_is_rolled_and_shown(
    endpoint: stripe.WebhookEndpoint, run: Run
) -> None:
    rolled = run("webhooks", "roll-secret", endpoint.id, "--expire-in", "1h")
    at_once = run("webhooks", "roll-secret", endpoint.id, "--expire-in", "0")
    printed = json.loads(run("webhooks", "roll-secret", endpoint.id, "--json").stdout)

    first, second = (done.stdout.splitlines() for done in (rolled, at_once))
    assert len({endpoint.secret, first[0], second[0], printed["secret"]}) == 4
    assert re.fullmatch(r"whsec_\w{44}", first[0])
    assert re.fullmatch(r"The old one signs as well until \d{4}-\S+ \S+ UTC\.", first[2])
    assert second[2] == "The old one signs no more."
    assert first[1] == second[1] == "Keep it now: it is not shown again."


def test_d5_the_secret_of_a_destination_is_rolled_and_shown(
    server: ServerProcess, run: Run
) -> None:
    made = server.client.v2.core.event_destinations.create(
        {
            "name": "D",
            "type": "webhook_endpoint",
            "event_payload": "thin",
            "enabled_events": ["*"],
            "webhook_endpoint": {"url": "http://127.0.0.1:9009/"},
        }
    )

    done = run("webhooks", "roll-secret", made.id)

    assert re.fullmatch(r"whsec_\w{44}", done.stdout.splitlines()[0])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["we_none"], "No such webhook endpoint: 'we_none'"),
        (["ed_none"], "No such event destination: 'ed_none'"),
        (["we_none", "--expire-in", "25h"], "up to 24 hours"),
        (["we_none", "--expire-in", "1w"], "up to 24 hours"),
    ],
    ids=str,
)
def test_a_secret_that_cannot_be_rolled(run: Run, arguments: list[str], words: str) -> None:
    done = run("webhooks", "roll-secret", *arguments)

    assert done.returncode != 0
    assert words in done.stderr
