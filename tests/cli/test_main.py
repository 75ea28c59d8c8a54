"""The command tree: help, version, colors, exit statuses, a page that shows every command."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from meterbell import __version__
from meterbell.cli.main import app
from meterbell.cli.reference import START, find_commands, render_reference
from tests.cli.conftest import meterbell
from tests.support.tree import ROOT

COMMANDS = [command.path for command in find_commands()]
SLOW = ("aiohttp", "alembic", "apsw", "numpy", "sqlalchemy", "starlette", "stripe", "uvicorn")


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_has_help_with_examples(path: str) -> None:
    words = path.split()[1:]

    shown = CliRunner().invoke(app, [*words, "--help"])

    assert shown.exit_code == 0
    assert "Examples" in shown.output
    assert path in shown.output.partition("Examples")[2]


def test_help_comes_at_once() -> None:
    code = "import sys, json, meterbell.cli.main; print(json.dumps(list(sys.modules)))"

    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert [name for name in json.loads(done.stdout) if name in SLOW] == []


def test_the_version() -> None:
    done = meterbell("--version")

    assert (done.returncode, done.stdout) == (0, f"meterbell {__version__}\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["keys", "create", "--mode", "prod"],
        ["meters", "create"],
        ["send"],
        ["send", "--event-name", "r", "--payload", "x"],
        ["send", "--event-name", "r", "--timestamp", "x"],
        ["send", "usage.csv", "--value", "5"],
        ["trigger", "nonsense"],
        ["listen", "--forward-to", "nonsense://"],
    ],
    ids=str,
)
def test_a_wrong_command_line_ends_with_2(arguments: list[str]) -> None:
    done = CliRunner().invoke(app, [*arguments])

    assert done.exit_code == 2
    assert done.stderr


def test_the_page_holds_the_reference_as_it_is() -> None:
    page = (ROOT / "docs" / "cli.md").read_text()

    written = page.partition(START)[2].strip()

    assert written == render_reference().strip(), "python -m meterbell.cli.reference docs/cli.md"


def test_no_color_may_stand_anywhere() -> None:
    plain = meterbell(
        "keys", "list", "--no-color", "--data", "missing", NO_COLOR="", FORCE_COLOR="1"
    )

    assert plain.returncode == 1
    assert "\x1b[31m" not in plain.stderr
    assert "\x1b[1;31m" not in plain.stderr
