"""API versions, and what differs between them."""

DEFAULT_API_VERSION = "2026-10-28.endive"
"""The version that events are rendered with where an endpoint names none."""
