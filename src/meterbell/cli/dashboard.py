"""`meterbell dashboard`: who may sign in, and links that sign in once. Works on the data folder."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.markup import escape

from meterbell.cli.connection import DATA_DEFAULT, DataOption, JsonOption
from meterbell.cli.keys import parse_seconds
from meterbell.cli.output import (
    CommandError,
    examples,
    print_json,
    print_table,
    print_text,
    reported,
    show_time,
)
from meterbell.folder import read_server

if TYPE_CHECKING:
    from meterbell.cli.database import AtDatabase
    from meterbell.records import DashboardUser

app = typer.Typer(help="Let people into the dashboard.", no_args_is_help=True)
users = typer.Typer(help="Add, list, change and remove users.", no_args_is_help=True)
app.add_typer(users, name="user")

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The user's name.")]
RoleOption = Annotated[
    Literal["viewer", "editor", "admin"],
    typer.Option(help="See everything, change alerts and meters too, or also the audit log."),
]
PasswordStdinOption = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input.")
]


@app.command(
    epilog=examples("meterbell dashboard link", "meterbell dashboard link ada --expire-in 24h")
)
def link(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="The user. Default: admin.")
    ] = None,
    *,
    expire_in: Annotated[str, typer.Option(help="How long the link works: 15m, 24h, 7d.")] = "15m",
    data: DataOption = DATA_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Print a link that signs in once. Without users, it makes the first one, `admin`."""
    with reported(), _visitor(data) as visitor:
        lives_seconds = parse_seconds(expire_in)
        server = read_server(Path(data))
        if server is None:
            raise CommandError(
                f"No server is running on {data}, so there is no address to link to. Start it with "
                "`meterbell serve`."
            )
        base = server.get("public_url", server["url"])
        url = make_link(visitor, base, name, lives_seconds=lives_seconds)
        if as_json:
            print_json({"url": url, "expires_at": visitor.now_ms // 1000 + lives_seconds})
        else:
            print_text(f"{url}\n[dim]It signs in once, within {escape(expire_in)}.[/]")


@users.command(
    epilog=examples(
        "meterbell dashboard user add ada --role editor",
        "meterbell dashboard user add wall-screen --role viewer --no-password",
    )
)
def add(
    name: NameArgument,
    *,
    role: RoleOption = "viewer",
    no_password: Annotated[
        bool, typer.Option("--no-password", help="Let the user in by links only.")
    ] = False,
    password_stdin: PasswordStdinOption = False,
    data: DataOption = DATA_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Add a user; asks for the password."""
    with reported():
        from meterbell.dashboard import accounts  # noqa: PLC0415

        password = None if no_password else _password(from_stdin=password_stdin)
        with _visitor(data) as visitor:
            user = accounts.add_user(visitor, name, role=role, password=password)
            _note(visitor, "user.add", user, role=role)
        if as_json:
            print_json(_show(user))
        else:
            print_text(f"Added {escape(user.name)}, {user.role}.")


@users.command("list", epilog=examples("meterbell dashboard user list"))
def list_users(*, data: DataOption = DATA_DEFAULT, as_json: JsonOption = False) -> None:
    """List users: what they may do, and how they sign in."""
    with reported():
        from meterbell.records import DashboardUser  # noqa: PLC0415

        with _visitor(data) as visitor:
            shown = [_show(user) for user in visitor.objects.find(DashboardUser)]
        if as_json:
            print_json(shown)
            return
        print_table(
            ("name", "role", "signs in by", "created (UTC)"),
            (
                (user["name"], user["role"], user["signs_in_by"], show_time(user["created"]))
                for user in shown
            ),
            empty="No users yet. `meterbell dashboard user add` adds one.",
        )


@users.command(epilog=examples("meterbell dashboard user role ada admin"))
def role(
    name: NameArgument,
    role: Annotated[
        Literal["viewer", "editor", "admin"], typer.Argument(help="What the user may do.")
    ],
    *,
    data: DataOption = DATA_DEFAULT,
) -> None:
    """Change what a user may do, from the next page on."""
    with reported():
        from meterbell.records import DashboardUser  # noqa: PLC0415
        from meterbell.store.dashboard_tables import dashboard_user  # noqa: PLC0415

        with _visitor(data) as visitor:
            user = _find(visitor, name)
            visitor.objects.update(DashboardUser, dashboard_user.c.id == user.id, role=role)
            _note(visitor, "user.role", user, role=role)
        print_text(f"{escape(user.name)} is {role} now.")


@users.command(epilog=examples("meterbell dashboard user passwd ada"))
def passwd(
    name: NameArgument,
    *,
    password_stdin: PasswordStdinOption = False,
    data: DataOption = DATA_DEFAULT,
) -> None:
    """Change a user's password, and sign the user out everywhere."""
    with reported():
        from meterbell.dashboard import accounts  # noqa: PLC0415

        password = _password(from_stdin=password_stdin)
        with _visitor(data) as visitor:
            user = _find(visitor, name)
            accounts.set_password(visitor, user, password)
            _note(visitor, "user.password", user)
        print_text(f"Changed the password of {escape(user.name)}.")


@users.command(epilog=examples("meterbell dashboard user remove ada"))
def remove(name: NameArgument, *, data: DataOption = DATA_DEFAULT) -> None:
    """Remove a user, and sign the user out everywhere."""
    with reported():
        from meterbell.dashboard import accounts  # noqa: PLC0415

        with _visitor(data) as visitor:
            user = _find(visitor, name)
            accounts.remove_user(visitor, user)
            _note(visitor, "user.remove", user)
        print_text(f"Removed {escape(user.name)}.")


def make_link(visitor: "AtDatabase", url: str, name: str | None, *, lives_seconds: int) -> str:
    """Return the address that signs a user in once; the first user is made if there is none."""
    from meterbell.dashboard import accounts  # noqa: PLC0415
    from meterbell.records import DashboardUser  # noqa: PLC0415

    if name is None and not visitor.objects.count(DashboardUser):
        user = accounts.add_user(visitor, accounts.FIRST_USER, role="admin", password=None)
        _note(visitor, "user.add", user, role="admin")
    else:
        user = _find(visitor, name or accounts.FIRST_USER)
    token = accounts.add_link(visitor, user, lives_ms=lives_seconds * 1000)
    _note(visitor, "link.add", user)
    return f"{url}/dashboard/sign-in/link?token={token}"


def _visitor(data: str) -> AbstractContextManager["AtDatabase"]:
    from meterbell.cli.database import at_database  # noqa: PLC0415

    return at_database(Path(data))


def _find(visitor: "AtDatabase", name: str) -> "DashboardUser":
    from meterbell.dashboard import accounts  # noqa: PLC0415

    user = accounts.find_user(visitor.objects, name)
    if user is None:
        raise CommandError(
            f"There is no user {name}. `meterbell dashboard user list` shows all of them."
        )
    return user


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        return typer.get_text_stream("stdin").readline().rstrip("\r\n")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))


def _note(visitor: "AtDatabase", action: str, user: "DashboardUser", **details: str) -> None:
    from meterbell.dashboard import accounts  # noqa: PLC0415

    accounts.note(
        visitor,
        actor=accounts.COMMAND_LINE,
        action=action,
        address=accounts.COMMAND_LINE,
        object_id=user.id,
        name=user.name,
        **details,
    )


def _show(user: "DashboardUser") -> dict[str, Any]:
    return {
        "id": user.id,
        "name": user.name,
        "role": user.role,
        "signs_in_by": "link" if user.password is None else "password or link",
        "created": user.created,
    }
