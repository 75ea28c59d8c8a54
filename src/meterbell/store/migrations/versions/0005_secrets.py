"""secrets of endpoints that were replaced, Standard Webhooks, digests of Idempotency-Keys."""

import hashlib

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_Flag = sa.Boolean().with_variant(sa.Integer(), "sqlite")
_ROWS_AT_ONCE = 500


def upgrade() -> None:
    """Apply the change; what is plain text is encrypted afterwards, by `store.sealing`."""
    op.add_column("webhook_endpoint", sa.Column("old_secrets", sa.Text(), nullable=True))
    op.add_column(
        "webhook_endpoint",
        sa.Column("standard_webhooks", _Flag, server_default=sa.text("0"), nullable=False),
    )
    connection = op.get_bind()
    last = 0
    while rows := connection.execute(
        sa.text("SELECT rowid, key FROM idempotent_reply WHERE rowid > :last LIMIT :limit"),
        {"last": last, "limit": _ROWS_AT_ONCE},
    ).fetchall():
        for row_id, key in rows:
            digest = hashlib.blake2b(key.encode(), digest_size=16).hexdigest()
            connection.execute(
                sa.text("UPDATE idempotent_reply SET key = :key WHERE rowid = :row_id"),
                {"key": digest, "row_id": row_id},
            )
        last = rows[-1][0]
