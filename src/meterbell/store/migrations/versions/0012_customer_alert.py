"""Alerts that customers set for themselves."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_Whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_Flag = sa.Boolean().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "customer_alert",
        sa.Column("number", _Whole, nullable=False),
        sa.Column("alert", sa.Text(), nullable=False),
        sa.Column("livemode", _Flag, nullable=False),
        sa.Column("customer", sa.Text(), nullable=False),
        sa.Column("created", _Whole, nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("alert"),
        sqlite_strict=True,
    )
    op.create_index("customer_alert_by_customer", "customer_alert", ["customer", "created"])
