"""What a stolen disk, backup or log would tell: no secret at all. Rule D5.

Each row of `PLANTS` uses secrets as clients, people and attackers do, and yields them. Whoever adds
a kind of secret adds a row.
"""

import base64
import http.client
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import urlopen

import pytest
from typer.testing import CliRunner

from meterbell.cli.main import app
from meterbell.ids import RandomIds
from meterbell.keys import generate_key
from meterbell.settings import Settings
from meterbell.store.objects import Objects
from meterbell.store.sealing import DIGEST_KEY, SESSION_KEY, read_fact
from meterbell.store.sql import Connection
from meterbell.vault import parse_keys
from tests.support.server import ServerProcess
from tests.support.vault import vault_of

OPEN_FILES = {"secret-keys", "server.json", "test-key"}
"""Files that hold a secret on purpose, for their owner only, and belong in no backup."""

HOOKS, DESTINATIONS = "/v1/webhook_endpoints", "/v2/core/event_destinations"
# Nobody listens there, so each delivery fails and is logged.
TARGET = "http://127.0.0.1:9009/hook"
IDS = RandomIds()
Body = bytes | dict[str, Any]


class Planting:
    """A server that logs everything, and requests to it, good and bad."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server

    def send(
        self,
        method: str,
        path: str,
        body: Body = b"",
        *,
        key: str | None = None,
        **headers: str,
    ) -> tuple[int, Any]:
        """Send a request; a dictionary goes as a form to v1 and as JSON to v2."""
        if isinstance(body, bytes):
            raw = body
        elif path.startswith("/v2"):
            raw = json.dumps(body).encode()
        else:
            raw = urlencode(body, doseq=True).encode()
        kind = "application/json" if path.startswith("/v2") else "application/x-www-form-urlencoded"
        sent = {"Authorization": f"Bearer {key or self.server.key}", "Content-Type": kind}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        address = urlsplit(self.server.url)
        connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=20)
        with closing(connection):
            connection.request(method, path, raw, headers=sent)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    def made(self, path: str, body: Body, **more: str) -> Any:  # noqa: ANN401
        """Send a POST that must succeed, with an Idempotency-Key as the SDKs do."""
        status, answer = self.send("POST", path, body, Idempotency_Key=IDS.token(20), **more)
        assert status == 200, answer
        return answer

    def refused(self, method: str, path: str, body: Body = b"", **more: str) -> None:
        """Send a request that must be refused, once without and once with an Idempotency-Key."""
        for headers in ({}, {"Idempotency_Key": IDS.token(20)}):
            status, _ = self.send(method, path, body, **(headers | more))
            assert 400 <= status < 500, (status, method, path)

    def endpoint(self) -> Any:  # noqa: ANN401
        """Make a webhook endpoint."""
        return self.made(HOOKS, {"url": TARGET, "enabled_events[]": "*"})

    def destination(self) -> Any:  # noqa: ANN401
        """Make a destination that shows its secret."""
        body = destination_body(TARGET)
        return self.made(DESTINATIONS, body | {"include": ["webhook_endpoint.signing_secret"]})


def destination_body(url: str) -> dict[str, Any]:
    return {
        "name": "D",
        "type": "webhook_endpoint",
        "event_payload": "snapshot",
        "enabled_events": ["*"],
        "webhook_endpoint": {"url": url},
    }


def some_keys(count: int) -> list[str]:
    """Return keys that no server knows."""
    return [generate_key(IDS, livemode=n % 2 == 0, restricted=n % 3 == 0) for n in range(count)]


def api_keys(planting: Planting) -> Iterator[str]:
    """Keys that work, made by the command line, and the one that the server was given."""
    yield planting.server.key
    for mode in ("test", "live"):
        for permission in ("all", "read", "ingest"):
            words = ["keys", "create", "--mode", mode, "--permission", permission, "--json"]
            words += ["--data", str(planting.server.data)]
            key = json.loads(CliRunner().invoke(app, words).stdout)["key"]
            status, _ = planting.send("GET", "/v1/customers", key=key)
            assert status == (403 if permission == "ingest" else 200)
            yield key


def unknown_api_keys(planting: Planting) -> Iterator[str]:
    """Keys that are sent and refused, in both forms of authentication, one of them mistyped."""
    for key in [*some_keys(3), some_keys(1)[0] + "_mistyped"]:
        basic = base64.b64encode(f"{key}:".encode()).decode()
        planting.refused("GET", "/v1/customers", Authorization=f"Bearer {key}")
        planting.refused("POST", "/v2/billing/meter_events", {}, Authorization=f"Basic {basic}")
        yield key
        yield basic


def webhook_secrets(planting: Planting) -> Iterator[str]:
    """Secrets of endpoints and destinations, deleted ones too."""
    for number in range(3):
        endpoint = planting.endpoint()
        if number == 0:
            planting.send("DELETE", f"{HOOKS}/{endpoint['id']}")
        yield endpoint["secret"]
        yield planting.destination()["webhook_endpoint"]["signing_secret"]


def rolled_secrets(planting: Planting) -> Iterator[str]:
    """Old and new secrets, through overlaps and without one."""
    endpoint, destination = planting.endpoint(), planting.destination()
    yield endpoint["secret"]
    yield destination["webhook_endpoint"]["signing_secret"]
    for seconds in (60, 3600, 0):
        path = f"{HOOKS}/{endpoint['id']}/roll_secret"
        yield planting.made(path, {"expire_in": seconds})["secret"]
        path = f"{DESTINATIONS}/{destination['id']}/roll_secret"
        rolled = planting.made(path, {"expire_in": seconds})
        yield rolled["webhook_endpoint"]["signing_secret"]


def session_tokens(planting: Planting) -> Iterator[str]:
    """Tokens of the stream: one that works, and one that was tampered with."""
    for number in range(3):
        token = planting.made("/v2/billing/meter_event_session", {})["authentication_token"]
        token = token[:-4] + "0000" if number == 0 else token
        body = {"events": [{"event_name": "nothing", "payload": {"a": "1"}}]}
        status, _ = planting.send("POST", "/v2/billing/meter_event_stream", body, key=token)
        assert status == (401 if number == 0 else 200)
        yield token


def customer_page_links(planting: Planting) -> Iterator[str]:
    """Links to customer pages: opened, asked for in the wrong place, and tampered with."""
    customer = planting.made("/v1/customers", {"name": "Ada"})["id"]
    url = planting.made("/v1/customer_pages", {"customer": customer})["url"]
    path = urlsplit(url).path
    with urlopen(url) as page:
        assert page.status == 200
    planting.refused("GET", f"/v1{path}")
    with pytest.raises(HTTPError, match="404"):
        urlopen(f"{url}/alerts/{path}")
    yield path.rpartition("/")[2]


def installation_secrets(planting: Planting) -> Iterator[str]:
    """What the installation signs and digests with, and the key that all is encrypted with."""
    data = planting.server.data
    with closing(Connection(data / "meterbell.db", readonly=True)) as connection:
        for name in (DIGEST_KEY, SESSION_KEY):
            secret = read_fact(Objects(connection), vault_of(data), name)
            assert secret is not None
            yield secret
    key_file = Settings(data=str(data)).key_file
    yield from (key.text for key in parse_keys(key_file.read_text(), where=str(key_file)))


def passwords_in_urls(planting: Planting) -> Iterator[str]:
    """Endpoints may not have user names and passwords in their URLs."""
    endpoint, destination = planting.endpoint()["id"], planting.destination()["id"]
    for scheme in ("http", "ftp"):
        words = [f"hunter2{IDS.token(30)}" for _ in range(4)]
        urls = [f"{scheme}://user:{word}@127.0.0.1:9009/" for word in words]
        planting.refused("POST", HOOKS, {"url": urls[0], "enabled_events[]": "*"})
        planting.refused("POST", f"{HOOKS}/{endpoint}", {"url": urls[1]})
        planting.refused("POST", DESTINATIONS, destination_body(urls[2]))
        changes = {"webhook_endpoint": {"url": urls[3]}}
        planting.refused("POST", f"{DESTINATIONS}/{destination}", changes)
        yield from words


def secrets_in_bodies(planting: Planting) -> Iterator[str]:
    """Secrets in the wrong place of requests that fail, and whose answers may quote them."""
    endpoint = planting.endpoint()["id"]
    bodies: list[tuple[str, Callable[[str], Body]]] = [
        (f"{HOOKS}/{endpoint}", lambda secret: {"secret": secret}),
        (HOOKS, lambda secret: {"url": TARGET, "enabled_events[]": secret}),
        (HOOKS, lambda secret: {"url": secret, "enabled_events[]": "*"}),
        ("/v1/customers", lambda secret: {secret: "x"}),
        ("/v1/billing/meter_events", lambda secret: {"event_name": secret, "payload[a]": "b"}),
        (DESTINATIONS, destination_body),
        (DESTINATIONS, str.encode),
    ]
    for (path, body), key in zip(bodies, some_keys(len(bodies)), strict=True):
        for secret in (key, f"whsec_{IDS.token(44)}"):
            planting.refused("POST", path, body(secret))
            yield secret


def secrets_in_addresses(planting: Planting) -> Iterator[str]:
    """Secrets in paths and queries of requests that fail."""
    for key, secret in zip(some_keys(3), (f"whsec_{IDS.token(44)}" for _ in range(3)), strict=True):
        planting.refused("GET", f"/v1/customers/{secret}")
        planting.refused("POST", f"{HOOKS}/{quote(key)}/roll_secret", {})
        planting.refused("GET", f"/v1/nothing/{key}?api_key={secret}")
        planting.refused("GET", f"/v1/customers?api_key={key}")
        planting.refused("POST", f"/v2/nothing/{secret}?{key}", {})
        yield key
        yield secret


def secrets_in_headers(planting: Planting) -> Iterator[str]:
    """Secrets in headers of requests that fail and of some that don't."""
    for header in ("Idempotency_Key", "Stripe_Account", "Stripe_Version", "X_Api_Key", "Cookie"):
        (key,) = some_keys(1)
        planting.refused("POST", "/v1/customers", {"nothing": "x"}, **{header: key})
        if header != "Idempotency_Key":  # which events show, as Stripe's do
            planting.made("/v1/customers", {"name": "Ada"}, **{header: key})
        yield key


PLANTS: list[Callable[[Planting], Iterator[str]]] = [
    api_keys,
    unknown_api_keys,
    webhook_secrets,
    rolled_secrets,
    session_tokens,
    customer_page_links,
    installation_secrets,
    passwords_in_urls,
    secrets_in_bodies,
    secrets_in_addresses,
    secrets_in_headers,
]


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
    assert b"state recovered" in planted.files["log"]
