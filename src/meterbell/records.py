"""The rows of control objects, typed, named like their columns. JSON columns come decoded."""

from typing import Any, Literal

from msgspec import Struct
from typing_extensions import TypedDict

Permission = Literal["all", "read", "ingest"]
DeliveryStatus = Literal["pending", "succeeded", "failed", "canceled"]
DisabledReason = Literal["user", "gone", "failing"]
Role = Literal["viewer", "editor", "admin"]


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
    """Where events are sent: a webhook endpoint of v1, or an event destination of v2.

    Attributes:
        enabled_events: Exact types, or `*`.
        name: Of a destination; None for a webhook endpoint.
        event_payload: What a destination receives; None for a webhook endpoint.
        updated_ms: When a destination was changed last; None for a webhook endpoint.
        secret: What deliveries are signed with, sealed.
        old_secrets: What they are signed with as well for a while, sealed; None if there is none.
        standard_webhooks: Whether deliveries carry the headers of Standard Webhooks too.
    """

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
    name: str | None = None
    event_payload: Literal["thin", "snapshot"] | None = None
    updated_ms: int | None = None
    old_secrets: str | None = None
    standard_webhooks: bool = False

    @property
    def is_destination(self) -> bool:
        """Whether it belongs to the v2 API."""
        return self.event_payload is not None


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


class ThinEvent(Struct, frozen=True, kw_only=True):
    """What destinations with thin payloads are told; the API tells the rest.

    Attributes:
        object_type: Of the related object: `billing.meter`; None if there is none.
        data: What only the API tells; empty for most types.
    """

    number: int = 0
    id: str
    livemode: bool
    created_ms: int
    type: str
    object_type: str | None
    object_id: str | None
    data: dict[str, Any]
    request_id: str | None
    idempotency_key: str | None


class ErrorSample(TypedDict):
    """One refused meter event in a report."""

    message: str
    identifier: str | None


class ErrorWindow(Struct, frozen=True, kw_only=True):
    """Refused meter events of one window, meter and reason.

    Attributes:
        meter: Empty where there is no meter for the event name.
        started: Unix seconds.
        samples: The first few.
    """

    livemode: bool
    meter: str
    started: int
    reason: str
    errors: int
    samples: list[ErrorSample]


class Delivery(Struct, frozen=True, kw_only=True):
    """One event to one endpoint.

    Attributes:
        attempts: Made since the schedule began.
        resent_ms: When it was put into the outbox by hand last, and its schedule began anew.
    """

    number: int = 0
    event: str
    endpoint: str
    livemode: bool
    created_ms: int
    status: DeliveryStatus
    attempts: int
    next_attempt_at_ms: int | None
    resent_ms: int | None = None

    @property
    def begun_ms(self) -> int:
        """When its schedule began."""
        return self.created_ms if self.resent_ms is None else self.resent_ms


class EndpointHealth(Struct, frozen=True, kw_only=True):
    """How an endpoint is.

    Attributes:
        failures: In a row.
        failing_since_ms: End of the first of them.
        openings: How often its circuit opened since the last success; 0 while it is closed.
        probe_at_ms: Nothing is attempted before; None if it may be at any time.
        disabled_reason: `user`; `gone` if it answered 410; `failing` if it only failed for days.
    """

    endpoint: str
    failures: int = 0
    failing_since_ms: int | None = None
    openings: int = 0
    probe_at_ms: int | None = None
    disabled_at_ms: int | None = None
    disabled_reason: DisabledReason | None = None

    @property
    def is_open(self) -> bool:
        """Whether its circuit is open."""
        return self.openings > 0


class Attempt(Struct, frozen=True, kw_only=True):
    """One HTTP try of a delivery.

    Attributes:
        attempt: Counts from 1, anew after the delivery was resent.
        response: The first 64 KiB of the answer's body.
        manual: Whether somebody asked for it.
    """

    number: int = 0
    delivery: int
    attempt: int
    started_at_ms: int
    duration_ms: int
    outcome: str
    status_code: int | None
    response: bytes
    manual: bool = False


