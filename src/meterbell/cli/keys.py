"""`meterbell keys`: create, list, roll, revoke. Works on the data folder, server running or not."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from meterbell.cli.folder import create_key, open_objects
from meterbell.cli.output import console, fail, print_json
from meterbell.clock import SystemClock
from meterbell.errors import SettingsError
from meterbell.ids import RandomIds
from meterbell.records import ApiKey, Permission
from meterbell.settings import Settings
from meterbell.store import tables
from meterbell.store.objects import Objects

app = typer.Typer(help="Create, list, roll and revoke API keys.", no_args_is_help=True)

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_EXPIRE_MAX = 7 * 86400
_columns = tables.api_key.c

DataOption = Annotated[str, typer.Option(help="The server's data folder.", envvar="METERBELL_DATA")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_DATA = Settings().data


def _status(key: ApiKey, now: int) -> str:
    if key.revoked_at is not None:
        return "revoked"
    if key.expires_at is not None:
        return "expired" if key.expires_at <= now else "expiring"
    return "active"


def _show(key: ApiKey, now: int, text: str | None = None) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": key.id,
        "mode": "live" if key.livemode else "test",
        "permission": key.permission,
        "name": key.name,
        "last4": key.last4,
        "status": _status(key, now),
        "created": key.created,
        "expires_at": key.expires_at,
    }
    return shown if text is None else {**shown, "key": text}


def _find(objects: Objects, key_id: str) -> ApiKey:
    """Return a key by its id, or by its last four characters if they name one."""
    found = objects.find(ApiKey, (_columns.id == key_id) | (_columns.last4 == key_id))
    if len(found) != 1:
        raise SettingsError(f"No single key is called {key_id}. `meterbell keys list` shows all.")
    return found[0]


def _require_active(key: ApiKey, now: int) -> None:
    if _status(key, now) != "active":
        raise SettingsError(f"Key {key.id} is {_status(key, now)}; create a new one.")


@app.command(epilog="Example: meterbell keys create --live --permission ingest --name collector")
def create(
    *,
    data: DataOption = _DATA,
    live: Annotated[bool, typer.Option("--live", help="For live mode.")] = False,
    permission: Annotated[
        str, typer.Option(help="all, read (retrieve and list) or ingest (report usage).")
    ] = "all",
    name: Annotated[str, typer.Option(help="What it is for.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Create a key and show it, this once."""
    if permission not in ("all", "read", "ingest"):
        fail("--permission is all, read or ingest.", status=2)
    granted: Permission = permission  # type: ignore[assignment]
    try:
        with open_objects(Path(data) / Settings().database.name) as objects:
            made = create_key(
                objects, SystemClock(), RandomIds(), livemode=live, permission=granted, name=name
            )
    except SettingsError as error:
        fail(str(error))
    if as_json:
        print_json(_show(made.record, made.record.created, made.text))
    else:
        console.print(f"{made.text}", soft_wrap=True)
        console.print("[dim]Keep it now: it is not shown again.[/]")


@app.command("list", epilog="Example: meterbell keys list --json")
def list_keys(*, data: DataOption = _DATA, as_json: JsonOption = False) -> None:
    """List keys: what they may do, how they end, whether they work."""
    now = SystemClock().now_ms() // 1000
    try:
        with open_objects(Path(data) / Settings().database.name) as objects:
            keys = objects.find(ApiKey)
    except SettingsError as error:
        fail(str(error))
    if as_json:
        print_json([_show(key, now) for key in keys])
        return
    table = Table("id", "mode", "permission", "ends in", "status", "created", "name", box=None)
    for key in keys:
        created = datetime.fromtimestamp(key.created, UTC).strftime("%Y-%m-%d %H:%M")
        mode = "[bold red]live[/]" if key.livemode else "test"
        status = _status(key, now)
        table.add_row(key.id, mode, key.permission, key.last4, status, created, key.name)
    console.print(table)


@app.command(epilog="Example: meterbell keys roll mk_… --expire-in 24h")
def roll(
    key_id: Annotated[str, typer.Argument(help="The key's id, or its last four characters.")],
    *,
    data: DataOption = _DATA,
    expire_in: Annotated[
        str, typer.Option(help="How long the old key goes on working: 0, 30m, 24h, 7d.")
    ] = "24h",
    as_json: JsonOption = False,
) -> None:
    """Replace a key: a new one like it, and an end for the old one."""
    clock = SystemClock()
    now = clock.now_ms() // 1000
    seconds = _seconds(expire_in)
    try:
        with open_objects(Path(data) / Settings().database.name) as objects:
            old = _find(objects, key_id)
            _require_active(old, now)
            made = create_key(
                objects,
                clock,
                RandomIds(),
                livemode=old.livemode,
                permission=old.permission,
                name=old.name,
            )
            objects.update(ApiKey, _columns.id == old.id, expires_at=now + seconds)
    except SettingsError as error:
        fail(str(error))
    if as_json:
        print_json(_show(made.record, now, made.text))
    else:
        console.print(made.text, soft_wrap=True)
        console.print(
            f"[dim]Keep it now: it is not shown again. The old one ends in {expire_in}.[/]"
        )


@app.command(epilog="Example: meterbell keys revoke mk_…")
def revoke(
    key_id: Annotated[str, typer.Argument(help="The key's id, or its last four characters.")],
    *,
    data: DataOption = _DATA,
    as_json: JsonOption = False,
) -> None:
    """End a key now; a running server refuses it within a second."""
    now = SystemClock().now_ms() // 1000
    try:
        with open_objects(Path(data) / Settings().database.name) as objects:
            key = _find(objects, key_id)
            objects.update(ApiKey, _columns.id == key.id, revoked_at=now)
            after = objects.find(ApiKey, _columns.id == key.id)[0]
    except SettingsError as error:
        fail(str(error))
    if as_json:
        print_json(_show(after, now))
    else:
        console.print(f"Revoked {key.id} (…{key.last4}).")


def _seconds(text: str) -> int:
    """Return a duration such as `24h` in seconds."""
    match = re.fullmatch(r"([0-9]{1,6})([smhd]?)", text)
    seconds = int(match[1]) * _UNITS[match[2] or "s"] if match else _EXPIRE_MAX + 1
    if seconds > _EXPIRE_MAX:
        fail("--expire-in is a number with s, m, h or d, at most 7d: 0, 30m, 24h.", status=2)
    return seconds
