"""The rows of control objects, typed, named like their columns. JSON columns come decoded."""

from typing import Any, Literal

from msgspec import Struct

Permission = Literal["all", "read", "ingest"]
DeliveryStatus = Literal["pending", "succeeded", "failed", "canceled"]


class Customer(Struct, frozen=True, kw_only=True):
    """A customer; `details` holds the fields that nothing searches for."""

    number: int = 0
    id: str
    livemode: bool
    created: int
    deleted: bool
    email: str | None
    details: dict[str, Any]


class WebhookEndpoint(Struct, frozen=True, kw_only=True):
    """Where events are sent; `enabled_events` holds exact types or `*`."""

    number: int = 0
    id: str
    livemode: bool
    created: int
    url: str
    enabled_events: list[str]
    api_version: str | None
    description: str | None
    metadata: dict[str, str]
    status: Literal["enabled", "disabled"]
    secret: str


class Event(Struct, frozen=True, kw_only=True):
    """What the outside world is told; `data` holds `object` and maybe `previous_attributes`."""

    number: int = 0
    id: str
    livemode: bool
    created: int
    type: str
    api_version: str
    data: dict[str, Any]
    deliveries: int
    request_id: str | None
    idempotency_key: str | None


class Delivery(Struct, frozen=True, kw_only=True):
    """One event to one endpoint."""

    number: int = 0
    event: str
    endpoint: str
    livemode: bool
    created_ms: int
    status: DeliveryStatus
    attempts: int
    next_attempt_at_ms: int | None


class Attempt(Struct, frozen=True, kw_only=True):
    """One HTTP try of a delivery; `response` is the first 64 KiB of the answer's body."""

    number: int = 0
    delivery: int
    attempt: int
    started_at_ms: int
    duration_ms: int
    outcome: str
    status_code: int | None
    response: bytes


class IdempotentReply(Struct, frozen=True, kw_only=True):
    """The first answer to a request with an Idempotency-Key."""

    livemode: bool
    key: str
    request: str
    digest: bytes
    request_id: str
    status: int
    body: bytes
    created_ms: int


class ApiKey(Struct, frozen=True, kw_only=True):
    """A key's facts; the key itself is not kept, only its SHA-256."""

    number: int = 0
    id: str
    livemode: bool
    name: str
    permission: Permission
    digest: bytes
    last4: str
    created: int
    expires_at: int | None
    revoked_at: int | None


class TriggerRecord(Struct, frozen=True, kw_only=True):
    """The once-only fact that an alert fired for a customer; `value` is an exact decimal."""

    alert: str
    customer: str
    window: str
    value: str
    sequence: int
    created_ms: int
    event: str
