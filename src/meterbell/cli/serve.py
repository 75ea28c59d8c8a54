"""`meterbell serve`: make what is missing, run, drain, stop."""

import gc
import json
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
import uvicorn
from typing_extensions import override

from meterbell.app import Application, locked
from meterbell.cli.folder import (
    SERVER_FILE,
    TEST_KEY_FILE,
    create_key,
    open_objects,
    write_private,
)
from meterbell.cli.output import console, fail
from meterbell.clock import SystemClock
from meterbell.errors import SettingsError
from meterbell.ids import RandomIds
from meterbell.keys import mode_of
from meterbell.logs import configure_logs
from meterbell.records import ApiKey
from meterbell.settings import Settings, load_settings
from meterbell.store.migrations import migrate

EXAMPLES = """[bold]Examples[/]

  meterbell serve

  meterbell serve --data /var/lib/meterbell --port 8080

  meterbell serve --port 0 --test-key sk_test_ci    [dim]# for scripts and CI[/]
"""
_GC_THRESHOLD = 100_000
_SWITCH_SECONDS = 0.0005


def serve(
    *,
    data: Annotated[str | None, typer.Option(help="Folder for everything that is kept.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 lets the system choose.")] = None,
    test_key: Annotated[
        str | None, typer.Option(help="A test-mode key to accept, for scripts and CI.")
    ] = None,
    customers_auto_create: Annotated[
        bool | None,
        typer.Option(
            "--customers-auto-create/--no-customers-auto-create",
            help="Usage for an unknown customer id creates the customer.",
        ),
    ] = None,
    identifier_days: Annotated[
        int | None, typer.Option(help="Days for which an identifier counts once (35 or more).")
    ] = None,
    alerts_per_scope: Annotated[
        int | None, typer.Option(help="Alerts per meter and scope.")
    ] = None,
    queue_max: Annotated[
        int | None, typer.Option(help="Requests that may wait before 429 is answered.")
    ] = None,
    checkpoint_seconds: Annotated[
        int | None, typer.Option(help="How often the state in memory is saved.")
    ] = None,
    webhook_timeout_seconds: Annotated[
        int | None, typer.Option(help="Time for one webhook attempt.")
    ] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
) -> None:
    """Start the server. The first start makes the data folder and prints a test and a live key."""
    try:
        settings = load_settings(
            {
                "data": data,
                "host": host,
                "port": port,
                "test_key": test_key,
                "customers_auto_create": customers_auto_create,
                "identifier_days": identifier_days,
                "alerts_per_scope": alerts_per_scope,
                "queue_max": queue_max,
                "checkpoint_seconds": checkpoint_seconds,
                "webhook_timeout_seconds": webhook_timeout_seconds,
                "log_level": log_level,
            },
            os.environ,
        )
        raise typer.Exit(run(settings))
    except SettingsError as error:
        fail(str(error))


def run(settings: Settings) -> int:
    """Run a server until it is asked to stop; return the exit status.

    Raises:
        SettingsError: It can't start as it was asked to.
    """
    if settings.test_key is not None and mode_of(settings.test_key) is not False:
        raise SettingsError("--test-key must begin with sk_test_ and go on, such as sk_test_ci.")
    configure_logs(settings.log_level)
    keys = _prepare(settings)
    listener = _listen(settings)
    host, port = listener.getsockname()[:2]
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    server_file = settings.folder / SERVER_FILE

    def announce() -> None:
        write_private(server_file, json.dumps({"url": url, "pid": os.getpid()}))
        _welcome(url, keys, settings)

    # Collections of everything that lives for long would stall commits now and then.
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GC_THRESHOLD)
    sys.setswitchinterval(_SWITCH_SECONDS)
    application = Application(settings, on_failure=lambda: server.stop_failed())  # noqa: PLW0108 - made below
    server = _Server(
        uvicorn.Config(
            application,
            loop="uvloop",
            http="httptools",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=10,
            backlog=2048,
        ),
        announce,
    )
    try:
        server.run(sockets=[listener])
    finally:
        server_file.unlink(missing_ok=True)
    return 1 if application.failed or not server.was_ready else 0


class _Server(uvicorn.Server):
    """Uvicorn that says when it is ready, and can be stopped by a failed store."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready
        self.was_ready = False

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self.was_ready = True
            self._on_ready()

    def stop_failed(self) -> None:
        """End at once after a failure of the store."""
        self.should_exit = True
        self.force_exit = True


def _prepare(settings: Settings) -> list[str]:
    """Make the data folder and its database; return the keys of a first start."""
    with locked(settings.folder):
        migrate(settings.database)
        settings.database.chmod(0o600)
        with open_objects(settings.database) as objects:
            if settings.test_key is not None or objects.count(ApiKey):
                return []
            clock, ids = SystemClock(), RandomIds()
            made = [
                create_key(
                    objects, clock, ids, livemode=livemode, permission="all", name="first start"
                )
                for livemode in (False, True)
            ]
    # Commands on this machine use it, so that nobody has to paste a key to try things out.
    write_private(settings.folder / TEST_KEY_FILE, made[0].text + "\n")
    return [key.text for key in made]


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        raise SettingsError(
            f"Can't listen on {settings.host}:{settings.port}: {error.strerror or error}. Choose "
            "another port with --port."
        ) from error
    return listener


def _welcome(url: str, keys: list[str], settings: Settings) -> None:
    """Print where the server is, and after a first start how to go on."""
    folder = Path(settings.data).resolve()
    console.print(f"[bold green]meterbell[/] is ready at [bold]{url}[/]  [dim]data in {folder}[/]")
    if not keys:
        return
    test, live = keys
    console.print(
        f"""
[bold]Your keys[/], shown this once:
  test  [bold]{test}[/]
  live  [bold]{live}[/]

[bold]Report usage with curl[/]
  curl {url}/v1/customers -u {test}: -d id=cus_1
  curl {url}/v1/billing/meters -u {test}: -d display_name=Requests -d event_name=requests \\
       -d "default_aggregation\\[formula]=sum"
  curl {url}/v1/billing/meter_events -u {test}: -d event_name=requests \\
       -d "payload\\[stripe_customer_id]=cus_1" -d "payload\\[value]=5"

[bold]or with the official SDK[/]
  client = stripe.StripeClient("{test}",
      base_addresses={{"api": "{url}", "meter_events": "{url}"}})

[bold]Watch webhooks[/]        meterbell listen --forward-to localhost:3000/webhook
[bold]See the whole story[/]   meterbell demo
[bold]Reference[/]             {url}/docs
""",
        soft_wrap=True,
    )
