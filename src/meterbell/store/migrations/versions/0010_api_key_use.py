"""When API keys were used last."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0008"
branch_labels = None
depends_on = None

_Whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "api_key_use",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("used_ms", _Whole, nullable=False),
        sa.PrimaryKeyConstraint("key"),
        sqlite_strict=True,
    )
