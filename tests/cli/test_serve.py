"""`meterbell serve`: first start, later starts, refusals, and an end without loss."""

import json
import re
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import msgspec
import pytest

from meterbell.cli.http_limits import HEAD_BYTES_MAX
from meterbell.cli.reference import render_reference
from meterbell.settings import Settings
from tests.cli.conftest import clean_environment, meterbell
from tests.support.server import ServerProcess
from tests.support.waiting import wait_for

STOP_SECONDS_MAX = 9  # well below the 25 seconds for which a listener may wait


@contextmanager
def started(data: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """Run `meterbell serve` without a test key, as on a first day."""
    command = [sys.executable, "-m", "meterbell", "serve", "--data", str(data), "--port", "0"]
    process = subprocess.Popen(
        [*command, *arguments],
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )

    def facts() -> dict[str, Any] | None:
        assert process.poll() is None
        try:
            found: dict[str, Any] = json.loads((data / "server.json").read_text())
        except FileNotFoundError:
            return None
        return found

    try:
        yield process, wait_for(facts, "server.json", timeout_seconds=60)
    finally:
        process.terminate()
        process.communicate(timeout=STOP_SECONDS_MAX)


def test_the_first_start_shows_keys_that_work_and_later_ones_none(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with started(data) as (process, facts):
        process.terminate()
        first, _ = process.communicate(timeout=STOP_SECONDS_MAX)
    test, live = re.findall(r"^  (?:test|live)  (\w+)$", first, re.MULTILINE)

    with started(data) as (process, facts):
        for key, livemode in ((test, False), (live, True)):
            header = {"Authorization": f"Bearer {key}"}
            request = Request(f"{facts['url']}/v1/customers", data=b"name=Ada", headers=header)
            with urlopen(request, timeout=20) as answer:
                assert json.load(answer)["livemode"] is livemode
        process.terminate()
        second, _ = process.communicate(timeout=STOP_SECONDS_MAX)

    assert process.returncode == 0
    assert "meterbell is ready at http://127.0.0.1:" in second
    assert "sk_" not in second
    assert not (data / "server.json").exists()
    assert (data / "test-key").read_text().strip() == test
    assert live not in "".join(
        path.read_bytes().decode("latin-1") for path in data.iterdir() if path.is_file()
    )
    assert data.stat().st_mode & 0o777 == 0o700
    assert {(data / name).stat().st_mode & 0o777 for name in ("test-key", "meterbell.db")} == {
        0o600
    }


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("serve") / "data") as running:
        yield running


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """Return the error of a command that failed; it is one line."""
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_a_data_folder_in_use_is_refused_in_one_line(server: ServerProcess) -> None:
    done = meterbell("serve", "--data", server.data, "--port", "0")

    assert "Another meterbell server is using the data folder" in one_line(done)
    assert json.loads((server.data / "server.json").read_text())["pid"] == server.pid


def test_a_port_in_use_is_refused_in_one_line(server: ServerProcess, tmp_path: Path) -> None:
    done = meterbell("serve", "--data", tmp_path / "other", "--port", str(server.port))

    assert f"Can't listen on 127.0.0.1:{server.port}" in one_line(done)
    assert not (tmp_path / "other").exists(), "keys are made by a server that can run"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--identifier-days", "3"], "identifier_days"),
        (["--test-key", "sk_live_x"], "--test-key must begin with sk_test_"),
        (["--log-level", "loud"], "log"),
        (["--egress-allow", "10.0.0.0/99"], "egress_allow can't be read"),
    ],
    ids=str,
)
def test_a_setting_that_is_not_acceptable_is_refused_in_one_line(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    done = meterbell("serve", "--data", tmp_path / "data", "--port", "0", *arguments)

    assert message in one_line(done)


def test_every_setting_but_the_secret_keys_has_a_flag() -> None:
    section = render_reference().partition("### meterbell demo")[0]
    flags = {f"--{field.name.replace('_', '-')}" for field in msgspec.structs.fields(Settings)}

    assert flags - set(re.findall(r"`(--[\w-]+)", section)) == {"--secret-keys"}


def test_no_server_software_is_named(server: ServerProcess) -> None:
    with urlopen(f"{server.url}/healthz", timeout=20) as answer:
        assert answer.headers["Server"] is None


def test_endless_headers_are_refused(server: ServerProcess) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nX-Long: ")
        answer = b""
        for _ in range(2 * HEAD_BYTES_MAX // 4096):
            try:
                connection.sendall(b"a" * 4096)
            except (BrokenPipeError, ConnectionResetError):
                break
        try:
            answer = connection.recv(1000)
        except ConnectionResetError:
            answer = b"HTTP/1.1 431"  # closed while more was on its way; the answer was lost

    assert answer.startswith(b"HTTP/1.1 431")


def test_a_large_body_is_no_large_header(server: ServerProcess) -> None:
    body = b"name=" + b"a" * (2 * HEAD_BYTES_MAX)
    head = b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)

    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(head + body)
        answer = connection.recv(1000)

    assert answer.startswith(b"HTTP/1.1 200")


def test_stopping_does_not_wait_for_listeners(tmp_path: Path) -> None:
    with (
        ServerProcess(tmp_path / "data") as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection,
    ):
        connection.sendall(
            b"GET /meterbell/requests/live?wait=25 HTTP/1.1\r\nHost: x\r\n"
            b"Authorization: Bearer " + server.key.encode() + b"\r\n\r\n"
        )
        # Another request on another connection shows that the first one is being worked on; one
        # that is not told to those who wait.
        assert server.is_ready()
        status = server.stop()
        answer = connection.recv(1000)

    assert status == 0
    assert answer.startswith(b"HTTP/1.1 503")


def test_a_trimmed_log_without_its_checkpoints_is_not_started(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with ServerProcess(data, arguments=["--retention-days", "35"]) as server:
        server.stop()
    fact = {"dropped": {"before": 500, "sequence": 900, "received_before_ms": 1767225600000}}
    with closing(sqlite3.connect(data / "meterbell.db")) as connection, connection:
        connection.execute("INSERT INTO meta VALUES ('retention', ?)", (json.dumps(fact),))

    with pytest.raises(AssertionError, match=r"the server ended with status [1-9]"):
        server.start()

    assert "received before 2026-01-01 were dropped" in server.output
    assert "Restore the data folder from a backup" in server.output
    assert "Traceback" not in server.output
