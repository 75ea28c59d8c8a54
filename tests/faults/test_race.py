"""Many clients, one identifier: it counts once. Rules C2 and A4 under real concurrency."""

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp

from tests.support.server import ServerProcess

IDENTIFIERS = 1000
CLIENTS = 32


async def test_c2_a_thousand_identifiers_from_32_clients_count_a_thousand(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data") as server:
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
        answers = await send_all(server, customer)
        summaries = client.v1.billing.meters.event_summaries.list(
            meter.id, {"customer": customer, "start_time": 0, "end_time": 4_070_908_800}
        )
        triggers = client.v1.events.list({"type": "billing.alert.triggered"})

    accepted = [status for status, _ in answers if status == 200]
    refused = [body["error"]["message"] for status, body in answers if status == 400]
    assert len(accepted) == IDENTIFIERS
    assert len(refused) == IDENTIFIERS * (CLIENTS - 1)
    assert all(message.startswith("An event already exists with") for message in refused)
    assert summaries.data[0].aggregated_value == IDENTIFIERS
    assert sorted(event.data.object["value"] for event in triggers.data) == [
        1,
        IDENTIFIERS // 2,
        IDENTIFIERS,
    ]


async def send_all(server: ServerProcess, customer: str) -> list[tuple[int, Any]]:
    """Let every client send every identifier, at the same pace, so that they meet."""
    headers = {"Authorization": f"Bearer {server.key}"}
    answers: list[tuple[int, Any]] = []

    async def one_client(session: aiohttp.ClientSession) -> None:
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

    form = {**headers, "Content-Type": "application/x-www-form-urlencoded"}
    connector = aiohttp.TCPConnector(limit=CLIENTS)
    async with aiohttp.ClientSession(server.url, headers=form, connector=connector) as session:
        await asyncio.gather(*(one_client(session) for _ in range(CLIENTS)))
    return answers
