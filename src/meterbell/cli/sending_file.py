"""`meterbell send FILE`: progress while it runs, and what became of the lines."""

import asyncio
from pathlib import Path

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from meterbell.cli.connection import Target
from meterbell.cli.output import errors, print_json, print_text
from meterbell.cli.sending import Summary, send_all
from meterbell.cli.usage_file import BadLine, Format, count_lines, find_format, read_usage
from meterbell.ids import RandomIds

_RUN_LENGTH = 24


def send_file(
    file: Path,
    target: Target,
    *,
    file_format: Format | None,
    event_name: str | None,
    batch: str | None,
    concurrency: int,
    as_json: bool,
) -> bool:
    """Report a file's lines; print a summary; return whether any failed.

    Raises:
        CommandError: The file can't be read, or the server can't be reached.
    """
    summary = Summary()
    lines = read_usage(
        file,
        file_format=file_format or find_format(file),
        event_name=event_name,
        batch=batch or file.name,
    )
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("lines"),
        TimeRemainingColumn(),
        console=errors,
        transient=True,
        disable=not errors.is_terminal,
    )
    task = progress.add_task(escape(file.name), total=count_lines(file))

    def on_line(failure: BadLine | None) -> None:
        progress.advance(task)
        if failure is not None:
            where = f"{escape(str(file))}, line {failure.line}"
            progress.console.print(f"{where}: {escape(failure.reason)}", soft_wrap=True)

    with progress:
        try:
            asyncio.run(
                send_all(
                    lines,
                    target,
                    run_id=RandomIds().token(_RUN_LENGTH),
                    concurrency=concurrency,
                    summary=summary,
                    on_line=on_line,
                )
            )
        finally:
            _print(summary, as_json=as_json)
    return summary.failed > 0


def _print(summary: Summary, *, as_json: bool) -> None:
    if as_json:
        print_json(summary.as_json())
        return
    failed = f"[red]{summary.failed:,} failed[/]" if summary.failed else "0 failed"
    print_text(
        f"[bold]{summary.counted:,} counted[/], {summary.already_counted:,} already counted, "
        f"{failed}."
    )
