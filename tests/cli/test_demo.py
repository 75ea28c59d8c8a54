"""`meterbell demo`: the whole story, all of it as expected, and nothing left behind."""

import json
from pathlib import Path

from tests.cli.conftest import meterbell


def test_a3_a4_a6_a7_the_demo_is_as_expected(tmp_path: Path) -> None:
    done = meterbell("demo", "--json", TMPDIR=str(tmp_path))

    told = json.loads(done.stdout)
    assert (done.returncode, told["ok"]) == (0, True), told
    assert [step["ok"] for step in told["steps"]] == [True] * 10
    assert "maximum of 25 alerts" in told["steps"][8]["notes"]["26th"]
    assert list(tmp_path.iterdir()) == []


def test_the_demo_tells_people_what_it_does(tmp_path: Path) -> None:
    # Settings of the environment are for the user's own server.
    done = meterbell("demo", TMPDIR=str(tmp_path), METERBELL_ALERTS_PER_SCOPE="3")

    assert done.returncode == 0
    assert done.stdout.count("✓") == 10
    assert "ms after the report was sent" in done.stdout
    assert "All as expected" in done.stdout
