"""Whatever a client sends, the server answers 2xx or 4xx with a body that helps: never 5xx.

Schemathesis reads `/openapi.json` and sends what it describes, and what it does not.
"""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.server import ServerProcess

EXAMPLES = 20
EXAMPLES_DEEP = 1000
REQUESTS_MIN = 2000
CHECKS = "not_a_server_error,content_type_conformance,response_headers_conformance"
# In v2 answers are also held against their schemas: errors have a code and a message, and no more
# types than are declared.
CHECKS_V2 = f"{CHECKS},response_schema_conformance,status_code_conformance"
STREAM = "/v2/billing/meter_event_stream"


def fuzz(
    tmp_path: Path, *, examples: int, seed: int, checks: str = CHECKS, paths: Sequence[str] = ()
) -> int:
    """Run schemathesis against a fresh server; return how many requests it sent.

    Args:
        tmp_path: Where the server keeps its data.
        examples: For each route.
        seed: Repeats a run.
        checks: What each answer is held against.
        paths: Arguments that choose routes; the stream is sent with the token of a session.
    """
    with ServerProcess(tmp_path / "data") as server:
        bearer = server.key
        if STREAM in paths:
            bearer = server.client.v2.billing.meter_event_session.create().authentication_token
        command = [sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json"]
        command += ["--header", f"Authorization: Bearer {bearer}", "--checks", checks, *paths]
        command += ["--max-examples", str(examples), "--seed", str(seed), "--no-color"]
        command += ["--mode", "all", "--phases", "examples,coverage,fuzzing"]
        # Whoever asks for new requests may ask to wait a minute for one.
        command += ["--request-timeout", "90"]
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
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert " 500 " not in server.output
    generated = re.search(r"([0-9]+) generated", finished.stdout)
    assert generated is not None, finished.stdout
    return int(generated[1])


def test_fuzzing_finds_no_server_error(tmp_path: Path) -> None:
    v1 = ("--exclude-path-regex", "^/v2/")
    assert fuzz(tmp_path, examples=EXAMPLES, seed=1, paths=v1) >= REQUESTS_MIN


def test_v2_answers_are_as_declared(tmp_path: Path) -> None:
    others = ("--include-path-regex", "^/v2/", "--exclude-path", STREAM)
    assert fuzz(tmp_path, examples=EXAMPLES, seed=3, checks=CHECKS_V2, paths=others) >= 500


def test_stream_answers_are_as_declared(tmp_path: Path) -> None:
    stream = ("--include-path", STREAM)
    assert fuzz(tmp_path, examples=5 * EXAMPLES, seed=4, checks=CHECKS_V2, paths=stream) >= 100


@pytest.mark.deep
def test_long_fuzzing_finds_no_server_error(tmp_path: Path) -> None:
    fuzz(tmp_path, examples=EXAMPLES_DEEP, seed=2)
