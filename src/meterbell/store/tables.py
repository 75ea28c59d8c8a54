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
_Whole = BigInteger().with_variant(Integer(), "sqlite")
_Flag = Boolean().with_variant(Integer(), "sqlite")


def _number() -> Column[int]:
    return Column("number", _Whole, primary_key=True)


log = Table(
    "log",
    metadata,
    Column("sequence", _Whole, primary_key=True),
    Column("events", _Whole, nullable=False),
    Column("kind", _Whole, nullable=False),
    Column("received_at_ms", _Whole, nullable=False),
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
    Column("generation", _Whole, primary_key=True),
    Column("sequence", _Whole, nullable=False),
    Column("checksum", LargeBinary, nullable=False),
    Column("data", LargeBinary, nullable=False),
    sqlite_strict=True,
)
"""Pieces of the state, each as it was after `sequence`. The two newest generations are kept."""

hour_part = Table(
    "hour_part",
    metadata,
    Column("part", _Whole, primary_key=True, autoincrement=False),
    Column("sequence", _Whole, primary_key=True, autoincrement=False),
    Column("first_hour", _Whole, nullable=False),
    Column("last_hour", _Whole, nullable=False),
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
    _number(),
    Column("id", Text, nullable=False, unique=True),
    Column("livemode", _Flag, nullable=False),
    Column("display_name", Text, nullable=False),
    Column("event_name", Text, nullable=False),
    Column("formula", Text, nullable=False),
    Column("customer_key", Text, nullable=False),
    Column("value_key", Text, nullable=False),
    Column("event_time_window", Text),
    Column("status", Text, nullable=False),
    Column("created", _Whole, nullable=False),
    Column("updated", _Whole, nullable=False),
    Column("deactivated_at", _Whole),
    UniqueConstraint("livemode", "event_name"),
    sqlite_strict=True,
)

