"""Baseline: what a user would write with FastAPI and PostgreSQL, a transaction for each event.

`python -m bench.baselines.by_hand_postgres FACTS SOCKET_FOLDER`
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg  # type: ignore[import-untyped]
from fastapi import FastAPI

from bench.baselines.serve import serve
from bench.baselines.usage import (
    Batch,
    CustomerField,
    EventName,
    Identifier,
    ValueField,
    crossed,
)

_POOL = 16
_SCHEMA = """
CREATE TABLE usage_event (identifier text PRIMARY KEY, meter text, customer text, value bigint,
    received timestamptz DEFAULT now());
CREATE TABLE counter (meter text, customer text, total bigint, PRIMARY KEY (meter, customer));
CREATE TABLE fired (meter text, customer text, gte bigint, PRIMARY KEY (meter, customer, gte));
"""
_ADD_EVENT = (
    "INSERT INTO usage_event (identifier, meter, customer, value) VALUES ($1, $2, $3, $4)"
    " ON CONFLICT DO NOTHING RETURNING identifier"
)
_COUNT = (
    "INSERT INTO counter (meter, customer, total) VALUES ($1, $2, $3) ON CONFLICT (meter, customer)"
    " DO UPDATE SET total = counter.total + excluded.total RETURNING total"
)
_FIRE = "INSERT INTO fired (meter, customer, gte) VALUES ($1, $2, $3)"


class _Database:
    """The pool, made when the application starts."""

    pool: Any


@asynccontextmanager
async def _lifespan(_app: FastAPI) -> AsyncIterator[None]:
    async with asyncpg.create_pool(
        host=sys.argv[2], user="postgres", database="postgres", min_size=_POOL, max_size=_POOL
    ) as pool:
        await pool.execute(_SCHEMA)
        _Database.pool = pool
        yield


app = FastAPI(lifespan=_lifespan)


async def _count(
    connection: Any,  # noqa: ANN401 - asyncpg is untyped
    meter: str,
    customer: str,
    identifier: str,
    value: int,
) -> None:
    async with connection.transaction():
        added = await connection.fetchval(_ADD_EVENT, identifier, meter, customer, value)
        if added is None:
            return
        total = await connection.fetchval(_COUNT, meter, customer, value)
        for gte in crossed(total - value, total):
            await connection.execute(_FIRE, meter, customer, gte)


@app.post("/v1/billing/meter_events")
async def create_event(
    event_name: EventName, identifier: Identifier, customer: CustomerField, value: ValueField
) -> dict[str, str]:
    """Count one event."""
    async with _Database.pool.acquire() as connection:
        await _count(connection, event_name, customer, identifier, value)
    return {"object": "billing.meter_event", "identifier": identifier}


@app.post("/v2/billing/meter_event_stream")
async def create_events(batch: Batch) -> dict[str, str]:
    """Count the events of a batch."""
    async with _Database.pool.acquire() as connection:
        for event in batch.events:
            payload = event.payload
            await _count(
                connection,
                event.event_name,
                payload.stripe_customer_id,
                event.identifier,
                payload.value,
            )
    return {}


@app.get("/total")
async def total() -> dict[str, str]:
    """Return all usage, to be held against what was acknowledged."""
    return {"total": str(await _Database.pool.fetchval("SELECT sum(total) FROM counter"))}


if __name__ == "__main__":
    serve(app, sys.argv[1])
