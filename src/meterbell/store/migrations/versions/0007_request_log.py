"""The request log."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0003"
branch_labels = None
depends_on = None

_Whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_Flag = sa.Boolean().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "request",
        sa.Column("number", _Whole, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("livemode", _Flag),
        sa.Column("created_ms", _Whole, nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("status", _Whole, nullable=False),
        sa.Column("duration_us", _Whole, nullable=False),
        sa.Column("key_last4", sa.Text()),
        sa.Column("error_type", sa.Text()),
        sa.Column("error_code", sa.Text()),
        sa.Column("error_param", sa.Text()),
        sa.Column("error_message", sa.Text()),
        sa.Column("skipped", _Whole, nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id"),
        sqlite_strict=True,
    )
