"""The requests of the two baselines that a user would write by hand, as FastAPI declares them."""

from bisect import bisect_right
from typing import Annotated

from fastapi import Form
from pydantic import BaseModel

from bench.world import World

EventName = Annotated[str, Form()]
Identifier = Annotated[str, Form()]
CustomerField = Annotated[str, Form(alias="payload[stripe_customer_id]")]
ValueField = Annotated[int, Form(alias="payload[value]")]


class Payload(BaseModel):
    """Whose usage, and how much."""

    stripe_customer_id: str
    value: int


class Event(BaseModel):
    """One event of a batch."""

    event_name: str
    identifier: str
    payload: Payload


class Batch(BaseModel):
    """A v2 request."""

    events: list[Event]


THRESHOLDS = World().thresholds()


def crossed(before: int, after: int) -> list[int]:
    """Return the thresholds that usage has just passed; alerts are the same on each meter."""
    return THRESHOLDS[bisect_right(THRESHOLDS, before) : bisect_right(THRESHOLDS, after)]
