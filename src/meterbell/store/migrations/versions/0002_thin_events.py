"""thin events, error windows, event destinations."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_Whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_Flag = sa.Boolean().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "error_window",
        sa.Column("livemode", _Flag, nullable=False),
        sa.Column("meter", sa.Text(), nullable=False),
        sa.Column("started", _Whole, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("errors", _Whole, nullable=False),
        sa.Column("samples", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("livemode", "meter", "started", "reason"),
        sqlite_strict=True,
    )
    op.create_index("error_window_by_start", "error_window", ["started"], unique=False)
    op.create_table(
        "thin_event",
        sa.Column("number", _Whole, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("livemode", _Flag, nullable=False),
        sa.Column("created_ms", _Whole, nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("object_type", sa.Text(), nullable=True),
        sa.Column("object_id", sa.Text(), nullable=True),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("idempotency_key", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id"),
        sqlite_strict=True,
    )
    op.create_index("thin_event_by_object", "thin_event", ["object_id", "number"], unique=False)
    op.add_column("webhook_endpoint", sa.Column("name", sa.Text(), nullable=True))
    op.add_column("webhook_endpoint", sa.Column("event_payload", sa.Text(), nullable=True))
    op.add_column("webhook_endpoint", sa.Column("updated_ms", _Whole, nullable=True))
