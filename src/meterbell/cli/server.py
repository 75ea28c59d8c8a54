"""One server process: make what is missing, run, drain, stop."""

import asyncio
import gc
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
from rich.markup import escape
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from typing_extensions import override

from meterbell.api.requests import LIVE
from meterbell.api.stored_keys import create_key
from meterbell.app import DASHBOARD, Application
from meterbell.cli.dashboard import make_link
from meterbell.cli.database import at_database
from meterbell.cli.front import Front
from meterbell.cli.output import print_text
from meterbell.cli.unix_socket import unix_listener
from meterbell.dashboard.accounts import FIRST_USER, SIGNED_IN, find_user
from meterbell.errors import SettingsError
from meterbell.folder import SERVER_FILE, keep_test_key, write_private
from meterbell.keys import mode_of
from meterbell.logs import LEVELS, configure_logs
from meterbell.records import ApiKey, AuditEntry, DashboardUser
from meterbell.settings import Settings
from meterbell.store.dashboard_tables import audit_entry
from meterbell.store.locking import locked
from meterbell.store.migrations import migrate

_GC_THRESHOLD = 100_000
_SWITCH_SECONDS = 0.0005
_KEEP_ALIVE_SECONDS = 75
_DRAIN_SECONDS = 10
_BACKLOG = 2048
_FIRST_LINK_SECONDS = 3600
_MESSAGE_BYTES_MAX = 2**20
_STOPPING = b'{"error":{"type":"api_error","message":"The server is stopping; ask again."}}'


def run(settings: Settings) -> int:
    """Run a server until it is asked to stop; return the exit status.

    Raises:
        SettingsError: It can't start as it was asked to.
    """
    if settings.test_key is not None and mode_of(settings.test_key) is not False:
        raise SettingsError("--test-key must begin with sk_test_ and go on, such as sk_test_ci.")
    if settings.log_level not in LEVELS:
        raise SettingsError(f"--log-level {settings.log_level} is none of {', '.join(LEVELS)}.")
    configure_logs(settings.log_level)
    # Whatever is written is for its owner only: the database, its log, the files of identifiers.
    os.umask(0o077)
    # The port first: keys are made, and shown, only by a server that can run.
    listener = _listen(settings)
    # What a name or port 0 stands for: the egress policy asks where the server really listens.
    host, port = listener.getsockname()[:2]
    settings = msgspec.structs.replace(settings, host=host, port=port)
    with locked(settings.folder):
        migrate(settings.database)
        settings.database.chmod(0o600)
    url = settings.local_url
    server_file = settings.folder / SERVER_FILE
    is_announced = False

    def announce() -> None:
        nonlocal is_announced
        keys = [] if settings.test_key is not None else _first_keys(settings)
        facts = {"url": url, "pid": os.getpid()}
        if settings.public_url is not None:
            facts["public_url"] = settings.public_url
        if settings.test_key is not None:
            facts["test_key"] = settings.test_key
        is_announced = True
        write_private(server_file, json.dumps(facts))
        _welcome(url, keys, settings, _sign_in_link(settings))
        # Collections of everything that lives for long would stall commits now and then. What is
        # garbage so far is next to nothing, and looking for it would hold up the first requests.
        gc.freeze()

    async def stop() -> None:
        waiting.stop()
        await application.stop()

    gc.set_threshold(_GC_THRESHOLD)
    sys.setswitchinterval(_SWITCH_SECONDS)
    application = Application(settings, on_failure=lambda: server.stop_failed())  # noqa: PLW0108 - made below
    waiting = _LongPolls(application)
    server = _Server(
        _config(waiting),
        on_ready=announce,
        on_stop=stop,
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        # Uvicorn drains, and then raises the signal again for whoever handled it before.
        signal.signal(number, lambda _number, _frame: None)
    try:
        with _unix_listener(settings) as unix:
            server.unix = unix
            _serve(server, application, listener)
    finally:
        if is_announced:
            server_file.unlink(missing_ok=True)
    return 1 if application.failed or not is_announced else 0


def _serve(server: uvicorn.Server, application: Application, listener: socket.socket) -> None:
    """Serve until it is asked to stop.

    Raises:
        SettingsError: The application can't start as it was asked to.
    """
    # The command tells of it in one line: Uvicorn would in several, and end the process.
    logging.getLogger("uvicorn.error").addFilter(lambda _record: application.refused is None)
    try:
        server.run(sockets=[listener])
    except SystemExit:
        if application.refused is None:
            raise
        raise application.refused from None


def _config(application: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        application,
        loop="uvloop",
        http=Front,
        ws=_websocket,  # type: ignore[arg-type]  # called like the class that it returns
        ws_max_size=_MESSAGE_BYTES_MAX,
        ws_per_message_deflate=False,
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_DRAIN_SECONDS,
        backlog=_BACKLOG,
    )


class _Server(uvicorn.Server):
    """Uvicorn that says when it is ready, and can be stopped by a failed store."""

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        on_ready: Callable[[], None],
        on_stop: Callable[[], Awaitable[None]],
    ) -> None:
        super().__init__(config)
        self.unix: socket.socket | None = None
        self._on_ready = on_ready
        self._on_stop = on_stop

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            if self.unix is not None:
                self.servers.append(await self._serve_unix(self.unix))
            self._on_ready()

    async def _serve_unix(self, listener: socket.socket) -> asyncio.Server:
        def protocol() -> asyncio.Protocol:
            return Front(self.config, self.server_state, self.lifespan.state)

        loop = asyncio.get_running_loop()
        return await loop.create_unix_server(protocol, sock=listener, backlog=_BACKLOG)

    @override
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._on_stop()
        await super().shutdown(sockets)

    def stop_failed(self) -> None:
        """End at once after a failure of the store."""
        self.should_exit = True
        self.force_exit = True


