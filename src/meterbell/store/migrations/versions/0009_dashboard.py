"""the dashboard: users, sessions, links, audit; triggers in order; totals of meters by the hour."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0005"
branch_labels = None
depends_on = None

_Whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_Flag = sa.Boolean().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply the change."""
    _number_triggers()
    op.create_table(
        "dashboard_user",
        sa.Column("number", _Whole, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("password", sa.Text(), nullable=True),
        sa.Column("created", _Whole, nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id"),
        sa.UniqueConstraint("name"),
        sqlite_strict=True,
    )
    op.create_table(
        "dashboard_session",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("created_ms", _Whole, nullable=False),
        sa.Column("seen_ms", _Whole, nullable=False),
        sa.Column("expires_at_ms", _Whole, nullable=False),
        sa.PrimaryKeyConstraint("digest"),
        sqlite_strict=True,
    )
    op.create_index("dashboard_session_by_user", "dashboard_session", ["user"])
    op.create_table(
        "sign_in_link",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("expires_at_ms", _Whole, nullable=False),
        sa.PrimaryKeyConstraint("digest"),
        sqlite_strict=True,
    )
    op.create_table(
        "audit_entry",
        sa.Column("number", _Whole, nullable=False),
        sa.Column("at_ms", _Whole, nullable=False),
        sa.Column("livemode", _Flag, nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("object", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sqlite_strict=True,
    )
    op.create_index("audit_entry_by_object", "audit_entry", ["object", "number"])
    op.create_table(
        "meter_hour",
        sa.Column("meter", sa.Text(), nullable=False),
        sa.Column("hour", _Whole, autoincrement=False, nullable=False),
        sa.Column("total", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("meter", "hour"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def _number_triggers() -> None:
    """Number triggers in the order in which they were stored, so that lists can follow it."""
    op.rename_table("trigger", "trigger_before")
    op.create_table(
        "trigger",
        sa.Column("number", _Whole, nullable=False),
        sa.Column("alert", sa.Text(), nullable=False),
        sa.Column("customer", sa.Text(), nullable=False),
        sa.Column("window", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("sequence", _Whole, nullable=False),
        sa.Column("created_ms", _Whole, nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("alert", "customer", "window"),
        sqlite_strict=True,
    )
    op.create_index("trigger_by_alert", "trigger", ["alert", "number"])
    columns = 'alert, customer, "window", value, sequence, created_ms, event'
    op.execute(
        f'INSERT INTO "trigger" ({columns})'  # noqa: S608 - names of columns, nothing else
        f" SELECT {columns} FROM trigger_before ORDER BY rowid"
    )
    op.drop_table("trigger_before")
