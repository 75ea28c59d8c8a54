"""The signing secrets of an endpoint: the present one, and replaced ones for a while (D5)."""

from contextlib import suppress
from typing import Any

import msgspec

from meterbell.errors import SecretUnreadableError
from meterbell.records import WebhookEndpoint
from meterbell.store import tables
from meterbell.store.sealing import row
from meterbell.vault import Vault


class OldSecret(msgspec.Struct, frozen=True):
    """A secret that was replaced and signs until its end."""

    secret: str
    ends_at_ms: int


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[OldSecret]).decode


def seal_secret(vault: Vault, endpoint_id: str, secret: str) -> str:
    """Return the `secret` column of an endpoint."""
    return vault.seal(secret, about=row(tables.webhook_endpoint, endpoint_id))


def secrets_of(vault: Vault, endpoint: WebhookEndpoint, *, now_ms: int) -> list[str]:
    """Return the secrets to sign with at an instant, the newest first.

    Raises:
        SecretUnreadableError: They can't be decrypted.
    """
    present = vault.open(endpoint.secret, about=row(tables.webhook_endpoint, endpoint.id))
    return [present, *(old.secret for old in old_secrets(vault, endpoint, now_ms=now_ms))]


def old_secrets(vault: Vault, endpoint: WebhookEndpoint, *, now_ms: int) -> list[OldSecret]:
    """Return the replaced secrets that still sign, the newest first.

    Raises:
        SecretUnreadableError: They can't be decrypted.
    """
    if endpoint.old_secrets is None:
        return []
    text = vault.open(endpoint.old_secrets, about=row(tables.webhook_endpoint, endpoint.id))
    return [old for old in _decode(text) if old.ends_at_ms > now_ms]


def rolled(
    vault: Vault, endpoint: WebhookEndpoint, secret: str, *, now_ms: int, ends_at_ms: int
) -> dict[str, Any]:
    """Return the columns of an endpoint whose secret is replaced.

    Secrets that were replaced earlier end no later than this one. What can't be decrypted ends now,
    for it could not sign anyway: so a new secret helps where the old one is damaged.

    Args:
        vault: Where secrets are safe.
        endpoint: As it is.
        secret: The new one.
        now_ms: The present.
        ends_at_ms: Until when the present one signs as well.
    """
    about = row(tables.webhook_endpoint, endpoint.id)
    kept: list[OldSecret] = []
    if ends_at_ms > now_ms:
        with suppress(SecretUnreadableError):
            kept.append(OldSecret(vault.open(endpoint.secret, about=about), ends_at_ms))
        with suppress(SecretUnreadableError):
            kept += [
                OldSecret(old.secret, min(old.ends_at_ms, ends_at_ms))
                for old in old_secrets(vault, endpoint, now_ms=now_ms)
            ]
    text = _encode(kept).decode() if kept else None
    return {
        "secret": vault.seal(secret, about=about),
        "old_secrets": None if text is None else vault.seal(text, about=about),
    }