def _websocket(**facts: Any) -> asyncio.Protocol:  # noqa: ANN401 - uvicorn's business
    """Return what serves a websocket; it is loaded with the first of them."""
    from uvicorn.protocols.websockets import websockets_sansio_impl as websockets  # noqa: PLC0415

    return websockets.WebSocketsSansIOProtocol(**facts)


def _unix_listener(settings: Settings) -> AbstractContextManager[socket.socket | None]:
    if settings.unix_socket is None:
        return nullcontext()
    return unix_listener(Path(settings.unix_socket).expanduser())


class _LongPolls:
    """The application; a server that stops does not wait for those who wait for news."""

    def __init__(self, application: ASGIApp) -> None:
        self._application = application
        self._waiting: set[asyncio.Task[None]] = set()
        self._is_stopping = False

    def stop(self) -> None:
        """Answer everybody who waits, now."""
        self._is_stopping = True
        for work in self._waiting:
            work.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _is_waiting(scope["path"]):
            await self._application(scope, receive, send)
            return
        is_answered = False

        async def watched_send(message: Message) -> None:
            nonlocal is_answered
            is_answered = True
            await send(message)

        async def answer() -> None:
            await self._application(scope, receive, watched_send)

        work = asyncio.create_task(answer())
        self._waiting.add(work)
        try:
            await work
        except asyncio.CancelledError:
            if not self._is_stopping:
                work.cancel()
                raise
            if is_answered:
                await send({"type": "http.response.body", "body": b""})
            else:
                await _send_stopping(send)
        finally:
            self._waiting.discard(work)


def _is_waiting(path: str) -> bool:
    """Return whether answers to a path wait for something to happen."""
    return bool(path == LIVE.path or (path.startswith(DASHBOARD) and path.endswith("/live")))


async def _send_stopping(send: Send) -> None:
    headers = [(b"content-type", b"application/json"), (b"stripe-should-retry", b"true")]
    headers.append((b"content-length", str(len(_STOPPING)).encode()))
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": _STOPPING})


def _first_keys(settings: Settings) -> list[str]:
    """Return the keys of a first start, test and live; none on later starts."""
    with at_database(settings.folder) as moment:
        if moment.objects.count(ApiKey):
            return []
        made = [
            create_key(moment, livemode=livemode, permission="all", name="first start")
            for livemode in (False, True)
        ]
    # Commands on this machine use it, so that nobody has to paste a key to try things out.
    keep_test_key(settings.folder, made[0].text)
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
            "another address with --host and --port; --port 0 lets the system choose."
        ) from error
    return listener


def _sign_in_link(settings: Settings) -> str:
    """Return a link into the dashboard, made until somebody signs in; empty after that."""
    with at_database(settings.folder) as moment:
        objects = moment.objects
        is_known = objects.find(AuditEntry, audit_entry.c.action == SIGNED_IN, limit=1)
        if is_known or (objects.count(DashboardUser) and not find_user(objects, FIRST_USER)):
            return ""
        return make_link(moment, settings.base_url, None, lives_seconds=_FIRST_LINK_SECONDS)


def _welcome(url: str, keys: list[str], settings: Settings, link: str) -> None:
    """Print where the server is, and after a first start how to go on."""
    folder = escape(str(Path(settings.data).resolve()))
    print_text(f"[bold green]meterbell[/] is ready at [bold]{url}[/]  [dim]data in {folder}[/]")
    if link:
        print_text(
            f"\n[bold]Open the dashboard[/]: this link signs you in, once, within an hour\n"
            f"  [bold]{link}[/]\n"
        )
    else:
        print_text(f"[dim]dashboard at[/] {settings.base_url}/dashboard")
    if not keys:
        return
    test, live = keys
    option = "" if settings.data == Settings().data else f" --data {escape(settings.data)}"
    print_text(f"""
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
  import stripe
  client = stripe.StripeClient("{test}",
      base_addresses=dict.fromkeys(("api", "connect", "files", "meter_events"), "{url}"))
  client.v1.billing.meter_events.create({{"event_name": "requests",
      "payload": {{"stripe_customer_id": "cus_1", "value": "5"}}}})

[bold]Watch webhooks[/]        meterbell listen{option} --forward-to localhost:3000/webhook
[bold]See the whole story[/]   meterbell demo
[bold]Reference[/]             {url}/docs
""")
