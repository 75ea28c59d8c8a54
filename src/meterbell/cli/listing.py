"""What the commands that list, get and change objects share."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any
from urllib.parse import quote

import typer

from meterbell.cli.connection import Reply
from meterbell.cli.output import (
    EXIT_USAGE,
    CommandError,
    errors,
    print_raw_json,
    print_table,
    print_text,
)

LimitOption = Annotated[int, typer.Option(min=1, max=100, help="Items at most.")]
StartingAfterOption = Annotated[
    str | None, typer.Option(metavar="ID", help="Show what follows this item in the list.")
]


def page(limit: int, starting_after: str | None, **filters: object) -> dict[str, Any]:
    """Return the parameters of a list; filters that are None are left out later."""
    return {"limit": limit, "starting_after": starting_after, **filters}


def object_path(base: str, object_id: str, action: str | None = None) -> str:
    """Return the path of an object or of something done to it.

    Raises:
        CommandError: The id is empty, so that the path would be the list's.
    """
    if not object_id.strip("."):
        raise CommandError("The id is empty. Give the id that `list` shows.", status=EXIT_USAGE)
    path = f"{base}/{quote(object_id, safe='')}"
    return path if action is None else f"{path}/{action}"


def show_list(
    reply: Reply,
    columns: Sequence[str],
    row: Callable[[dict[str, Any]], Sequence[str]],
    *,
    as_json: bool,
    empty: str,
) -> None:
    """Print a list, and how to go on if there is more."""
    if as_json:
        print_raw_json(reply.body)
        return
    items = reply.data["data"]
    print_table(columns, (row(item) for item in items), empty=empty)
    if reply.data["has_more"]:
        errors.print(f"[dim]More: --starting-after {items[-1]['id']}[/]", soft_wrap=True)


def show_object(
    reply: Reply,
    columns: Sequence[str],
    row: Callable[[dict[str, Any]], Sequence[str]],
    *,
    as_json: bool,
) -> None:
    """Print one object."""
    if as_json:
        print_raw_json(reply.body)
    else:
        print_table(columns, [row(reply.data)], empty="")


def show_deleted(reply: Reply, *, as_json: bool) -> None:
    """Print that an object is no more."""
    if as_json:
        print_raw_json(reply.body)
    else:
        print_text(f"Deleted {reply.data['id']}.")


def text_or_dash(value: object) -> str:
    """Return a value as a cell of a table."""
    return "-" if value is None or value == "" else str(value)
