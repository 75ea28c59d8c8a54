"""The composition root: settings → store, state, committer, dispatcher, HTTP API, lifespan."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, NamedTuple

import structlog
from starlette.routing import Router
from starlette.types import ASGIApp, Receive, Scope, Send

from meterbell.api.http import headers_of
from meterbell.api.routes import Api
from meterbell.api.v1.customer_pages import MOUNT as CUSTOMERS
from meterbell.clock import Clock, SystemClock
from meterbell.delivery.channels.announcer import Announcer
from meterbell.delivery.channels.notifier import Notifier
from meterbell.delivery.dispatcher import Dispatcher
from meterbell.delivery.egress import Egress
from meterbell.delivery.listeners import EventFeed, Listeners
from meterbell.delivery.lookup import Lookup, is_own
from meterbell.engine.state import Limits
from meterbell.errors import SettingsError, StoreFailedError
from meterbell.ids import IdSource, RandomIds
from meterbell.ledger.checkpoints import Checkpointer
from meterbell.ledger.committer import Committed, Committer
from meterbell.ledger.index import KeyIndexes
from meterbell.ledger.recovery import Recovered, recover
from meterbell.ledger.reports import Reporter
from meterbell.ledger.retention import Retainer
from meterbell.metrics import Metrics
from meterbell.records import Delivery, Event, ThinEvent
from meterbell.requestlog.log import RequestLog
from meterbell.services import Services
from meterbell.settings import Settings
from meterbell.store.deliveries import find_outbox_readings
from meterbell.store.locking import locked
from meterbell.store.migrations import migrate
from meterbell.store.sealing import unlock
from meterbell.store.sqlite import SqliteStore
from meterbell.traces import Traces, opened
from meterbell.vault import Vault

KEYS_FOLDER = "keys"
# Requests may ask for so many names at a time; attempts are not held up by that.
_NAMES_MAX = 16
DASHBOARD = "/dashboard"
"""Where people look; everything else is for programs."""
REPORTS = "reports"
"""Name of `Api.reports` in the lifespan's state, if usage may take that way."""

logger = structlog.get_logger(__name__)


