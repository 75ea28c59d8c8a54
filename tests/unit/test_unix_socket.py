"""A socket file beside the port."""

import socket
from pathlib import Path

import pytest

from meterbell.cli.unix_socket import unix_listener
from meterbell.errors import SettingsError


def test_only_its_owner_may_connect_and_it_goes_with_the_server(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with unix_listener(path) as listener:
        listener.listen()
        assert path.stat().st_mode & 0o777 == 0o600
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))

    assert not path.exists()


def test_a_file_that_a_dead_server_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))

    with unix_listener(path) as listener:
        listener.listen()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))


def test_a_living_server_keeps_its_file(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with unix_listener(path) as listener:
        listener.listen()
        with pytest.raises(SettingsError, match="another server does"), unix_listener(path):
            pass
        assert path.exists()


def test_another_file_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "notes"
    path.write_text("mine")

    with pytest.raises(SettingsError, match="no socket"), unix_listener(path):
        pass

    assert path.read_text() == "mine"


@pytest.mark.parametrize("name", ["missing/s", "x" * 200])
def test_a_path_that_can_not_be_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match="socket file"), unix_listener(tmp_path / name):
        pass
