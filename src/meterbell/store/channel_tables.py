"""The table of notification channels."""

from sqlalchemy import Column, Table, Text

from meterbell.store.tables import Flag, Whole, metadata, number_column

notification_channel = Table(
    "notification_channel",
    metadata,
    number_column(),
    Column("id", Text, nullable=False, unique=True),
    Column("livemode", Flag, nullable=False),
    Column("created", Whole, nullable=False),
    Column("name", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("shown_url", Text, nullable=False),
    Column("service", Text, nullable=False),
    Column("alerts", Text, nullable=False),
    Column("title", Text),
    Column("body", Text),
    Column("status", Text, nullable=False),
    sqlite_strict=True,
)
"""Where people are told of alerts. Their deliveries stand beside those of webhook endpoints."""
