"""Where `meterbell listen` stopped, so that it goes on there, and the secret it signs with."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from meterbell.cli.connection import Target
from meterbell.cli.folder import read_server, write_private
from meterbell.ids import IdSource

_SECRET_LENGTH = 43


@dataclass
class ListenState:
    """One listener's file.

    Attributes:
        path: The file, which only its owner can read.
        secret: What forwarded events are signed with; stays the same.
        cursor: Id of the last event that was forwarded; empty for the very beginning, None for a
            listener that never ran.
    """

    path: Path
    secret: str
    cursor: str | None

    def save(self) -> None:
        """Write the file, whole or not at all."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(self.path, json.dumps({"secret": self.secret, "cursor": self.cursor}))


def load_state(
    target: Target,
    forward_to: str,
    *,
    data: str,
    environment: Mapping[str, str],
    ids: IdSource,
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
    path = folder / f"{name}.json"
    try:
        kept = json.loads(path.read_text())
        return ListenState(path, str(kept["secret"]), kept["cursor"])
    except (OSError, ValueError, KeyError, TypeError):
        state = ListenState(path, f"whsec_{ids.token(_SECRET_LENGTH)}", None)
        state.save()
        return state


def state_home(environment: Mapping[str, str]) -> Path:
    """Return the folder for state that should outlive a process, by the XDG rules."""
    given = environment.get("XDG_STATE_HOME", "")
    if given.startswith("/"):
        return Path(given)
    return Path(environment.get("HOME") or "~").expanduser() / ".local" / "state"
