"""How endpoints are; deliveries and attempts by hand."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0007"
branch_labels = None
depends_on = None

_Whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_Flag = sa.Boolean().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "endpoint_health",
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("failures", _Whole, nullable=False),
        sa.Column("failing_since_ms", _Whole),
        sa.Column("openings", _Whole, nullable=False),
        sa.Column("probe_at_ms", _Whole),
        sa.Column("disabled_at_ms", _Whole),
        sa.Column("disabled_reason", sa.Text()),
        sa.PrimaryKeyConstraint("endpoint"),
        sqlite_strict=True,
    )
    op.add_column("delivery", sa.Column("resent_ms", _Whole, nullable=True))
    op.add_column(
        "attempt", sa.Column("manual", _Flag, server_default=sa.text("0"), nullable=False)
    )
    op.create_index("delivery_by_status", "delivery", ["endpoint", "status", "number"])
