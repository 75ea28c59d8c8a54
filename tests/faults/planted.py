"""Deliveries of live mode and what they need, written into the database of a server that is off."""

import json
from pathlib import Path

import apsw

from meterbell.ids import RandomIds
from meterbell.store.endpoint_secrets import seal_secret
from meterbell.store.sealing import unlock
from meterbell.vault import Vault

SECRET = "whsec_0123456789"


def vault_of(database: Path) -> Vault:
    """Return what seals the secrets in a database, with the key beside it."""
    key_file = database.with_name("secret-keys")
    return unlock(database, keys=None, key_file=key_file, ids=RandomIds())


def plant_endpoint(
    connection: apsw.Connection,
    vault: Vault,
    endpoint: str,
    url: str,
    *,
    event_type: str,
    now_ms: int,
) -> None:
    """Write a webhook endpoint for events of a type, or of all with an asterisk."""
    connection.execute(
        "INSERT INTO webhook_endpoint (id, livemode, created, url, enabled_events, metadata,"
        " status, secret) VALUES (?, 1, ?, ?, ?, '{}', 'enabled', ?)",
        (
            endpoint,
            now_ms // 1000,
            url,
            json.dumps([event_type]),
            seal_secret(vault, endpoint, SECRET),
        ),
    )


def plant_event(connection: apsw.Connection, event: str, *, deliveries: int, now_ms: int) -> None:
    """Write an event."""
    connection.execute(
        "INSERT INTO event (id, livemode, created, type, api_version, data, deliveries)"
        " VALUES (?, 1, ?, 'product.created', '2026-10-28.endive', '{\"object\": {}}', ?)",
        (event, now_ms // 1000, deliveries),
    )


def plant_delivery(connection: apsw.Connection, event: str, endpoint: str, *, now_ms: int) -> None:
    """Write a delivery that is due."""
    connection.execute(
        "INSERT INTO delivery (event, endpoint, livemode, created_ms, status, attempts,"
        " next_attempt_at_ms) VALUES (?, ?, 1, ?, 'pending', 0, ?)",
        (event, endpoint, now_ms, now_ms),
    )
