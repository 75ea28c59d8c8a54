"""customers are listed by mode and found by name without reading all of them."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the change."""
    name = sa.text("json_extract(details, '$.name') COLLATE \"NOCASE\"")
    op.create_index("customer_by_name", "customer", ["livemode", name])
    op.create_index("customer_by_mode", "customer", ["livemode", "deleted"])
