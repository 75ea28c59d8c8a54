"""`meterbell secrets`: the key that secrets in the database are encrypted with."""

import os

import typer

from meterbell.cli.connection import DATA_DEFAULT, DataOption, JsonOption
from meterbell.cli.output import examples, print_json, print_text, reported

app = typer.Typer(help="The key that encrypts secrets in the database.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """The key that encrypts secrets in the database."""


@app.command(
    epilog=examples(
        "meterbell secrets rotate", "meterbell secrets rotate --data /var/lib/meterbell"
    )
)
def rotate(*, data: DataOption = DATA_DEFAULT, as_json: JsonOption = False) -> None:
    """Replace the key: encrypt all secrets with a fresh one. The server must be stopped."""
    with reported():
        from meterbell.cli.database import require_database  # noqa: PLC0415
        from meterbell.ids import RandomIds  # noqa: PLC0415
        from meterbell.settings import load_settings  # noqa: PLC0415
        from meterbell.store import sealing  # noqa: PLC0415
        from meterbell.store.locking import locked  # noqa: PLC0415 - apsw

        settings = load_settings({"data": data}, os.environ)
        require_database(settings.database)
        with locked(settings.folder):
            key_id = sealing.rotate(
                settings.database,
                keys=settings.secret_keys,
                key_file=settings.key_file,
                ids=RandomIds(),
            ).key_id
        if as_json:
            print_json({"key": key_id, "file": str(settings.key_file)})
        else:
            print_text(
                f"All secrets are encrypted with the key {key_id} now. Keep a copy of "
                f"{settings.key_file}."
            )
