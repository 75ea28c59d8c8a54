"""Whatever a client sends, the server answers 2xx or 4xx with a body that helps: never 5xx.

Schemathesis reads `/openapi.json` and sends what it describes, and what it does not.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.server import ServerProcess

EXAMPLES = 40
EXAMPLES_DEEP = 1000
REQUESTS_MIN = 2000
CHECKS = "not_a_server_error,content_type_conformance,response_headers_conformance"


def fuzz(tmp_path: Path, *, examples: int, seed: int) -> int:
    """Run schemathesis against a fresh server; return how many requests it sent."""
    with ServerProcess(tmp_path / "data") as server:
        command = [sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json"]
        command += ["--header", f"Authorization: Bearer {server.key}", "--checks", CHECKS]
        command += ["--max-examples", str(examples), "--seed", str(seed), "--no-color"]
        command += ["--mode", "all", "--phases", "examples,coverage,fuzzing"]
        finished = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=3000,
            check=False,
            cwd=tmp_path,
            env={**os.environ, "HYPOTHESIS_STORAGE_DIRECTORY": str(tmp_path / "hypothesis")},
        )
        assert server.is_ready(), server.output
    assert finished.returncode == 0, finished.stdout[-6000:] + finished.stderr[-2000:]
    assert " 500 " not in server.output
    generated = re.search(r"([0-9]+) generated", finished.stdout)
    assert generated is not None, finished.stdout
    return int(generated[1])


def test_fuzzing_finds_no_server_error(tmp_path: Path) -> None:
    assert fuzz(tmp_path, examples=EXAMPLES, seed=1) >= REQUESTS_MIN


@pytest.mark.deep
def test_long_fuzzing_finds_no_server_error(tmp_path: Path) -> None:
    fuzz(tmp_path, examples=EXAMPLES_DEEP, seed=2)
