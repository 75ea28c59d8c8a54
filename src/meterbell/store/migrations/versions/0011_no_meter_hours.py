"""no totals of meters by the hour: usage over time is read from the counters' own hours."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the change."""
    op.drop_table("meter_hour")