alert = Table(
    "alert",
    metadata,
    _number(),
    Column("id", Text, nullable=False, unique=True),
    Column("livemode", _Flag, nullable=False),
    Column("title", Text, nullable=False),
    Column("meter", Text, nullable=False),
    Column("customer", Text),
    Column("gte", _Whole, nullable=False),
    Column("baseline", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("created", _Whole, nullable=False),
    Column("created_sequence", _Whole, nullable=False),
    Index("alert_by_meter", "meter", "number"),
    sqlite_strict=True,
)

trigger = Table(
    "trigger",
    metadata,
    Column("alert", Text, primary_key=True),
    Column("customer", Text, primary_key=True),
    Column("window", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Column("sequence", _Whole, nullable=False),
    Column("created_ms", _Whole, nullable=False),
    Column("event", Text, nullable=False),
    sqlite_strict=True,
)
"""The once-only facts (A4); the key makes a second one impossible."""

customer = Table(
    "customer",
    metadata,
    _number(),
    Column("id", Text, nullable=False),
    Column("livemode", _Flag, nullable=False),
    Column("created", _Whole, nullable=False),
    Column("deleted", _Flag, nullable=False),
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
    _number(),
    Column("id", Text, nullable=False, unique=True),
    Column("livemode", _Flag, nullable=False),
    Column("created", _Whole, nullable=False),
    Column("url", Text, nullable=False),
    Column("enabled_events", Text, nullable=False),
    Column("api_version", Text),
    Column("description", Text),
    Column("metadata", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("secret", Text, nullable=False),
    Column("name", Text),
    Column("event_payload", Text),
    Column("updated_ms", _Whole),
    Column("old_secrets", Text),
    Column("standard_webhooks", _Flag, nullable=False, server_default=text("0")),
    sqlite_strict=True,
)
"""Webhook endpoints of the v1 API, and event destinations of the v2 API: those have a `name`, an
`event_payload` (thin or snapshot) and `updated_ms`. `secret` and `old_secrets` are sealed."""

event = Table(
    "event",
    metadata,
    _number(),
    Column("id", Text, nullable=False, unique=True),
    Column("livemode", _Flag, nullable=False),
    Column("created", _Whole, nullable=False),
    Column("type", Text, nullable=False),
    Column("api_version", Text, nullable=False),
    Column("data", Text, nullable=False),
    Column("deliveries", _Whole, nullable=False),
    Column("request_id", Text),
    Column("idempotency_key", Text),
    sqlite_strict=True,
)
"""`data` is the event's `data` object as JSON; `deliveries` counts the endpoints it was meant for
when it was made."""

thin_event = Table(
    "thin_event",
    metadata,
    _number(),
    Column("id", Text, nullable=False, unique=True),
    Column("livemode", _Flag, nullable=False),
    Column("created_ms", _Whole, nullable=False),
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
    Column("livemode", _Flag, primary_key=True),
    Column("meter", Text, primary_key=True),
    Column("started", _Whole, primary_key=True),
    Column("reason", Text, primary_key=True),
    Column("errors", _Whole, nullable=False),
    Column("samples", Text, nullable=False),
    Index("error_window_by_start", "started"),
    sqlite_strict=True,
)
"""Refused meter events of streams that no event has told of yet, by the window they came in and by
reason. `meter` is empty where there is no meter; `samples` are the first few as JSON."""

delivery = Table(
    "delivery",
    metadata,
    _number(),
    Column("event", Text, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("livemode", _Flag, nullable=False),
    Column("created_ms", _Whole, nullable=False),
    Column("status", Text, nullable=False),
    Column("attempts", _Whole, nullable=False),
    Column("next_attempt_at_ms", _Whole),
    Column("resent_ms", _Whole),
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
"""One event to one endpoint; `status` is pending, succeeded, failed or canceled. The outbox is
those with a `next_attempt_at_ms`. `resent_ms` is when it was put there by hand last: its schedule
begins then, and `attempts` counts from then on."""

attempt = Table(
    "attempt",
    metadata,
    _number(),
    Column("delivery", _Whole, nullable=False),
    Column("attempt", _Whole, nullable=False),
    Column("started_at_ms", _Whole, nullable=False),
    Column("duration_ms", _Whole, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("status_code", Integer),
    Column("response", LargeBinary, nullable=False),
    Column("manual", _Flag, nullable=False, server_default=text("0")),
    Index("attempt_by_delivery", "delivery"),
    sqlite_strict=True,
)
"""One HTTP try; `outcome` is succeeded or what went wrong, `response` the first 64 KiB.
`manual` is one that somebody asked for."""

endpoint_health = Table(
    "endpoint_health",
    metadata,
    Column("endpoint", Text, primary_key=True),
    Column("failures", _Whole, nullable=False),
    Column("failing_since_ms", _Whole),
    Column("openings", _Whole, nullable=False),
    Column("probe_at_ms", _Whole),
    Column("disabled_at_ms", _Whole),
    Column("disabled_reason", Text),
    sqlite_strict=True,
)
"""How an endpoint is that failed or was disabled; one without a row is well. `probe_at_ms` stands
while its circuit is open."""

idempotent_reply = Table(
    "idempotent_reply",
    metadata,
    Column("livemode", _Flag, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("request", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("status", _Whole, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("created_ms", _Whole, nullable=False),
    Index("idempotent_reply_by_age", "created_ms"),
    sqlite_strict=True,
)
"""First answers by the digest of an Idempotency-Key; `digest` is that of the params. `request` and
`body` are sealed: the one, method and path, may repeat a secret, the other may show a new one."""

request = Table(
    "request",
    metadata,
    _number(),
    Column("id", Text, nullable=False, unique=True),
    Column("livemode", _Flag),
    Column("created_ms", _Whole, nullable=False),
    Column("method", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("status", _Whole, nullable=False),
    Column("duration_us", _Whole, nullable=False),
    Column("key_last4", Text),
    Column("error_type", Text),
    Column("error_code", Text),
    Column("error_param", Text),
    Column("error_message", Text),
    Column("skipped", _Whole, nullable=False),
    sqlite_strict=True,
)
"""The request log, in the order in which requests were answered; trimmed from the left."""

api_key = Table(
    "api_key",
    metadata,
    _number(),
    Column("id", Text, nullable=False, unique=True),
    Column("livemode", _Flag, nullable=False),
    Column("name", Text, nullable=False),
    Column("permission", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("last4", Text, nullable=False),
    Column("created", _Whole, nullable=False),
    Column("expires_at", _Whole),
    Column("revoked_at", _Whole),
    sqlite_strict=True,
)
"""`permission` is all, read or ingest; `digest` is the SHA-256 of the key, which is not kept."""
