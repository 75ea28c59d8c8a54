"""listeners over websockets."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0009"
branch_labels = None
depends_on = None

_Whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_Flag = sa.Boolean().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "listener",
        sa.Column("number", _Whole, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("livemode", _Flag, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("device_name", sa.Text(), nullable=False),
        sa.Column("features", sa.Text(), nullable=False),
        sa.Column("forward_to", sa.Text()),
        sa.Column("thin_forward_to", sa.Text()),
        sa.Column("filters", sa.Text(), nullable=False),
        sa.Column("types", sa.Text(), nullable=False),
        sa.Column("created", _Whole, nullable=False),
        sa.Column("seen_at", _Whole),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("resumes", _Flag, nullable=False),
        sa.Column("event_cursor", _Whole, nullable=False),
        sa.Column("thin_cursor", _Whole, nullable=False),
        sa.Column("resend_cursor", _Whole, nullable=False),
        sa.Column("done", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id"),
        sa.UniqueConstraint("digest"),
        sqlite_strict=True,
    )
    op.create_table(
        "listener_resend",
        sa.Column("number", _Whole, nullable=False),
        sa.Column("listener", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sqlite_strict=True,
        sqlite_autoincrement=True,
    )
    op.create_index(
        "listener_resend_by_listener", "listener_resend", ["listener", "number"], unique=False
    )
    op.create_table(
        "listener_answer",
        sa.Column("number", _Whole, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("livemode", _Flag, nullable=False),
        sa.Column("listener", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("created_ms", _Whole, nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("status_code", _Whole, nullable=False),
        sa.Column("response", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id"),
        sqlite_strict=True,
    )
    op.create_index(
        "listener_answer_by_listener", "listener_answer", ["listener", "number"], unique=False
    )
