"""`meterbell keys`: create, list, roll, revoke. Works on the data folder, server running or not."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from meterbell.cli.connection import DATA_DEFAULT, DataOption, JsonOption
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

if TYPE_CHECKING:
    from meterbell.records import ApiKey

app = typer.Typer(
    help="Create, list, roll and revoke API keys in a data folder.", no_args_is_help=True
)

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
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
        from meterbell.api.stored_keys import create_key  # noqa: PLC0415
        from meterbell.cli.database import at_database  # noqa: PLC0415

        with at_database(Path(data)) as moment:
            made = create_key(moment, livemode=mode == "live", permission=permission, name=name)
        if as_json:
            print_json(_show(made.record, made.text))
        else:
            print_text(f"{made.text}\n{KEPT}")


@app.command("list", epilog=examples("meterbell keys list", "meterbell keys list --json"))
def list_keys(*, data: DataOption = DATA_DEFAULT, as_json: JsonOption = False) -> None:
    """List keys: what they may do, their last characters, whether they work."""
    with reported():
        from meterbell.cli.database import at_database  # noqa: PLC0415
        from meterbell.records import ApiKey  # noqa: PLC0415

        with at_database(Path(data)) as moment:
            shown = [_show(key) for key in moment.objects.find(ApiKey)]
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
        from meterbell.api.stored_keys import follow_key, roll_key  # noqa: PLC0415
        from meterbell.cli.database import at_database, find_key  # noqa: PLC0415

        seconds = parse_seconds(expire_in)
        with at_database(Path(data)) as moment:
            old = find_key(moment.objects, key)
            ends_at = moment.now_ms // 1000 + seconds
            made = roll_key(moment, old, ends_at=ends_at)
        follow_key(Path(data), old, made.text)
        if as_json:
            print_json(_show(made.record, made.text))
        else:
            end = f"{show_time(ends_at)} UTC" if seconds else "now"
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
        from meterbell.api.stored_keys import follow_key, revoke_key  # noqa: PLC0415
        from meterbell.cli.database import at_database, find_key  # noqa: PLC0415

        with at_database(Path(data)) as moment:
            found = revoke_key(moment, find_key(moment.objects, key))
        follow_key(Path(data), found, None)
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
    seconds = int(match[1]) * UNITS[match[2] or "s"] if match else None
    if seconds is None or seconds > hours_max * UNITS["h"]:
        raise CommandError(
            f"--expire-in {text} is no duration up to {hours_max} hours. Give a number with s, m, "
            "h or d, such as 0, 30m or 24h.",
            status=EXIT_USAGE,
        )
    return seconds


def _show(key: "ApiKey", text: str | None = None) -> dict[str, Any]:
    from meterbell.api.stored_keys import key_status  # noqa: PLC0415

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
