"""`meterbell keys`: create, list, roll, revoke. Works on the data folder, server running or not."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from meterbell.cli.connection import DATA_DEFAULT, DataOption, JsonOption
from meterbell.cli.folder import read_test_key, replace_test_key
from meterbell.cli.output import (
    EXIT_USAGE,
    CommandError,
    examples,
    print_json,
    print_table,
    print_text,
    reported,
    show_time,
)
from meterbell.clock import SystemClock
from meterbell.ids import RandomIds
from meterbell.keys import digest_of

if TYPE_CHECKING:
    from meterbell.records import ApiKey

app = typer.Typer(
    help="Create, list, roll and revoke API keys in a data folder.", no_args_is_help=True
)

DATABASE_NAME = "meterbell.db"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
KEPT = "[dim]Keep it now: it is not shown again.[/]"

KeyArgument = Annotated[
    str, typer.Argument(metavar="KEY", help="The key's id, or its last four characters.")
]


@app.command(
    epilog=examples(
        "meterbell keys create --name laptop",
        "meterbell keys create --mode live --permission ingest --name collector",
    )
)
def create(
    *,
    mode: Annotated[Literal["test", "live"], typer.Option(help="Mode the key is for.")] = "test",
    permission: Annotated[
        Literal["all", "read", "ingest"],
        typer.Option(help="Everything, retrieve and list only, or report usage only."),
    ] = "all",
    name: Annotated[str, typer.Option(help="What the key is for.")] = "",
    data: DataOption = DATA_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Create a key and show it, this once."""
    with reported():
        from meterbell.cli.database import create_key, open_objects  # noqa: PLC0415

        with open_objects(Path(data) / DATABASE_NAME) as objects:
            made = create_key(
                objects,
                SystemClock(),
                RandomIds(),
                livemode=mode == "live",
                permission=permission,
                name=name,
            )
        if as_json:
            print_json(_show(made.record, made.text))
        else:
            print_text(f"{made.text}\n{KEPT}")


@app.command("list", epilog=examples("meterbell keys list", "meterbell keys list --json"))
def list_keys(*, data: DataOption = DATA_DEFAULT, as_json: JsonOption = False) -> None:
    """List keys: what they may do, their last characters, whether they work."""
    with reported():
        from meterbell.cli.database import open_objects  # noqa: PLC0415
        from meterbell.records import ApiKey  # noqa: PLC0415

        with open_objects(Path(data) / DATABASE_NAME) as objects:
            shown = [_show(key) for key in objects.find(ApiKey)]
        if as_json:
            print_json(shown)
            return
        print_table(
            ("id", "mode", "permission", "ends in", "status", "created (UTC)", "name"),
            (
                (
                    key["id"],
                    key["mode"],
                    key["permission"],
                    key["last4"],
                    key["status"],
                    show_time(key["created"]),
                    key["name"],
                )
                for key in shown
            ),
            empty="No keys yet. `meterbell keys create` makes one.",
        )


@app.command(
    epilog=examples(
        "meterbell keys roll mk_4sUqcz0N", "meterbell keys roll Ab3d --expire-in 0   # at once"
    )
)
def roll(
    key: KeyArgument,
    *,
    expire_in: Annotated[
        str, typer.Option(help="How long the old key goes on working: 0, 30m, 24h, 7d.")
    ] = "24h",
    data: DataOption = DATA_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Replace a key: make one like it, and give the old one an end."""
    with reported():
        from meterbell.cli.database import (  # noqa: PLC0415
            change_key,
            create_key,
            find_key,
            key_status,
            open_objects,
        )

        clock = SystemClock()
        now = clock.now_ms() // 1000
        ends_at = now + parse_seconds(expire_in)
        with open_objects(Path(data) / DATABASE_NAME) as objects:
            old = find_key(objects, key)
            status = key_status(old, now)
            if status != "active":
                raise CommandError(
                    f"Key {old.id} is {status}, so it can't be rolled. `meterbell keys create` "
                    "makes a new one."
                )
            made = create_key(
                objects,
                clock,
                RandomIds(),
                livemode=old.livemode,
                permission=old.permission,
                name=old.name,
            )
            change_key(objects, old, expires_at=ends_at)
        _follow(Path(data), old, made.text)
        if as_json:
            print_json(_show(made.record, made.text))
        else:
            end = f"{show_time(ends_at)} UTC" if ends_at > now else "now"
            print_text(f"{made.text}\n{KEPT}\nThe old one, {old.id}, ends {end}.")


@app.command(epilog=examples("meterbell keys revoke mk_4sUqcz0N"))
def revoke(
    key: KeyArgument,
    *,
    data: DataOption = DATA_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """End a key now; a running server refuses it within a second."""
    with reported():
        from meterbell.cli.database import change_key, find_key, open_objects  # noqa: PLC0415

        with open_objects(Path(data) / DATABASE_NAME) as objects:
            found = find_key(objects, key)
            if found.revoked_at is None:
                found = change_key(objects, found, revoked_at=SystemClock().now_ms() // 1000)
        _follow(Path(data), found, None)
        if as_json:
            print_json(_show(found))
        else:
            print_text(f"Revoked {found.id} (…{found.last4}).")


def parse_seconds(text: str, *, hours_max: int = 7 * 24) -> int:
    """Return a duration such as `24h` in seconds.

    Raises:
        CommandError: `text` is not such a duration.
    """
    match = re.fullmatch(r"([0-9]{1,6})([smhd]?)", text, re.ASCII)
    seconds = int(match[1]) * _UNITS[match[2] or "s"] if match else None
    if seconds is None or seconds > hours_max * _UNITS["h"]:
        raise CommandError(
            f"--expire-in {text} is no duration up to {hours_max} hours. Give a number with s, m, "
            "h or d, such as 0, 30m or 24h.",
            status=EXIT_USAGE,
        )
    return seconds


def _show(key: "ApiKey", text: str | None = None) -> dict[str, Any]:
    from meterbell.cli.database import key_status  # noqa: PLC0415

    shown: dict[str, Any] = {
        "id": key.id,
        "mode": "live" if key.livemode else "test",
        "permission": key.permission,
        "name": key.name,
        "last4": key.last4,
        "status": key_status(key, SystemClock().now_ms() // 1000),
        "created": key.created,
        "expires_at": key.expires_at,
    }
    return shown if text is None else {**shown, "key": text}


def _follow(folder: Path, old: "ApiKey", new: str | None) -> None:
    """Keep the local copy of the test key in step."""
    local = read_test_key(folder)
    if local is not None and digest_of(local) == old.digest:
        replace_test_key(folder, old=local, new=new)
