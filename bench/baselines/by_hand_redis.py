"""Baseline: what a user would write with FastAPI and Redis, synced on every write.

A crash between the two steps loses the event; only whole values can be counted.

`python -m bench.baselines.by_hand_redis FACTS PORT`
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from redis.asyncio import BlockingConnectionPool, Redis

from bench.baselines.serve import serve
from bench.baselines.usage import (
    Batch,
    CustomerField,
    EventName,
    Identifier,
    ValueField,
    crossed,
)

_IDENTIFIER_SECONDS = 35 * 86400
_POOL = 16
_redis: Any = Redis(  # typed as if pipelines were awaited at each step
    connection_pool=BlockingConnectionPool(port=int(sys.argv[2]), max_connections=_POOL)
)


@asynccontextmanager
async def _lifespan(_app: FastAPI) -> AsyncIterator[None]:
    yield
    await _redis.aclose()


app = FastAPI(lifespan=_lifespan)


async def _check(meter: str, customer: str, value: int, total: int) -> None:
    for gte in crossed(total - value, total):
        await _redis.set(f"fired:{meter}:{customer}:{gte}", 1, nx=True)


@app.post("/v1/billing/meter_events")
async def create_event(
    event_name: EventName, identifier: Identifier, customer: CustomerField, value: ValueField
) -> dict[str, str]:
    """Count one event."""
    if await _redis.set(f"id:{identifier}", 1, nx=True, ex=_IDENTIFIER_SECONDS):
        total = await _redis.incrby(f"total:{event_name}:{customer}", value)
        await _check(event_name, customer, value, total)
    return {"object": "billing.meter_event", "identifier": identifier}


@app.post("/v2/billing/meter_event_stream")
async def create_events(batch: Batch) -> dict[str, str]:
    """Count the events of a batch, in two pipelines."""
    pipeline = _redis.pipeline(transaction=False)
    for event in batch.events:
        pipeline.set(f"id:{event.identifier}", 1, nx=True, ex=_IDENTIFIER_SECONDS)
    is_new = await pipeline.execute()
    fresh = [event for event, new in zip(batch.events, is_new, strict=True) if new]
    pipeline = _redis.pipeline(transaction=False)
    for event in fresh:
        payload = event.payload
        pipeline.incrby(f"total:{event.event_name}:{payload.stripe_customer_id}", payload.value)
    totals = await pipeline.execute()
    for event, total in zip(fresh, totals, strict=True):
        payload = event.payload
        await _check(event.event_name, payload.stripe_customer_id, payload.value, total)
    return {}


@app.get("/total")
async def total() -> dict[str, str]:
    """Return all usage, to be held against what was acknowledged."""
    found = 0
    async for keys in _chunks():
        found += sum(int(value) for value in await _redis.mget(keys))
    return {"total": str(found)}


async def _chunks() -> AsyncIterator[list[bytes]]:
    cursor = 0
    while True:
        cursor, keys = await _redis.scan(cursor, match="total:*", count=5000)
        if keys:
            yield keys
        if not cursor:
            return


if __name__ == "__main__":
    serve(app, sys.argv[1])
