"""first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_Whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_Flag = sa.Boolean().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "alert",
        sa.Column("number", _Whole, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("livemode", _Flag, nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("meter", sa.Text(), nullable=False),
        sa.Column("customer", sa.Text(), nullable=True),
        sa.Column("gte", _Whole, nullable=False),
        sa.Column("baseline", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("created", _Whole, nullable=False),
        sa.Column("created_sequence", _Whole, nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id"),
        sqlite_strict=True,
    )
    op.create_index("alert_by_meter", "alert", ["meter", "number"], unique=False)
    op.create_table(
        "api_key",
        sa.Column("number", _Whole, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("livemode", _Flag, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("permission", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("last4", sa.Text(), nullable=False),
        sa.Column("created", _Whole, nullable=False),
        sa.Column("expires_at", _Whole, nullable=True),
        sa.Column("revoked_at", _Whole, nullable=True),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("digest"),
        sa.UniqueConstraint("id"),
        sqlite_strict=True,
    )
    op.create_table(
        "attempt",
        sa.Column("number", _Whole, nullable=False),
        sa.Column("delivery", _Whole, nullable=False),
        sa.Column("attempt", _Whole, nullable=False),
        sa.Column("started_at_ms", _Whole, nullable=False),
        sa.Column("duration_ms", _Whole, nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("status_code", sa.Integer(), nullable=True),
        sa.Column("response", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sqlite_strict=True,
    )
    op.create_index("attempt_by_delivery", "attempt", ["delivery"], unique=False)
    op.create_table(
        "checkpoint",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("generation", _Whole, nullable=False),
        sa.Column("sequence", _Whole, nullable=False),
        sa.Column("checksum", sa.LargeBinary(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name", "generation"),
        sqlite_strict=True,
    )
    op.create_table(
        "customer",
        sa.Column("number", _Whole, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("livemode", _Flag, nullable=False),
        sa.Column("created", _Whole, nullable=False),
        sa.Column("deleted", _Flag, nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("details", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("livemode", "id"),
        sqlite_strict=True,
    )
    op.create_index("customer_by_email", "customer", ["livemode", "email"], unique=False)
    op.create_table(
        "delivery",
        sa.Column("number", _Whole, nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("livemode", _Flag, nullable=False),
        sa.Column("created_ms", _Whole, nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("attempts", _Whole, nullable=False),
        sa.Column("next_attempt_at_ms", _Whole, nullable=True),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("event", "endpoint"),
        sqlite_strict=True,
    )
    op.create_index(
        "delivery_due",
        "delivery",
        ["endpoint", "next_attempt_at_ms"],
        unique=False,
        sqlite_where=sa.text("next_attempt_at_ms IS NOT NULL"),
    )
    op.create_table(
        "event",
        sa.Column("number", _Whole, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("livemode", _Flag, nullable=False),
        sa.Column("created", _Whole, nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("api_version", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("deliveries", _Whole, nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("idempotency_key", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id"),
        sqlite_strict=True,
    )
    op.create_table(
        "idempotent_reply",
        sa.Column("livemode", _Flag, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("status", _Whole, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_ms", _Whole, nullable=False),
        sa.PrimaryKeyConstraint("livemode", "key"),
        sqlite_strict=True,
    )
    op.create_index("idempotent_reply_by_age", "idempotent_reply", ["created_ms"], unique=False)
    op.create_table(
        "log",
        sa.Column("sequence", _Whole, nullable=False),
        sa.Column("events", _Whole, nullable=False),
        sa.Column("kind", _Whole, nullable=False),
        sa.Column("received_at_ms", _Whole, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sequence"),
        sqlite_strict=True,
    )
    op.create_index(
        "log_control", "log", ["sequence"], unique=False, sqlite_where=sa.text("kind <> 1")
    )
    op.create_table(
        "meta",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
        sqlite_strict=True,
    )
    op.create_table(
        "meter",
        sa.Column("number", _Whole, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("livemode", _Flag, nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("event_name", sa.Text(), nullable=False),
        sa.Column("formula", sa.Text(), nullable=False),
        sa.Column("customer_key", sa.Text(), nullable=False),
        sa.Column("value_key", sa.Text(), nullable=False),
        sa.Column("event_time_window", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("created", _Whole, nullable=False),
        sa.Column("updated", _Whole, nullable=False),
        sa.Column("deactivated_at", _Whole, nullable=True),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id"),
        sa.UniqueConstraint("livemode", "event_name"),
        sqlite_strict=True,
    )
    op.create_table(
        "trigger",
        sa.Column("alert", sa.Text(), nullable=False),
        sa.Column("customer", sa.Text(), nullable=False),
        sa.Column("window", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("sequence", _Whole, nullable=False),
        sa.Column("created_ms", _Whole, nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("alert", "customer", "window"),
        sqlite_strict=True,
    )
    op.create_table(
        "webhook_endpoint",
        sa.Column("number", _Whole, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("livemode", _Flag, nullable=False),
        sa.Column("created", _Whole, nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("enabled_events", sa.Text(), nullable=False),
        sa.Column("api_version", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("metadata", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id"),
        sqlite_strict=True,
    )
