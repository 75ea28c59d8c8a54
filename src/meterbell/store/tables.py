"""The tables, as shared by every database. Migrations build them; `tests/store` compares the two.

Every object table has a `number`: it grows with each insert, so lists are ordered by it and cursors
point at it. Times are Unix seconds unless a column ends in `_ms`. JSON is text.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData()

# Strict tables of SQLite know INTEGER only, and give automatic row numbers to it only.
Whole = BigInteger().with_variant(Integer(), "sqlite")
Flag = Boolean().with_variant(Integer(), "sqlite")


def number_column() -> Column[int]:
    """Return the column that grows with each insert."""
    return Column("number", Whole, primary_key=True)


log = Table(
    "log",
    metadata,
    Column("sequence", Whole, primary_key=True),
    Column("events", Whole, nullable=False),
    Column("kind", Whole, nullable=False),
    Column("received_at_ms", Whole, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Index("log_control", "sequence", sqlite_where=text("kind <> 1")),
    sqlite_strict=True,
)
"""Everything that changes what counts, in commit order. `kind` says what `data` is: 1 a run of
`events` meter events, the first of them at `sequence`; 2 a cancellation; 3 an alert change."""

checkpoint = Table(
    "checkpoint",
    metadata,
    Column("name", Text, primary_key=True),
    Column("generation", Whole, primary_key=True),
    Column("sequence", Whole, nullable=False),
    Column("checksum", LargeBinary, nullable=False),
    Column("data", LargeBinary, nullable=False),
    sqlite_strict=True,
)
"""Pieces of the state, each as it was after `sequence`. The two newest generations are kept."""

hour_part = Table(
    "hour_part",
    metadata,
    Column("part", Whole, primary_key=True, autoincrement=False),
    Column("sequence", Whole, primary_key=True, autoincrement=False),
    Column("first_hour", Whole, nullable=False),
    Column("last_hour", Whole, nullable=False),
    Column("data", LargeBinary, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""Hours that are over of some counters, as they were after `sequence`; never changed."""

meta = Table(
    "meta",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
    sqlite_strict=True,
)
"""Facts about the installation itself, such as the key of its digests."""

meter = Table(
    "meter",
    metadata,
    number_column(),
    Column("id", Text, nullable=False, unique=True),
    Column("livemode", Flag, nullable=False),
    Column("display_name", Text, nullable=False),
    Column("event_name", Text, nullable=False),
    Column("formula", Text, nullable=False),
    Column("customer_key", Text, nullable=False),
    Column("value_key", Text, nullable=False),
    Column("event_time_window", Text),
    Column("status", Text, nullable=False),
    Column("created", Whole, nullable=False),
    Column("updated", Whole, nullable=False),
    Column("deactivated_at", Whole),
    UniqueConstraint("livemode", "event_name"),
    sqlite_strict=True,
)

