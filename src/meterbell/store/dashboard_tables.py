"""The tables of the dashboard: users, what they changed, and use of keys."""

from sqlalchemy import Column, Index, LargeBinary, Table, Text, collate, func, literal_column

from meterbell.store.tables import Flag, Whole, customer, metadata, number_column

dashboard_user = Table(
    "dashboard_user",
    metadata,
    number_column(),
    Column("id", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False, unique=True),
    Column("role", Text, nullable=False),
    Column("password", Text),
    Column("created", Whole, nullable=False),
    sqlite_strict=True,
)
"""`role` is viewer, editor or admin; `password` names its slow hash, or is null."""

dashboard_session = Table(
    "dashboard_session",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("user", Text, nullable=False),
    Column("created_ms", Whole, nullable=False),
    Column("seen_ms", Whole, nullable=False),
    Column("expires_at_ms", Whole, nullable=False),
    Index("dashboard_session_by_user", "user"),
    sqlite_strict=True,
)
"""Browsers that are signed in, by the SHA-256 of their cookie."""

sign_in_link = Table(
    "sign_in_link",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("user", Text, nullable=False),
    Column("expires_at_ms", Whole, nullable=False),
    sqlite_strict=True,
)
"""One-time links that were not used yet, by the SHA-256 of their token."""

audit_entry = Table(
    "audit_entry",
    metadata,
    number_column(),
    Column("at_ms", Whole, nullable=False),
    Column("livemode", Flag),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("object", Text),
    Column("address", Text, nullable=False),
    Column("details", Text, nullable=False),
    Index("audit_entry_by_object", "object", "number"),
    sqlite_strict=True,
)
"""What people changed through the dashboard or its commands; `details` is a JSON object."""

api_key_use = Table(
    "api_key_use",
    metadata,
    Column("key", Text, primary_key=True),
    Column("used_ms", Whole, nullable=False),
    sqlite_strict=True,
)
"""When API keys were used last, by their id."""

customer_alert = Table(
    "customer_alert",
    metadata,
    number_column(),
    Column("alert", Text, nullable=False, unique=True),
    Column("livemode", Flag, nullable=False),
    Column("customer", Text, nullable=False),
    Column("created", Whole, nullable=False),
    Index("customer_alert_by_customer", "customer", "created"),
    sqlite_strict=True,
)
"""Alerts that customers set for themselves, on their pages; nothing else may be archived there."""

customer_name = collate(func.json_extract(customer.c.details, literal_column("'$.name'")), "NOCASE")
"""A customer's name as people look for it, written as the index below has it."""

Index("customer_by_name", customer.c.livemode, customer_name)
Index("customer_by_mode", customer.c.livemode, customer.c.deleted)
