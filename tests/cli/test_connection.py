"""Which server and key a command uses; where events are forwarded; what is kept of it."""

import json
from pathlib import Path

import pytest

from meterbell.cli.connection import Target, find_target
from meterbell.cli.forward import parse_forward_to
from meterbell.cli.keys import parse_seconds
from meterbell.cli.listen_state import ListenState, load_state, state_home
from meterbell.cli.output import CommandError
from meterbell.folder import SERVER_FILE, TEST_KEY_FILE

LOCAL = "http://127.0.0.1:5000"
KEY = "sk_test_local"


@pytest.fixture
def data(tmp_path: Path) -> str:
    """A data folder with a server and a test key."""
    (tmp_path / SERVER_FILE).write_text(json.dumps({"url": LOCAL, "pid": 1}))
    (tmp_path / TEST_KEY_FILE).write_text(f"{KEY}\n")
    return str(tmp_path)


def test_the_folders_server_and_key_are_the_default(data: str) -> None:
    assert find_target(api_key=None, api_base=None, data=data) == Target(LOCAL, KEY)


def test_options_win(data: str) -> None:
    found = find_target(api_key="sk_live_mine", api_base="https://meter.example/", data=data)

    assert found == Target("https://meter.example", "sk_live_mine")
    assert found.mode == "live"


def test_the_key_a_server_was_started_with_is_known(data: str) -> None:
    facts = {"url": LOCAL, "pid": 1, "test_key": "sk_test_given"}
    (Path(data) / SERVER_FILE).write_text(json.dumps(facts))

    assert find_target(api_key=None, api_base=None, data=data).key == "sk_test_given"


def test_the_local_key_is_never_sent_elsewhere(data: str) -> None:
    with pytest.raises(CommandError, match=r"No API key for https://meter\.example"):
        find_target(api_key=None, api_base="https://meter.example", data=data)


@pytest.mark.parametrize(
    ("api_key", "api_base", "message"),
    [("nonsense", None, "API key is not one"), (None, "meter.example", "no address")],
)
def test_what_is_no_key_or_address_is_a_mistake_of_the_command_line(
    data: str, api_key: str | None, api_base: str | None, message: str
) -> None:
    with pytest.raises(CommandError, match=message) as caught:
        find_target(api_key=api_key, api_base=api_base, data=data)

    assert caught.value.status == 2


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}'])
def test_without_a_server_the_error_says_what_to_do(tmp_path: Path, text: str) -> None:
    (tmp_path / SERVER_FILE).write_text(text)

    with pytest.raises(CommandError, match="meterbell serve"):
        find_target(api_key=None, api_base=None, data=str(tmp_path))


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("4242", "http://localhost:4242/"),
        (":4242/hook", "http://localhost:4242/hook"),
        ("4242/hook", "http://localhost:4242/hook"),
        ("localhost:4242/webhook", "http://localhost:4242/webhook"),
        ("localhost", "http://localhost/"),
        ("[::1]:80/x?a=b", "http://[::1]:80/x?a=b"),
        ("https://example.test?a=b#c", "https://example.test/?a=b"),
    ],
)
def test_a_forward_address_is_a_port_a_host_or_a_url(text: str, url: str) -> None:
    assert parse_forward_to(text) == url


@pytest.mark.parametrize("text", ["", "0", "70000", "ftp://x", "http://", "local host:1", "[::1"])
def test_what_is_no_forward_address_is_refused(text: str) -> None:
    with pytest.raises(CommandError) as caught:
        parse_forward_to(text)

    assert caught.value.status == 2


@pytest.mark.parametrize(
    ("text", "seconds"), [("0", 0), ("30m", 1800), ("24h", 86400), ("7d", 604800), ("90", 90)]
)
def test_durations(text: str, seconds: int) -> None:
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "8d", "1w", "-1", "1.5h", "٣h"])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(CommandError, match="--expire-in"):
        parse_seconds(text)


def test_a_duration_may_have_another_limit() -> None:
    assert parse_seconds("24h", hours_max=24) == 86400
    with pytest.raises(CommandError, match="up to 24 hours"):
        parse_seconds("25h", hours_max=24)


def test_a_listener_keeps_its_place(data: str) -> None:
    def load(forward_to: str, url: str = LOCAL) -> ListenState:
        environment = {"XDG_STATE_HOME": f"{data}/state"}
        return load_state(Target(url, KEY), forward_to, data=data, environment=environment)

    first = load("http://localhost:1/")
    elsewhere = load("http://localhost:1/", "https://meter.example")
    first.cursor, elsewhere.cursor, elsewhere.thin_cursor = "evt_1", "evt_2", "evt_test_3"
    for state in (first, elsewhere):
        state.save()

    assert load("http://localhost:1/") == first
    assert load("http://localhost:1/", "https://meter.example") == elsewhere
    assert load("http://localhost:2/").cursor is None
    assert first.path.is_relative_to(Path(data) / "listen")
    assert elsewhere.path.is_relative_to(Path(data) / "state" / "meterbell")
    assert {state.path.stat().st_mode & 0o777 for state in (first, elsewhere)} == {0o600}


def test_the_file_of_an_earlier_listener_is_understood(data: str) -> None:
    state = load_state(Target(LOCAL, KEY), "http://localhost:1/", data=data, environment={})
    state.save()
    for kept, cursor in (
        ({"secret": "whsec_x", "cursor": "evt_1"}, "evt_1"),
        ({"secret": "whsec_x", "cursor": ""}, "start"),
        ({"secret": "whsec_x", "cursor": None}, None),
        ([], None),
    ):
        state.path.write_text(json.dumps(kept))
        found = load_state(Target(LOCAL, KEY), "http://localhost:1/", data=data, environment={})
        assert (found.cursor, found.thin_cursor) == (cursor, None)


def test_state_follows_the_xdg_rules() -> None:
    assert state_home({"XDG_STATE_HOME": "/s", "HOME": "/h"}) == Path("/s")
    assert state_home({"XDG_STATE_HOME": "relative", "HOME": "/h"}) == Path("/h/.local/state")
