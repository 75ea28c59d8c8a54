"""`meterbell dashboard`: users and links, and that they work on the running server."""

import json
import re
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from typer.testing import CliRunner

from meterbell.cli.main import app
from tests.cli.conftest import Run, clean_environment
from tests.support.server import ServerProcess

PASSWORD = "correct horse battery"


def test_users_are_added_listed_changed_and_removed(run: Run, server: ServerProcess) -> None:
    environment = {**clean_environment(), "METERBELL_DATA": str(server.data)}
    words = ["dashboard", "user", "add", "Ada", "--role", "editor", "--password-stdin"]
    added = CliRunner().invoke(app, words, env=environment, input=f"{PASSWORD}\n")
    assert (added.exit_code, added.stdout) == (0, "Added ada, editor.\n")
    assert run("dashboard", "user", "add", "screen", "--no-password").returncode == 0
    assert run("dashboard", "user", "role", "screen", "admin").stdout == "screen is admin now.\n"

    shown = json.loads(run("dashboard", "user", "list", "--json").stdout)
    by_name = {user["name"]: (user["role"], user["signs_in_by"]) for user in shown}
    assert by_name["ada"] == ("editor", "password or link")
    assert by_name["screen"] == ("admin", "link")
    assert "password" in run("dashboard", "user", "list").stdout

    words = ["dashboard", "user", "passwd", "ada", "--password-stdin"]
    changed = CliRunner().invoke(app, words, env=environment, input="another long one\n")
    assert changed.stdout == "Changed the password of ada.\n"
    for name in ("ada", "screen"):
        assert run("dashboard", "user", "remove", name).stdout == f"Removed {name}.\n"


def test_a_short_password_is_refused_with_its_reason(run: Run, server: ServerProcess) -> None:
    environment = {**clean_environment(), "METERBELL_DATA": str(server.data)}
    words = ["dashboard", "user", "add", "bob", "--password-stdin"]
    refused = CliRunner().invoke(app, words, env=environment, input="short\n")
    assert refused.exit_code == 1
    assert "12 to 1024 characters" in refused.stderr
    assert "bob" not in run("dashboard", "user", "list").stdout


def test_a_name_that_is_not_there_is_told(run: Run) -> None:
    for words in (("link", "nobody"), ("user", "remove", "nobody")):
        refused = run("dashboard", *words)
        assert refused.returncode == 1
        assert "There is no user nobody." in refused.stderr


def test_the_first_start_prints_a_link_that_opens(server: ServerProcess) -> None:
    match = re.search(r"http://\S+/dashboard/sign-in/link\?token=\w+", server.output)
    assert match is not None
    with urlopen(match[0]) as page:
        assert page.status == 200
        assert b"data-submit" in page.read()


def test_a_link_is_printed_whenever_one_asks(run: Run, server: ServerProcess) -> None:
    printed = run("dashboard", "link")
    assert printed.stdout.startswith(f"{server.url}/dashboard/sign-in/link?token=")
    made = json.loads(run("dashboard", "link", "admin", "--expire-in", "1h", "--json").stdout)
    assert set(made) == {"url", "expires_at"}


def test_a_browser_at_the_root_is_led_to_the_dashboard(server: ServerProcess) -> None:
    with urlopen(Request(f"{server.url}/", headers={"Accept": "text/html"})) as page:
        assert page.url == f"{server.url}/dashboard/sign-in?next=%2Fdashboard%2Fhome"
        assert b"Sign in to meterbell" in page.read()


def test_a_program_at_the_root_is_answered_as_before(server: ServerProcess) -> None:
    with pytest.raises(HTTPError) as caught:
        urlopen(f"{server.url}/")
    assert caught.value.code == 404
    caught.value.close()
