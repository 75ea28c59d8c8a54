"""Where `meterbell listen` stopped, so that it goes on there."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from meterbell.cli.connection import Target
from meterbell.folder import read_server, write_private

_START = "start"


@dataclass
class ListenState:
    """One listener's file.

    Attributes:
        path: The file, which only its owner can read.
        cursor: Id of the last event that was forwarded; `start` for the very beginning, None for a
            listener that never ran.
        thin_cursor: The same for thin events.
    """

    path: Path
    cursor: str | None = None
    thin_cursor: str | None = None

    def save(self) -> None:
        """Write the file, whole or not at all."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        cursors = {"cursor": self.cursor, "thin_cursor": self.thin_cursor}
        write_private(self.path, json.dumps(cursors))


def load_state(
    target: Target, forward_to: str, *, data: str, environment: Mapping[str, str]
) -> ListenState:
    """Return the state of the listener for one server, mode and forward address.

    For the server running on the data folder it is kept there, whatever its port is; it goes when
    the data goes. For any other it is kept under `$XDG_STATE_HOME/meterbell`.
    """
    facts = read_server(Path(data))
    is_local = facts is not None and str(facts["url"]).rstrip("/") == target.url
    if is_local:
        folder, server = Path(data) / "listen", "local"
    else:
        folder, server = state_home(environment) / "meterbell" / "listen", target.url
    name = hashlib.sha256(f"{server}\n{target.mode}\n{forward_to}".encode()).hexdigest()[:24]
    state = ListenState(folder / f"{name}.json")
    try:
        kept = json.loads(state.path.read_text())
        cursors = [kept.get(name) for name in ("cursor", "thin_cursor")]
    except (OSError, ValueError, AttributeError):
        return state
    state.cursor, state.thin_cursor = (
        # An empty one was written by earlier versions.
        (cursor or _START) if isinstance(cursor, str) else None
        for cursor in cursors
    )
    return state


def state_home(environment: Mapping[str, str]) -> Path:
    """Return the folder for state that should outlive a process, by the XDG rules."""
    given = environment.get("XDG_STATE_HOME", "")
    if given.startswith("/"):
        return Path(given)
    return Path(environment.get("HOME") or "~").expanduser() / ".local" / "state"
