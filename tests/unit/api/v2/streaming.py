"""Usage over v2, for the tests beside: sessions, stream requests, error reports."""

from typing import Any

from meterbell.ledger.reports import WINDOW_SECONDS, Reporter
from meterbell.records import ErrorWindow
from meterbell.store.sealing import SESSION_KEY, read_fact
from tests.unit.api.running import TEST_KEY, Api, Reply, usage

KEY = {"Idempotency-Key": "key-1"}


async def use(api: Api, value: str = "1", *, headers: dict[str, str] | None = None) -> Reply:
    return await api.json("/v2/billing/meter_events", usage(value), headers=headers)


async def token(api: Api, *, key: str = TEST_KEY) -> str:
    reply = await api.json("/v2/billing/meter_event_session", key=key)
    assert reply.status == 200, reply.raw
    return str(reply.body["authentication_token"])


async def stream(
    api: Api, bearer: str, events: list[Any], *, headers: dict[str, str] | None = None
) -> Reply:
    return await api.json(
        "/v2/billing/meter_event_stream", {"events": events}, key=bearer, headers=headers
    )


async def total(api: Api) -> float:
    meters = (await api.got("/v1/billing/meters"))["data"]
    rows = await api.got(
        f"/v1/billing/meters/{meters[0]['id']}/event_summaries",
        {"customer": "cus_a", "start_time": 0, "end_time": 4070908800},
    )
    return float(rows["data"][0]["aggregated_value"])


def errors(api: Api) -> list[ErrorWindow]:
    return api.services.store.reader.find(ErrorWindow)


async def report(api: Api) -> list[Any]:
    """Let the window end, report it, and return the thin events, oldest first."""
    api.clock.advance(seconds=WINDOW_SECONDS)
    services = api.services
    reporter = Reporter(
        store=services.store, execute=services.committer.execute, clock=services.clock
    )
    await reporter.report()
    data: list[Any] = (await api.got("/v2/core/events", {"limit": 100}))["data"]
    return data[::-1]


def secret_of(api: Api) -> str:
    secret = read_fact(api.services.store.reader, api.services.vault, SESSION_KEY)
    assert secret is not None
    return secret
