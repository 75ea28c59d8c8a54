"""Telling the outside world: outbox → signed POST, and those who listen."""
