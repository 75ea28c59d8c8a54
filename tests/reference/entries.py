"""What the slow reference keeps: everything that was accepted, in commit order."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Usage:
    """An accepted meter event."""

    position: int
    livemode: bool
    meter: str
    customer: str
    identifier: str
    timestamp: int
    value: Decimal
    received_at: int
    request_key: str
    request_digest: str


@dataclass(frozen=True, slots=True)
class Cancel:
    """The meter event at `target` no longer counts."""

    position: int
    target: int


@dataclass(frozen=True, slots=True)
class NewAlert:
    """An alert; `customer` None watches every customer separately."""

    position: int
    alert: str
    meter: str
    customer: str | None
    gte: int
    lifetime: bool
    evaluate: bool


@dataclass(frozen=True, slots=True)
class NewStatus:
    """An alert was deactivated, activated or archived."""

    position: int
    alert: str
    status: str


@dataclass(frozen=True, slots=True)
class Fired:
    """The once-only fact that an alert fired for a customer."""

    alert: str
    customer: str
    value: Decimal
    position: int