class Application:
    """The whole server as one ASGI application; everything runs inside its lifespan.

    Attributes:
        refused: Why it can't start as it was asked to.
        failed: Whether the store failed, so that the process must end.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        ids: IdSource | None = None,
        on_failure: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare; nothing is opened before the lifespan starts.

        Args:
            settings: How to run.
            clock: The present; the machine's clock by default.
            ids: Where ids and randomness come from; the system's secure source by default.
            on_failure: Called once when the store failed and the process must end.
        """
        self._settings = settings
        self._clock = clock or SystemClock()
        self._ids = ids or RandomIds()
        self._on_failure = on_failure
        self._api: ASGIApp | None = None
        self._services: Services | None = None
        self._dashboard: ASGIApp | None = None
        self._loading = asyncio.Lock()
        self._lifespan = Router(lifespan=self._run)
        self.refused: SettingsError | None = None
        self.failed = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or run the lifespan."""
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
        elif scope["type"] == "http" and self._is_for_people(scope):
            pages = await self._pages()
            await pages(scope, receive, send)
        else:
            assert self._api is not None, "requests come after the lifespan's start"
            await self._api(scope, receive, send)

    @staticmethod
    def _is_for_people(scope: Scope) -> bool:
        path = scope["path"]
        if path == "/":
            return b"text/html" in headers_of(scope).get(b"accept", b"")
        return bool(path == DASHBOARD or path.startswith((f"{DASHBOARD}/", f"{CUSTOMERS}/")))

    async def _pages(self) -> ASGIApp:
        """Return the dashboard, which is loaded when somebody asks for it, while usage goes on."""
        async with self._loading:
            if self._dashboard is None:
                assert self._services is not None, "requests come after the lifespan's start"
                self._dashboard = await asyncio.to_thread(_load_dashboard, self._services)
            return self._dashboard

    @asynccontextmanager
    async def _run(self, _app: object) -> AsyncIterator[dict[str, Any]]:
        try:
            with opened(self._clock, is_wanted=self._settings.traces) as traces:
                async with running(
                    self._settings,
                    clock=self._clock,
                    ids=self._ids,
                    on_failure=self._fail,
                    traces=traces,
                ) as services:
                    self._services = services
                    api = Api(services)
                    self._api = api if traces is None else traces.around(api)
                    # What the HTTP server may call directly; spans need the usual way.
                    yield {} if traces is not None else {REPORTS: api.reports}
        except SettingsError as error:
            self.refused = error
            raise

    async def stop(self) -> None:
        """Close the websockets of listeners, before the server waits for its connections to end."""
        if self._services is not None:
            await self._services.listeners.stop()

    def _fail(self, _error: StoreFailedError) -> None:
        self.failed = True
        self._on_failure()


def _load_dashboard(services: Services) -> ASGIApp:
    from meterbell.dashboard.app import Dashboard  # noqa: PLC0415 - starts need not wait

    return Dashboard(services)


class _Outside(NamedTuple):
    """What the parts are given from outside."""

    clock: Clock
    ids: IdSource
    on_failure: Callable[[StoreFailedError], None]
    traces: Traces | None
    vault: Vault
    egress: Egress

    def observers(self, metrics: Metrics) -> list[Metrics | Traces]:
        """Return who is told of commits and deliveries."""
        return [metrics] if self.traces is None else [metrics, self.traces]


@asynccontextmanager
async def running(
    settings: Settings,
    *,
    clock: Clock,
    ids: IdSource,
    on_failure: Callable[[StoreFailedError], None],
    traces: Traces | None = None,
) -> AsyncIterator[Services]:
    """Run everything but HTTP; at the end, drain what is waiting and save the state.

    Args:
        settings: How to run.
        clock: The present.
        ids: Where ids and randomness come from.
        on_failure: Called once when the store failed and the process must end.
        traces: Told of commits and deliveries.

    Raises:
        SettingsError: The data folder can't be used, another server uses it, or its secrets can't
            be decrypted, or a setting can't be read.
    """
    egress = Egress.of(allow=settings.egress_allow, host=settings.host, is_own=is_own)
    if egress.exempt:
        logger.info("egress exceptions", allow=settings.egress_allow)
    with locked(settings.folder):
        migrate(settings.database)
        settings.database.chmod(0o600)
        vault = unlock(
            settings.database, keys=settings.secret_keys, key_file=settings.key_file, ids=ids
        )
        store = SqliteStore(settings.database)
        try:
            recovered = _recovered(settings, store, clock, ids, vault)
            outside = _Outside(clock, ids, on_failure, traces, vault, egress)
            async with _running(settings, store, recovered, outside) as services:
                yield services
        finally:
            store.close()


@asynccontextmanager
async def _running(
    settings: Settings, store: SqliteStore, recovered: Recovered, outside: _Outside
) -> AsyncIterator[Services]:
    clock, ids = outside.clock, outside.ids
    state, indexes, feed, metrics = recovered.state, recovered.indexes, EventFeed(), Metrics()
    notifier = Notifier(settings)
    checkpointer = _checkpointer(store, recovered, clock)

    def on_events(events: Sequence[Event | ThinEvent], deliveries: Sequence[Delivery]) -> None:
        if events:
            feed.notify()
        dispatcher.wake(deliveries)

    def on_group(committed: Committed) -> None:
        indexes.freeze_if_due(state.sequence, now_ms=clock.now_ms())
        for observer in outside.observers(metrics):
            observer.group_committed(committed)

    committer = Committer(
        store=store,
        state=state,
        clock=clock,
        ids=ids,
        queue_max=settings.queue_max,
        on_events=on_events,
        on_group=on_group,
        on_failure=outside.on_failure,
    )
    dispatcher = _dispatcher(settings, committer, notifier, outside, store=store, metrics=metrics)
    services = Services(
        settings=settings,
        clock=clock,
        ids=ids,
        store=store,
        state=state,
        committer=committer,
        vault=outside.vault,
        egress=outside.egress,
        lookup=Lookup(names_max=_NAMES_MAX),
        feed=feed,
        listeners=Listeners(
            store=store, committer=committer, clock=clock, vault=outside.vault, feed=feed
        ),
        requests=RequestLog(
            store=store, committer=committer, clock=clock, days=settings.request_log_days
        ),
        notifier=notifier,
        metrics=metrics if settings.metrics else None,
    )
    metrics.read_from(partial(_readings, services, indexes))
    committing = _start(committer=committer.run())
    working = _start(
        dispatcher=dispatcher.run(),
        reporter=Reporter(store=store, execute=committer.execute, clock=clock).run(),
        listeners=services.listeners.run(),
        requests=services.requests.run(),
        **_saving(services, recovered, checkpointer),
    )
    try:
        yield services
    finally:
        feed.notify()
        await _cancel(working)
        await notifier.close()
        await _save_last(committer, checkpointer, recovered, clock)
        await _cancel(committing)
        indexes.close()


def _checkpointer(store: SqliteStore, recovered: Recovered, clock: Clock) -> Checkpointer:
    return Checkpointer(
        store=store,
        state=recovered.state,
        clock=clock,
        indexes=recovered.indexes,
        saved=recovered.saved,
    )


async def _save_last(
    committer: Committer, checkpointer: Checkpointer, recovered: Recovered, clock: Clock
) -> None:
    """Save the state before the end, unless the store failed."""
    if not committer.failed:
        recovered.indexes.freeze(recovered.state.sequence, now_ms=clock.now_ms())
        await checkpointer.save(committer)


def _dispatcher(
    settings: Settings,
    committer: Committer,
    notifier: Notifier,
    outside: _Outside,
    *,
    store: SqliteStore,
    metrics: Metrics,
) -> Dispatcher:
    return Dispatcher(
        store=store,
        committer=committer,
        clock=outside.clock,
        ids=outside.ids,
        settings=settings,
        egress=outside.egress,
        vault=outside.vault,
        on_attempt=partial(_tell_attempt, outside.observers(metrics)),
        announcer=Announcer(store=store, vault=outside.vault, notifier=notifier),
    )


def _tell_attempt(
    observers: Sequence[Metrics | Traces], outcome: str, attempt: int, milliseconds: int
) -> None:
    for observer in observers:
        observer.attempt_ended(outcome, attempt, milliseconds)


def _readings(services: Services, indexes: KeyIndexes) -> dict[str, float]:
    store, state, committer = services.store, services.state, services.committer
    in_memory, in_segments = indexes.keys
    return {
        "meterbell_log_sequence": state.sequence,
        "meterbell_queue_depth": committer.waiting,
        "meterbell_queue_refused": committer.turned_away,
        "meterbell_requests_left_out": services.requests.left_out,
        "meterbell_counters": len(state.table),
        "meterbell_keys_in_memory": in_memory,
        "meterbell_keys_in_segments": in_segments,
        "meterbell_store_bytes": store.size_bytes(),
        "meterbell_log_events": store.count_events(state.log_begins),
        **find_outbox_readings(store.reader),
        "meterbell_ready": float(not committer.failed),
    }


def _recovered(
    settings: Settings, store: SqliteStore, clock: Clock, ids: IdSource, vault: Vault
) -> Recovered:
    limits = Limits(
        alerts_per_scope=settings.alerts_per_scope,
        identifier_days=settings.identifier_days,
        auto_create_customers=settings.customers_auto_create,
    )
    folder = settings.folder / KEYS_FOLDER
    recovered = recover(store, folder, limits=limits, clock=clock, ids=ids, vault=vault)
    logger.info("state recovered", sequence=recovered.state.sequence, replayed=recovered.replayed)
    return recovered


def _start(**work: Coroutine[Any, Any, None]) -> list[asyncio.Task[None]]:
    return [asyncio.create_task(coroutine, name=name) for name, coroutine in work.items()]


def _saving(
    services: Services, recovered: Recovered, checkpointer: Checkpointer
) -> dict[str, Coroutine[Any, Any, None]]:
    """Return the work that saves the state at intervals and drops what is too old behind it."""
    settings, committer = services.settings, services.committer
    retainer = Retainer(
        store=services.store,
        state=recovered.state,
        clock=services.clock,
        checkpointer=checkpointer,
        retention_days=settings.retention_days,
    )
    seconds = settings.checkpoint_seconds
    return {
        "checkpointer": checkpointer.run(committer, interval_seconds=seconds),
        "retainer": retainer.run(committer, interval_seconds=seconds),
    }


async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    """End tasks and wait for them; an error that one died of is logged."""
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, Exception):
            logger.error("a task failed", error=repr(result), exc_info=result)