class Listener(Struct, frozen=True, kw_only=True):
    """Somebody who listens over a websocket, and how far they have come.

    Attributes:
        digest: SHA-256 of what they prove themselves with.
        key: Id of the API key that they began with.
        features: What they may receive: webhooks, v2_events, request_logs.
        forward_to: Where they say they post events, for people to read; None if they only show.
        thin_forward_to: The same for thin events.
        filters: Which requests they want to see, as they wrote it.
        types: Of events they want; empty for all.
        seen_at: When they were connected last; None for those who never were.
        status: Whether they may come back.
        resumes: Whether they know by themselves where they stopped. They get everything from there
            on; others get what is not too old or too much.
        event_cursor: Nothing up to this event's number is missing.
        thin_cursor: The same for thin events.
        resend_cursor: The same for what is sent again.
        done: Frames past the cursors that are acknowledged.
    """

    number: int = 0
    id: str
    livemode: bool
    digest: bytes
    key: str
    device_name: str
    features: list[str]
    forward_to: str | None
    thin_forward_to: str | None
    filters: dict[str, list[str]]
    types: list[str]
    created: int
    seen_at: int | None = None
    status: Literal["open", "ended"] = "open"
    resumes: bool = False
    event_cursor: int
    thin_cursor: int
    resend_cursor: int
    done: list[str] = []


class ListenerResend(Struct, frozen=True, kw_only=True):
    """An event that a listener is to be told of once more."""

    number: int = 0
    listener: str
    event: str


class ListenerAnswer(Struct, frozen=True, kw_only=True):
    """What a local server answered to an event; `response` is the beginning of the body."""

    number: int = 0
    id: str = ""
    livemode: bool
    listener: str
    event: str
    created_ms: int
    url: str
    status_code: int
    response: bytes


class IdempotentReply(Struct, frozen=True, kw_only=True):
    """The first answer to a request with an Idempotency-Key.

    Attributes:
        key: The key's digest.
        request: Method and path; sealed where it is stored.
        body: Sealed where it is stored.
    """

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


class ApiKeyUse(Struct, frozen=True, kw_only=True):
    """When a key, named by its id, was used last."""

    key: str
    used_ms: int


class RequestEntry(Struct, frozen=True, kw_only=True):
    """A request to the API as the request log keeps it: no body, no query string, no secret.

    Attributes:
        id: What `Request-Id` named it.
        livemode: The key's mode; None where the key named none.
        path: Decoded; holds ids at most.
        duration_us: From reading the request to its answer.
        key_last4: Of the API key, if it is known.
        skipped: How many requests of this mode, since the entry before this one, should have been
            kept and were not.
    """

    number: int = 0
    id: str
    livemode: bool | None
    created_ms: int
    method: str
    path: str
    status: int
    duration_us: int
    key_last4: str | None = None
    error_type: str | None = None
    error_code: str | None = None
    error_param: str | None = None
    error_message: str | None = None
    skipped: int = 0


class TriggerRecord(Struct, frozen=True, kw_only=True):
    """The once-only fact that an alert fired for a customer; `value` is an exact decimal."""

    number: int = 0
    alert: str
    customer: str
    window: str
    value: str
    sequence: int
    created_ms: int
    event: str


class DashboardUser(Struct, frozen=True, kw_only=True):
    """Who may sign in to the dashboard; without a password only by a one-time link."""

    number: int = 0
    id: str
    name: str
    role: Role
    password: str | None
    created: int


class DashboardSession(Struct, frozen=True, kw_only=True):
    """A browser that is signed in; what it sends is not kept, only its digest."""

    digest: bytes
    user: str
    created_ms: int
    seen_ms: int
    expires_at_ms: int


class SignInLink(Struct, frozen=True, kw_only=True):
    """A link that signs a user in once; what it holds is not kept, only its digest."""

    digest: bytes
    user: str
    expires_at_ms: int


class AuditEntry(Struct, frozen=True, kw_only=True):
    """Who changed what, when, and from where; never with a secret in it.

    Attributes:
        livemode: None for what belongs to no mode, such as users.
        actor: The user's name.
        action: Such as `alert.archive`.
        object: The id of what was changed, where it has one.
        address: The network address that asked, or `command line`.
        details: What was asked for.
    """

    number: int = 0
    at_ms: int
    livemode: bool | None
    actor: str
    action: str
    object: str | None
    address: str
    details: dict[str, Any]


class CustomerAlert(Struct, frozen=True, kw_only=True):
    """An alert that a customer set for itself, on its page."""

    number: int = 0
    alert: str
    livemode: bool
    customer: str
    created: int
