"""Many clients, one identifier: it counts once. Rules C2 and A4 under real concurrency."""

import asyncio
from collections.abc import Callable, Coroutine
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp

from tests.support.server import ServerProcess

IDENTIFIERS = 1000
CLIENTS = 32
BATCH = 50


async def test_c2_a_thousand_identifiers_from_32_clients_count_a_thousand(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data") as server:
        customer, meter = create_objects(server)
        answers = await send_all(server, customer)
        usage, triggers = outcome(server, meter, customer)

    accepted = [status for status, _ in answers if status == 200]
    refused = [body["error"]["message"] for status, body in answers if status == 400]
    assert len(accepted) == IDENTIFIERS
    assert len(refused) == IDENTIFIERS * (CLIENTS - 1)
    assert all(message.startswith("An event already exists with") for message in refused)
    assert usage == IDENTIFIERS
    assert triggers == [1, IDENTIFIERS // 2, IDENTIFIERS]


async def test_c2_a4_batches_of_32_streams_that_overlap_count_each_identifier_once(
    tmp_path: Path,
) -> None:
    """Each client cuts the identifiers elsewhere, so each batch is partly new and partly known."""
    with ServerProcess(tmp_path / "data") as server:
        customer, meter = create_objects(server)
        answers = await stream_all(server, customer)
        usage, triggers = outcome(server, meter, customer)

    assert answers == [200] * len(answers)
    assert usage == IDENTIFIERS
    assert triggers == [1, IDENTIFIERS // 2, IDENTIFIERS]


def create_objects(server: ServerProcess) -> tuple[str, str]:
    """Create a customer, a meter and three alerts; return the ids of customer and meter."""
    client = server.client
    customer = client.v1.customers.create({}).id
    meter = client.v1.billing.meters.create(
        {
            "display_name": "Requests",
            "event_name": "requests",
            "default_aggregation": {"formula": "sum"},
        }
    )
    for gte in (1, IDENTIFIERS // 2, IDENTIFIERS):
        client.v1.billing.alerts.create(
            {
                "alert_type": "usage_threshold",
                "title": str(gte),
                "usage_threshold": {"meter": meter.id, "gte": gte, "recurrence": "one_time"},
            }
        )
    return customer, meter.id


def outcome(server: ServerProcess, meter: str, customer: str) -> tuple[float, list[float]]:
    """Return the customer's usage and the values of all triggers, ascending."""
    summaries = server.client.v1.billing.meters.event_summaries.list(
        meter, {"customer": customer, "start_time": 0, "end_time": 4_070_908_800}
    )
    triggers = server.client.v1.events.list({"type": "billing.alert.triggered"})
    (summary,) = summaries.data
    return summary.aggregated_value, sorted(event.data.object["value"] for event in triggers.data)


async def send_all(server: ServerProcess, customer: str) -> list[tuple[int, Any]]:
    """Let every client send every identifier, at the same pace, so that they meet."""
    answers: list[tuple[int, Any]] = []

    async def one_client(session: aiohttp.ClientSession, _client: int) -> None:
        for number in range(IDENTIFIERS):
            body = urlencode(
                {
                    "event_name": "requests",
                    "identifier": f"same-{number}",
                    "payload[stripe_customer_id]": customer,
                    "payload[value]": "1",
                }
            )
            async with session.post("/v1/billing/meter_events", data=body) as answer:
                answers.append((answer.status, await answer.json()))

    await race(server, server.key, "application/x-www-form-urlencoded", one_client)
    return answers


async def stream_all(server: ServerProcess, customer: str) -> list[int]:
    """Let every client send every identifier in batches cut at places of its own."""
    token = server.client.v2.billing.meter_event_session.create().authentication_token
    answers: list[int] = []

    async def one_client(session: aiohttp.ClientSession, client: int) -> None:
        cuts = [0, *range(1 + client * BATCH // CLIENTS, IDENTIFIERS, BATCH), IDENTIFIERS]
        for begin, end in pairwise(cuts):
            events = [
                {
                    "event_name": "requests",
                    "identifier": f"same-{number}",
                    "payload": {"stripe_customer_id": customer, "value": "1"},
                }
                for number in range(begin, end)
            ]
            url = "/v2/billing/meter_event_stream"
            async with session.post(url, json={"events": events}) as answer:
                answers.append(answer.status)

    await race(server, token, "application/json", one_client)
    return answers


async def race(
    server: ServerProcess,
    key: str,
    content_type: str,
    one_client: Callable[[aiohttp.ClientSession, int], Coroutine[Any, Any, None]],
) -> None:
    """Run all clients at once."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": content_type}
    connector = aiohttp.TCPConnector(limit=CLIENTS)
    async with aiohttp.ClientSession(server.url, headers=headers, connector=connector) as session:
        await asyncio.gather(*(one_client(session, client) for client in range(CLIENTS)))
