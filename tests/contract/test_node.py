"""The story once more with the unmodified `stripe` package for Node.js."""

import json
import shutil
import subprocess
from pathlib import Path

from tests.support.receiver import WebhookReceiver
from tests.support.server import ServerProcess

FOLDER = Path(__file__).parent / "node"


def test_a3_the_story_with_the_node_sdk(tmp_path: Path) -> None:
    node = shutil.which("node")
    assert node is not None, "Node.js is missing: install Node.js 20 or later with npm"
    installed = FOLDER / "node_modules" / "stripe"
    assert installed.exists(), "run `make test`, which installs the Node SDK with npm"
    with WebhookReceiver() as receiver, ServerProcess(tmp_path / "data") as server:
        finished = subprocess.run(
            [node, str(FOLDER / "story.mjs"), server.url, server.key, str(receiver.url)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert finished.returncode == 0, finished.stderr + finished.stdout + server.output
        told = json.loads(finished.stdout)
        bodies = [json.loads(received.body)["id"] for received in receiver.received]

    assert told["value"] == 100
    assert "maximum of 25 alerts" in told["refused"]
    assert told["duplicate"] == "An event already exists with identifier same."
    assert bodies == [told["event"]]
