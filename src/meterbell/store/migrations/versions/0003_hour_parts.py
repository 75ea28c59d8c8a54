"""hours of counters that are over."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_Whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "hour_part",
        sa.Column("part", _Whole, autoincrement=False, nullable=False),
        sa.Column("sequence", _Whole, autoincrement=False, nullable=False),
        sa.Column("first_hour", _Whole, nullable=False),
        sa.Column("last_hour", _Whole, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("part", "sequence"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
