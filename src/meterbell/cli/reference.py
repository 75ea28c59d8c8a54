"""The reference of all commands, for docs/cli.md: `python -m meterbell.cli.reference` writes it."""

import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

import typer
from rich.text import Text
from typer.models import ArgumentInfo, OptionInfo

from meterbell.cli.main import app

START = "<!-- reference: written by python -m meterbell.cli.reference docs/cli.md -->\n"


_SHARED = ("api_key", "api_base", "data", "as_json")
_SHARED_NAMES = "`--api-key`, `--api-base`, `--data`, `--json`"


class Command(NamedTuple):
    """A command that does something, with the words that call it."""

    path: str
    run: Callable[..., Any]
    examples: str


def find_commands(tree: typer.Typer = app, path: str = "meterbell") -> Iterator[Command]:
    """Yield every command, in the order of the help."""
    for info in tree.registered_commands:
        assert info.callback is not None, "a command without a function does nothing"
        name = info.name or info.callback.__name__
        yield Command(f"{path} {name}", info.callback, _plain(info.epilog))
    for group in tree.registered_groups:
        assert group.typer_instance is not None, "a group has commands"
        yield from find_commands(group.typer_instance, f"{path} {group.name}")


def render_reference() -> str:
    """Return a section for each command: what it does, its arguments and options, examples."""
    return "\n".join(_section(command) for command in find_commands())


def _section(command: Command) -> str:
    lines = [f"### {command.path}", "", inspect.getdoc(command.run) or ""]
    lines += ["", "| option | meaning |", "|---|---|"]
    parameters = inspect.signature(command.run, eval_str=True).parameters
    is_client = "api_key" in parameters
    for name, parameter in parameters.items():
        if not (is_client and name in _SHARED):
            kind, info = get_args(parameter.annotation)
            lines.append(f"| {_names(name, kind, info)} | {_meaning(info, parameter.default)} |")
    if is_client:
        lines.append(f"| {_SHARED_NAMES} | [Server and key](#server-and-key). |")
    copied = command.examples.removeprefix("Examples")
    lines += ["", "```", *(line.strip() for line in copied.split("\n") if line.strip()), "```"]
    return "\n".join([*lines, ""])


def _plain(text: object) -> str:
    return Text.from_markup(text).plain.strip() if isinstance(text, str) else ""


def _names(name: str, kind: Any, info: OptionInfo | ArgumentInfo) -> str:  # noqa: ANN401 - a type
    if isinstance(info, ArgumentInfo):
        return f"`{info.metavar or name.upper()}`"
    # Inside Annotated the first name lands where the default would be.
    declared = [info.default] if isinstance(info.default, str) else []
    declared += info.param_decls or ()
    declared = declared or [f"--{name.replace('_', '-')}"]
    if _base(kind) is bool:
        return ", ".join(f"`{word}`" for word in declared[0].split("/"))
    return f"`{declared[0]} {info.metavar or _kind(_base(kind))}`".replace("|", "\\|")


def _base(kind: Any) -> Any:  # noqa: ANN401 - a type
    """Return a type without its None."""
    if get_origin(kind) in (Union, UnionType):
        return next(part for part in get_args(kind) if part is not NoneType)
    return kind


def _kind(base: Any) -> str:  # noqa: ANN401 - a type
    if get_origin(base) is Literal:
        return "|".join(get_args(base))
    return "NUMBER" if base is int else "TEXT"


def _meaning(info: OptionInfo | ArgumentInfo, default: object) -> str:
    parts = [_plain(info.help).replace("|", "\\|")]
    if isinstance(info.envvar, str):
        parts.append(f"Environment: `{info.envvar}`.")
    if default is inspect.Parameter.empty:
        parts.append("Required.")
    elif default not in (None, False, ""):
        parts.append(f"Default: `{default}`.")
    return " ".join(part for part in parts if part)


def main() -> None:
    """Replace the reference at the end of the page that the argument names."""
    page = Path(sys.argv[1])
    head, _, _ = page.read_text().partition(START)
    page.write_text(f"{head}{START}\n{render_reference()}")


if __name__ == "__main__":
    main()
