"""The HTTP API without HTTP: requests go straight into the ASGI application.

Below it everything is real but the clock, the ids, the notifier, and the deliveries, which nobody
sends.
"""

import asyncio
import base64
import shutil
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from starlette.types import ASGIApp, Message

from meterbell.api.routes import Api as HttpApi
from meterbell.app import KEYS_FOLDER
from meterbell.clock import SettableClock
from meterbell.delivery.egress import Egress
from meterbell.delivery.listeners import EventFeed, Listeners
from meterbell.delivery.lookup import Lookup
from meterbell.engine.state import Limits
from meterbell.ids import CountingIds
from meterbell.keys import digest_of
from meterbell.ledger.committer import Committer
from meterbell.ledger.recovery import recover
from meterbell.ledger.transaction import Transaction
from meterbell.records import ApiKey, Delivery, Event, Permission, ThinEvent
from meterbell.requestlog.log import RequestLog
from meterbell.services import Services
from meterbell.settings import Settings
from meterbell.store.sqlite import SqliteStore
from meterbell.wire.form import encode_form
from tests.builders import NOW
from tests.support.notifier import FakeNotifier
from tests.support.vault import TEST_VAULT

TEST_KEY = "sk_test_unit_tests"
LIVE_KEY = "sk_live_unit_tests"
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, with its body decoded.

    Attributes:
        headers: By lower-case name.
    """

    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> Any:  # noqa: ANN401
        """The JSON in the body."""
        return msgspec.json.decode(self.raw)

    @property
    def error(self) -> dict[str, Any]:
        """The error in the body, which must hold one."""
        error: dict[str, Any] = self.body["error"]
        return error


@dataclass
class Api:
    """A running API and its only client.

    Attributes:
        key: Sent where a request names no other.
    """

    app: ASGIApp
    services: Services
    clock: SettableClock
    key: str = TEST_KEY
    failures: list[Exception] = field(default_factory=list)

    @property
    def notifier(self) -> FakeNotifier:
        """What looks at the URLs of channels and sends tests."""
        assert isinstance(self.services.notifier, FakeNotifier)
        return self.services.notifier

    async def send(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any] | bytes = b"",
        *,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
        chunks: Sequence[bytes] | None = None,
    ) -> Reply:
        """Send one request and return its answer.

        Args:
            method: GET and DELETE send parameters in the query, POST in the body.
            path: May hold a query of its own.
            params: As the SDKs nest them, or the encoded form itself.
            key: The API key to send; empty for none.
            headers: More headers, or others.
            chunks: The body in pieces, in place of `params`.
        """
        path, _, query = path.partition("?")
        form = params if isinstance(params, bytes) else encode_form(params)
        body = form if method == "POST" else b""
        if method != "POST" and form:
            query = form.decode()
        sent = {"authorization": f"Bearer {self.key if key is None else key}"}
        if key == "":
            del sent["authorization"]
        if method == "POST":
            sent["content-type"] = FORM
        sent |= {name.lower(): value for name, value in (headers or {}).items()}
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in sent.items()],
        }
        pieces = list(chunks) if chunks is not None else [body]
        incoming: list[Message] = [
            {"type": "http.request", "body": piece, "more_body": index < len(pieces)}
            for index, piece in enumerate(pieces, start=1)
        ]
        outgoing: list[Message] = []

        async def receive() -> Message:
            if incoming:
                return incoming.pop(0)
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            await asyncio.sleep(0)
            outgoing.append(message)

        await self.app(scope, receive, send)
        start, *rest = outgoing
        return Reply(
            start["status"],
            {name.decode(): value.decode("latin-1") for name, value in start["headers"]},
            b"".join(message["body"] for message in rest),
        )

    async def post(self, path: str, params: Mapping[str, Any] | bytes = b"", **more: Any) -> Reply:  # noqa: ANN401
        """Send a POST."""
        return await self.send("POST", path, params, **more)

    async def get(self, path: str, params: Mapping[str, Any] | bytes = b"", **more: Any) -> Reply:  # noqa: ANN401
        """Send a GET."""
        return await self.send("GET", path, params, **more)

    async def json(
        self,
        path: str,
        body: object = None,
        *,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
        **more: Any,  # noqa: ANN401
    ) -> Reply:
        """Send JSON, as v2 takes it; bytes are sent as they are."""
        raw = body if isinstance(body, bytes) else msgspec.json.encode(body or {})
        sent = {"content-type": "application/json", **(headers or {})}
        return await self.send(method, path, raw, headers=sent, **more)

    async def made(self, path: str, params: Mapping[str, Any] | bytes = b"", **more: Any) -> Any:  # noqa: ANN401
        """Send a POST that must succeed and return its body."""
        reply = await self.post(path, params, **more)
        assert reply.status == 200, reply.raw
        return reply.body

    async def got(self, path: str, params: Mapping[str, Any] | bytes = b"", **more: Any) -> Any:  # noqa: ANN401
        """Send a GET that must succeed and return its body."""
        reply = await self.get(path, params, **more)
        assert reply.status == 200, reply.raw
        return reply.body

    async def customer(self, customer: str = "cus_a", **more: Any) -> str:  # noqa: ANN401
        """Make a customer and return its id."""
        return str((await self.made("/v1/customers", {"id": customer}, **more))["id"])

    async def meter(self, name: str = "requests", *, formula: str = "sum", **more: Any) -> str:  # noqa: ANN401
        """Make a meter and return its id."""
        params = {
            "display_name": name,
            "event_name": name,
            "default_aggregation": {"formula": formula},
        }
        return str((await self.made("/v1/billing/meters", params, **more))["id"])

    async def alert(self, meter: str, /, gte: object = 10, **threshold: Any) -> str:  # noqa: ANN401
        """Make an alert and return its id."""
        return str(
            (await self.made("/v1/billing/alerts", alert_params(meter, gte, **threshold)))["id"]
        )

    async def use(self, value: str = "1", *, customer: str = "cus_a", **more: Any) -> Reply:  # noqa: ANN401
        """Report usage of the meter `requests`; `more` are other parameters."""
        return await self.post("/v1/billing/meter_events", usage(value, customer=customer) | more)

    async def events(self, **params: Any) -> list[Any]:  # noqa: ANN401
        """Return the events there are, oldest first."""
        data: list[Any] = (await self.got("/v1/events", {"limit": 100, **params}))["data"]
        return data[::-1]

    async def add_key(
        self,
        key: str,
        *,
        livemode: bool = False,
        permission: Permission = "all",
        expires_at: int | None = None,
        revoked_at: int | None = None,
    ) -> str:
        """Store an API key and return it."""

        def command(transaction: Transaction) -> None:
            transaction.objects.insert(
                ApiKey(
                    id=f"key_{key}",
                    livemode=livemode,
                    name="unit test",
                    permission=permission,
                    digest=digest_of(key),
                    last4=key[-4:],
                    created=NOW,
                    expires_at=expires_at,
                    revoked_at=revoked_at,
                )
            )

        await self.services.committer.execute(command)
        return key


def usage(value: str = "1", *, customer: str = "cus_a", name: str = "requests") -> dict[str, Any]:
    """Return the parameters of a meter event."""
    return {"event_name": name, "payload": {"stripe_customer_id": customer, "value": value}}


def alert_params(meter: str, /, gte: object = 10, **threshold: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return the parameters of an alert; `threshold` are more of its `usage_threshold`."""
    return {
        "alert_type": "usage_threshold",
        "title": "Used up",
        "usage_threshold": {"gte": gte, "meter": meter, "recurrence": "one_time"} | threshold,
    }


