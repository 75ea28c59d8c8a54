"""Four weeks of a made-up company, hour by hour, in a data folder: what pictures show.

Nobody could wait for it, so the server's parts run with a clock that is behind and catches up.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from meterbell.api.routes import Api as HttpApi
from meterbell.api.stored_keys import create_key, roll_key
from meterbell.app import running
from meterbell.clock import SystemClock
from meterbell.ids import RandomIds
from meterbell.ledger.transaction import Transaction
from meterbell.records import AuditEntry, Delivery
from meterbell.services import Services
from meterbell.settings import Settings
from meterbell.store.tables import delivery
from tests.support.dashboard import NUMBERED
from tests.unit.api.running import Api

KEY = "sk_test_screenshots"
_DAYS = 27
_DAY_HOURS = 24
_HOUR_MS = 3_600_000
_ALERTS_SINCE_HOUR = 15 * _DAY_HOURS
_WEEKEND = 5
_SECONDS_MAX = 10.0
_PAUSE_SECONDS = 0.002
_ATTEMPT_SECONDS = 0.02
_NAMES = (
    "Northwind Traders",
    "Acme Robotics",
    "Blue Harbor",
    "Lumen Labs",
    "Cedar & Co",
    "Orbit Freight",
    "Pinecone Press",
    "Fathom Health",
    "Granite Bank",
    "Juniper Foods",
    "Kite Analytics",
    "Marble Games",
    "Nimbus Travel",
    "Oak Street",
    "Pixel Foundry",
    "Quarry Steel",
    "Riverbend",
    "Solstice Energy",
    "Tandem Bikes",
    "Umbra Security",
    "Vela Optics",
    "Willow Care",
    "Xylo Music",
    "Yonder Maps",
    "Zephyr Air",
    "Atlas Legal",
    "Beacon Schools",
    "Copper Mine",
    "Delta Farms",
    "Ember Studio",
)


@dataclass
class PlayedClock:
    """The machine's clock, so many milliseconds ago."""

    behind_ms: int
    _clock: SystemClock = field(default_factory=SystemClock)

    def now_ms(self) -> int:
        """Return the instant that is played."""
        return self._clock.now_ms() - self.behind_ms

    def monotonic_ns(self) -> int:
        """Return the machine's monotonic time."""
        return self._clock.monotonic_ns()


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where webhooks go: one takes them, one does not."""

    good: str
    bad: str


@dataclass(frozen=True, slots=True)
class Shown:
    """What pictures show.

    Attributes:
        examples: Ids by the first part of a page's path.
        queries: What is asked of a page, by its path.
    """

    examples: dict[str, str]
    queries: dict[str, str]


async def fill(folder: Path, endpoints: Endpoints) -> Shown:
    """Fill an empty data folder, in test mode, up to the present; return what is worth a look."""
    now_ms = SystemClock().now_ms()
    start_ms = (now_ms // _HOUR_MS - _DAYS * _DAY_HOURS) * _HOUR_MS
    clock = PlayedClock(now_ms - start_ms)
    settings = Settings(data=str(folder), test_key=KEY, stream_events_max=1000)
    async with running(settings, clock=clock, ids=RandomIds(), on_failure=_fail) as services:
        api = Api(HttpApi(services), services, clock, key=KEY)  # type: ignore[arg-type]
        company = Company(api, endpoints)
        await company.found()
        for hour in range(_DAYS * _DAY_HOURS + 1):
            clock.behind_ms = max(now_ms - start_ms - hour * _HOUR_MS, 0)
            await company.live(hour)
            await _delivered(services, company.reached)
        return company.shown


def _fail(error: Exception) -> None:
    raise RuntimeError("the store failed") from error


async def _delivered(services: Services, reached: Collection[str]) -> None:
    """Wait until those that can be reached have everything, and others were tried."""
    async with asyncio.timeout(_SECONDS_MAX):
        wanted = (delivery.c.status == "pending", delivery.c.endpoint.in_(reached))
        while services.store.reader.find(Delivery, *wanted, limit=1):  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(_PAUSE_SECONDS)
    if services.store.reader.find(Delivery, delivery.c.status == "pending", limit=1):
        await asyncio.sleep(_ATTEMPT_SECONDS)  # or it would seem to have taken an hour


class Company:
    """Whose customers use what.

    Attributes:
        reached: Endpoints and channels that take what they are sent.
        shown: What is worth a look.
    """

    def __init__(self, api: Api, endpoints: Endpoints) -> None:
        """Begin without anything."""
        self._api = api
        self._customers: list[str] = []
        self._meters: dict[str, str] = {}
        self._alerts: dict[str, str] = {}
        self.reached: list[str] = []
        self._endpoints = endpoints
        self.shown = Shown({}, {})

    async def found(self) -> None:
        """Make customers, meters and endpoints."""
        for name in _NAMES:
            word = name.lower().replace(" & ", "_").replace(" ", "_")
            given = {"id": f"cus_{word}", "name": name, "email": f"billing@{word}.example"}
            self._customers.append((await self._api.made("/v1/customers", given))["id"])
        for title, name, formula in (
            ("Storage in GB", "storage_gb", "last"),
            ("API requests", "api_requests", "sum"),
            ("Tokens", "tokens", "sum"),
        ):
            meter = {
                "display_name": title,
                "event_name": name,
                "default_aggregation": {"formula": formula},
            }
            self._meters[name] = (await self._api.made("/v1/billing/meters", meter))["id"]
        for url, about in ((self._endpoints.bad, "CRM"), (self._endpoints.good, "Billing")):
            wanted = {"url": url, "enabled_events": ["*"], "description": about}
            made = await self._api.made("/v1/webhook_endpoints", wanted)
            if url == self._endpoints.good:
                self.reached.append(made["id"])

    async def live(self, hour: int) -> None:
        """Do what happens in an hour since the beginning."""
        for at, act in self._plan():
            if at == hour:
                await act()
        await self._report(list(self._usage(hour)))

    async def _report(self, events: list[dict[str, object]]) -> None:
        session = await self._api.json("/v2/billing/meter_event_session")
        reply = await self._api.json(
            "/v2/billing/meter_event_stream",
            {"events": events},
            key=session.body["authentication_token"],
        )
        assert reply.status == 200, reply.raw  # noqa: PLR2004

    def _plan(self) -> Iterator[tuple[int, Callable[[], Awaitable[None]]]]:
        since = _ALERTS_SINCE_HOUR
        yield since - 3, lambda: self._alert("Trial used up", "api_requests", 5000)
        yield since - 2, lambda: self._alert("Storage above 400 GB", "storage_gb", 400)
        yield since - 1, lambda: self._alert("250,000 requests", "api_requests", 250_000)
        yield (
            since,
            lambda: self._alert("Contract limit", "tokens", 60_000_000, self._customers[0]),
        )
        yield since + 1, lambda: self._alert("20 million tokens", "tokens", 20_000_000)
        yield _DAYS * _DAY_HOURS - 34, lambda: self._alert("New plan: 1 million", "tokens", 10**6)
        yield _DAYS * _DAY_HOURS - 33, self._channel
        yield since + 30, lambda: self._switch("Trial used up", "deactivate")
        yield _DAYS * _DAY_HOURS - 3, self._develop
        yield _DAYS * _DAY_HOURS - 2, self._choose

    async def _alert(self, title: str, meter: str, gte: int, customer: str = "") -> None:
        threshold = {"meter": self._meters[meter], "gte": gte, "recurrence": "one_time"}
        if customer:
            threshold["filters"] = [{"type": "customer", "customer": customer}]
        given = {"alert_type": "usage_threshold", "title": title, "usage_threshold": threshold}
        self._alerts[title] = (await self._api.made("/v1/billing/alerts", given))["id"]
        await self._note("alert.create", self._alerts[title])

    async def _switch(self, title: str, verb: str) -> None:
        await self._api.made(f"/v1/billing/alerts/{self._alerts[title]}/{verb}")
        await self._note(f"alert.{verb}", self._alerts[title])

    async def _channel(self) -> None:
        given = {
            "name": "Sales",
            "url": self._endpoints.good.replace("http://", "json://").replace(
                "/billing/usage", "/sales"
            ),
            "alerts": [self._alerts["New plan: 1 million"]],
        }
        self.reached.append((await self._api.made("/v1/notification_channels", given))["id"])

    async def _note(self, action: str, object_id: str) -> None:
        """Write what was done into the audit log, as if somebody had done it on a page."""

        def command(changes: Transaction) -> None:
            entry = AuditEntry(
                at_ms=changes.now_ms,
                livemode=False,
                actor="grace",
                action=action,
                object=object_id,
                address="127.0.0.1",
                details={},
            )
            changes.objects.insert(entry)

        await self._api.services.committer.execute(command)

    async def _choose(self) -> None:
        """Say what is worth a look."""
        tokens = self._meters["tokens"]
        self.shown.examples.update(
            NUMBERED,
            alerts=self._alerts["20 million tokens"],
            customers=self._customers[4],
            meters=tokens,
            webhooks=self.reached[0],
        )
        self.shown.queries.update(
            {
                "/alerts/new": f"title=30+million+tokens&meter={tokens}&gte=30000000",
                "/alerts/{id}": f"customer={self._customers[2]}",
                "/meters/{id}": "key=model",
                "/sign-in/link": "token=used-once",
            }
        )

    async def _develop(self) -> None:
        """Make keys, a request that is refused, and usage that can't be counted."""

        def command(changes: Transaction) -> None:
            create_key(changes, livemode=False, permission="all", name="backend")
            create_key(changes, livemode=False, permission="ingest", name="usage collector")
            old = create_key(changes, livemode=False, permission="all", name="laptop")
            roll_key(changes, old.record, ends_at=changes.now + _DAY_HOURS * 3600)

        await self._api.services.committer.execute(command)
        customer = self._customers[0]
        await self._report(
            [
                _event("tokens", "cus_unknown", 5),
                _event("api_requests", customer, "many"),
                _event("seats", customer, 1),
            ]
        )
        refused = await self._api.post(
            "/v1/billing/alerts", {"alert_type": "usage_threshold", "title": "Half used"}
        )
        self.shown.examples["requests"] = refused.headers["request-id"]

    def _usage(self, hour: int) -> Iterator[dict[str, object]]:
        """Yield the usage of an hour: days have a noon, weeks a weekend, customers a size."""
        day, of_day = divmod(hour, _DAY_HOURS)
        swing = 0.35 + max(math.sin((of_day - 5) / _DAY_HOURS * 2 * math.pi), -0.25)
        if day % 7 >= _WEEKEND:
            swing *= 0.45
        for rank, customer in enumerate(self._customers):
            size = swing * (1 + day / 60) / (1 + rank) ** 0.75 * _between(0.6, 1.4, hour, rank)
            if size > _between(0, 0.25, rank, hour):
                yield _event("tokens", customer, round(size * 190_000), model="large")
                yield _event("tokens", customer, round(size * 70_000), model="small")
                yield _event("api_requests", customer, round(size * 2400))
            if of_day == rank % _DAY_HOURS:
                stored = (600 + 9 * day) / (1 + rank) ** 0.5 * _between(0.97, 1.03, hour, rank)
                yield _event("storage_gb", customer, round(stored, 1))


def _between(low: float, high: float, *place: int) -> float:
    """Return a number that looks like chance and is the same each time."""
    mixed = 0
    for number in place:
        mixed = (mixed + number + 1) * 7919 % 10_007
    return low + (high - low) * mixed / 10_007


def _event(name: str, customer: str, value: float | str, **more: str) -> dict[str, object]:
    payload = {"stripe_customer_id": customer, "value": str(value), **more}
    return {"event_name": name, "payload": payload}
