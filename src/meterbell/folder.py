"""Files in the data folder beside the database: facts about the server, the local test key."""

import json
import os
from pathlib import Path
from typing import Any

SERVER_FILE = "server.json"
TEST_KEY_FILE = "test-key"


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    draft.replace(path)


def read_server(folder: Path) -> dict[str, Any] | None:
    """Return the facts a running server wrote: `url`, `pid`, and `test_key` if it was given one."""
    try:
        facts = json.loads((folder / SERVER_FILE).read_text())
    except (OSError, ValueError):
        return None
    return facts if isinstance(facts, dict) and isinstance(facts.get("url"), str) else None


def read_test_key(folder: Path) -> str | None:
    """Return the test key that the first start left for local commands."""
    try:
        return (folder / TEST_KEY_FILE).read_text().strip() or None
    except OSError:
        return None


def keep_test_key(folder: Path, key: str | None) -> None:
    """Keep another local test key, or none."""
    if key is None:
        (folder / TEST_KEY_FILE).unlink(missing_ok=True)
    else:
        write_private(folder / TEST_KEY_FILE, key + "\n")