def basic(user: str, password: str = "") -> str:
    """Return an `Authorization` header for HTTP Basic."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@asynccontextmanager
async def running_api(
    folder: Path,
    migrated: Path,
    *,
    settings: Settings | None = None,
    egress: Egress | None = None,
    lookup: Lookup | None = None,
) -> AsyncIterator[Api]:
    """Run the API over a copy of a database that has been migrated."""
    path = folder / "meterbell.db"
    if not path.exists():
        shutil.copy(migrated, path)
    settings = settings or Settings(test_key=TEST_KEY)
    store = SqliteStore(path)
    clock, ids, feed = SettableClock(NOW * 1000), CountingIds(), EventFeed()
    limits = Limits(
        alerts_per_scope=settings.alerts_per_scope,
        auto_create_customers=settings.customers_auto_create,
    )
    recovered = recover(
        store, folder / KEYS_FOLDER, limits=limits, clock=clock, ids=ids, vault=TEST_VAULT
    )
    state = recovered.state
    failures: list[Exception] = []

    def on_events(events: Sequence[Event | ThinEvent], _deliveries: Sequence[Delivery]) -> None:
        if events:
            feed.notify()

    committer = Committer(
        store=store,
        state=state,
        clock=clock,
        ids=ids,
        queue_max=settings.queue_max,
        on_events=on_events,
        on_group=lambda _group: None,
        on_failure=failures.append,
    )
    services = Services(
        settings=settings,
        clock=clock,
        ids=ids,
        store=store,
        state=state,
        committer=committer,
        vault=TEST_VAULT,
        egress=egress or Egress(is_local=True),
        lookup=lookup or Lookup(resolve),
        feed=feed,
        listeners=Listeners(
            store=store, committer=committer, clock=clock, vault=TEST_VAULT, feed=feed
        ),
        requests=RequestLog(
            store=store, committer=committer, clock=clock, days=settings.request_log_days
        ),
        notifier=FakeNotifier(),
    )
    task = asyncio.create_task(committer.run())
    try:
        api = Api(HttpApi(services), services, clock, failures=failures)
        await api.add_key(LIVE_KEY, livemode=True)
        yield api
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        recovered.indexes.close()
        store.close()


def resolve(name: str, *_: object, **__: object) -> list[tuple[Any, ...]]:
    """Find a public address under any name, but under these none, or one that is not public."""
    if name == "unknown.example":
        raise socket.gaierror(socket.EAI_NONAME, "no such name")
    addresses = {"mixed.example": ["8.8.8.8", "10.0.0.1"], "localhost": ["127.0.0.1", "::1"]}
    return [(0, 0, 0, "", (address, 0)) for address in addresses.get(name, ["8.8.8.8"])]


class Failing:
    """A committer that fails in a certain way."""

    failed, waiting = False, 0

    def __init__(self, error: Exception) -> None:
        self._error = error

    def require_room(self) -> None:
        """Take everything in, to fail later."""

    def begin(self, _request: object) -> object:
        raise self._error

    async def execute(self, _command: object) -> object:
        raise self._error

    record = execute