alert = Table(
    "alert",
    metadata,
    number_column(),
    Column("id", Text, nullable=False, unique=True),
    Column("livemode", Flag, nullable=False),
    Column("title", Text, nullable=False),
    Column("meter", Text, nullable=False),
    Column("customer", Text),
    Column("gte", Whole, nullable=False),
    Column("baseline", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("created", Whole, nullable=False),
    Column("created_sequence", Whole, nullable=False),
    Index("alert_by_meter", "meter", "number"),
    sqlite_strict=True,
)

trigger = Table(
    "trigger",
    metadata,
    number_column(),
    Column("alert", Text, nullable=False),
    Column("customer", Text, nullable=False),
    Column("window", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("sequence", Whole, nullable=False),
    Column("created_ms", Whole, nullable=False),
    Column("event", Text, nullable=False),
    UniqueConstraint("alert", "customer", "window"),
    Index("trigger_by_alert", "alert", "number"),
    sqlite_strict=True,
)
"""The once-only facts (A4); the key makes a second one impossible."""

customer = Table(
    "customer",
    metadata,
    number_column(),
    Column("id", Text, nullable=False),
    Column("livemode", Flag, nullable=False),
    Column("created", Whole, nullable=False),
    Column("deleted", Flag, nullable=False),
    Column("email", Text),
    Column("details", Text, nullable=False),
    UniqueConstraint("livemode", "id"),
    Index("customer_by_email", "livemode", "email"),
    sqlite_strict=True,
)
"""`details` is a JSON object of the fields that nothing searches for: name, metadata, address…"""

webhook_endpoint = Table(
    "webhook_endpoint",
    metadata,
    number_column(),
    Column("id", Text, nullable=False, unique=True),
    Column("livemode", Flag, nullable=False),
    Column("created", Whole, nullable=False),
    Column("url", Text, nullable=False),
    Column("enabled_events", Text, nullable=False),
    Column("api_version", Text),
    Column("description", Text),
    Column("metadata", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("secret", Text, nullable=False),
    Column("name", Text),
    Column("event_payload", Text),
    Column("updated_ms", Whole),
    Column("old_secrets", Text),
    Column("standard_webhooks", Flag, nullable=False, server_default=text("0")),
    sqlite_strict=True,
)
"""Webhook endpoints of the v1 API, and event destinations of the v2 API: those have a `name`, an
`event_payload` (thin or snapshot) and `updated_ms`. `secret` and `old_secrets` are sealed."""

event = Table(
    "event",
    metadata,
    number_column(),
    Column("id", Text, nullable=False, unique=True),
    Column("livemode", Flag, nullable=False),
    Column("created", Whole, nullable=False),
    Column("type", Text, nullable=False),
    Column("api_version", Text, nullable=False),
    Column("data", Text, nullable=False),
    Column("deliveries", Whole, nullable=False),
    Column("request_id", Text),
    Column("idempotency_key", Text),
    sqlite_strict=True,
)
"""`data` is the event's `data` object as JSON; `deliveries` counts the endpoints it was meant for
when it was made."""

thin_event = Table(
    "thin_event",
    metadata,
    number_column(),
    Column("id", Text, nullable=False, unique=True),
    Column("livemode", Flag, nullable=False),
    Column("created_ms", Whole, nullable=False),
    Column("type", Text, nullable=False),
    Column("object_type", Text),
    Column("object_id", Text),
    Column("data", Text, nullable=False),
    Column("request_id", Text),
    Column("idempotency_key", Text),
    Index("thin_event_by_object", "object_id", "number"),
    sqlite_strict=True,
)
"""Events of the v2 API. `object_type` and `object_id` name the related object, if there is one;
`data` is a JSON object, `{}` for an event that says nothing more."""

error_window = Table(
    "error_window",
    metadata,
    Column("livemode", Flag, primary_key=True),
    Column("meter", Text, primary_key=True),
    Column("started", Whole, primary_key=True),
    Column("reason", Text, primary_key=True),
    Column("errors", Whole, nullable=False),
    Column("samples", Text, nullable=False),
    Index("error_window_by_start", "started"),
    sqlite_strict=True,
)
"""Refused meter events of streams that no event has told of yet, by the window they came in and by
reason. `meter` is empty where there is no meter; `samples` are the first few as JSON."""

delivery = Table(
    "delivery",
    metadata,
    number_column(),
    Column("event", Text, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("livemode", Flag, nullable=False),
    Column("created_ms", Whole, nullable=False),
    Column("status", Text, nullable=False),
    Column("attempts", Whole, nullable=False),
    Column("next_attempt_at_ms", Whole),
    Column("resent_ms", Whole),
    UniqueConstraint("event", "endpoint"),
    Index("delivery_by_status", "endpoint", "status", "number"),
    Index(
        "delivery_due",
        "endpoint",
        "next_attempt_at_ms",
        sqlite_where=text("next_attempt_at_ms IS NOT NULL"),
    ),
    sqlite_strict=True,
)
"""One event to one endpoint or notification channel; `status` is pending, succeeded, failed or
canceled. The outbox is those with a `next_attempt_at_ms`. `resent_ms` is when it was put there by
hand last: its schedule begins then, and `attempts` counts from then on."""

attempt = Table(
    "attempt",
    metadata,
    number_column(),
    Column("delivery", Whole, nullable=False),
    Column("attempt", Whole, nullable=False),
    Column("started_at_ms", Whole, nullable=False),
    Column("duration_ms", Whole, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("status_code", Integer),
    Column("response", LargeBinary, nullable=False),
    Column("manual", Flag, nullable=False, server_default=text("0")),
    Index("attempt_by_delivery", "delivery"),
    sqlite_strict=True,
)
"""One HTTP try; `outcome` is succeeded or what went wrong, `response` the first 64 KiB.
`manual` is one that somebody asked for."""

endpoint_health = Table(
    "endpoint_health",
    metadata,
    Column("endpoint", Text, primary_key=True),
    Column("failures", Whole, nullable=False),
    Column("failing_since_ms", Whole),
    Column("openings", Whole, nullable=False),
    Column("probe_at_ms", Whole),
    Column("disabled_at_ms", Whole),
    Column("disabled_reason", Text),
    sqlite_strict=True,
)
"""How an endpoint is that failed or was disabled; one without a row is well. Nothing is
attempted before `probe_at_ms`; `openings` is 0 unless its circuit is open."""

listener = Table(
    "listener",
    metadata,
    number_column(),
    Column("id", Text, nullable=False, unique=True),
    Column("livemode", Flag, nullable=False),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("key", Text, nullable=False),
    Column("device_name", Text, nullable=False),
    Column("features", Text, nullable=False),
    Column("forward_to", Text),
    Column("thin_forward_to", Text),
    Column("filters", Text, nullable=False),
    Column("types", Text, nullable=False),
    Column("created", Whole, nullable=False),
    Column("seen_at", Whole),
    Column("status", Text, nullable=False),
    Column("resumes", Flag, nullable=False),
    Column("event_cursor", Whole, nullable=False),
    Column("thin_cursor", Whole, nullable=False),
    Column("resend_cursor", Whole, nullable=False),
    Column("done", Text, nullable=False),
    sqlite_strict=True,
)
"""Those who listen over a websocket, and how far they have come. `digest` is the SHA-256 of what
they prove themselves with; `status` is open or ended. Up to the cursors, numbers of `event`,
`thin_event` and `listener_resend`, nothing is missing; `done` names what is acknowledged past
them."""

listener_resend = Table(
    "listener_resend",
    metadata,
    number_column(),
    Column("listener", Text, nullable=False),
    Column("event", Text, nullable=False),
    Index("listener_resend_by_listener", "listener", "number"),
    sqlite_strict=True,
    sqlite_autoincrement=True,
)
"""Events that a listener is to be told of once more. No number is given twice: rows are deleted,
and the listener's cursor stays."""

listener_answer = Table(
    "listener_answer",
    metadata,
    number_column(),
    Column("id", Text, nullable=False, unique=True),
    Column("livemode", Flag, nullable=False),
    Column("listener", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("created_ms", Whole, nullable=False),
    Column("url", Text, nullable=False),
    Column("status_code", Whole, nullable=False),
    Column("response", LargeBinary, nullable=False),
    Index("listener_answer_by_listener", "listener", "number"),
    sqlite_strict=True,
)
"""What local servers answered to events that a listener posted to them; `response` is the first of
its bytes."""

idempotent_reply = Table(
    "idempotent_reply",
    metadata,
    Column("livemode", Flag, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("request", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("status", Whole, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("created_ms", Whole, nullable=False),
    Index("idempotent_reply_by_age", "created_ms"),
    sqlite_strict=True,
)
"""First answers by the digest of an Idempotency-Key; `digest` is that of the params. `request` and
`body` are sealed: the one, method and path, may repeat a secret, the other may show a new one."""

request = Table(
    "request",
    metadata,
    number_column(),
    Column("id", Text, nullable=False, unique=True),
    Column("livemode", Flag),
    Column("created_ms", Whole, nullable=False),
    Column("method", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("status", Whole, nullable=False),
    Column("duration_us", Whole, nullable=False),
    Column("key_last4", Text),
    Column("error_type", Text),
    Column("error_code", Text),
    Column("error_param", Text),
    Column("error_message", Text),
    Column("skipped", Whole, nullable=False),
    sqlite_strict=True,
)
"""The request log, in the order in which requests were answered; trimmed from the left."""

api_key = Table(
    "api_key",
    metadata,
    number_column(),
    Column("id", Text, nullable=False, unique=True),
    Column("livemode", Flag, nullable=False),
    Column("name", Text, nullable=False),
    Column("permission", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("last4", Text, nullable=False),
    Column("created", Whole, nullable=False),
    Column("expires_at", Whole),
    Column("revoked_at", Whole),
    sqlite_strict=True,
)
"""`permission` is all, read or ingest; `digest` is the SHA-256 of the key, which is not kept."""
