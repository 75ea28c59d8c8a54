"""Secrets at rest: sealed before they are written, opened where they are used (D5).

A sealed secret is `sealed:1:KEY:DATA`: the id of the key it was sealed with, and in base64 the
random bytes, the AES-256-GCM cipher text and its tag. What it is `about` is bound to it, so a
secret that was moved to another row does not open there.

Each secret is encrypted with a key of its own, made of a vault key and 16 random bytes. With the
vault key itself, random nonces would be safe for some four billion secrets only.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from meterbell.errors import SecretUnreadableError, SettingsError
from meterbell.ids import IdSource

_KEY_BYTES = 32
_SALT_BYTES = 16
_NONCE_BYTES = 12
_HEAD_BYTES = _SALT_BYTES + _NONCE_BYTES
_SEALED = re.compile(r"sealed:1:([0-9a-f]{16}):([A-Za-z0-9_-]+)")
_SPACE = re.compile(r"[\s,]+")


class VaultKey(NamedTuple):
    """A key of a vault; its id tells it from others and says nothing of it."""

    id: str
    secret: bytes

    @property
    def text(self) -> str:
        """The key as people keep it, in base64."""
        return base64.b64encode(self.secret).decode()


def generate_key(ids: IdSource) -> VaultKey:
    """Return a fresh key."""
    return _key(ids.raw(_KEY_BYTES))


def parse_keys(text: str, *, where: str) -> list[VaultKey]:
    """Return the keys written in `text`, parted by commas, blanks or lines.

    Args:
        text: Keys in base64, 32 random bytes each; what follows a `#` is no key.
        where: To name in the error.

    Raises:
        SettingsError: One of them is no key.
    """
    lines = (line.partition("#")[0] for line in text.splitlines())
    return [_parse_key(word, where) for word in _SPACE.split(" ".join(lines)) if word]


def _parse_key(word: str, where: str) -> VaultKey:
    try:
        secret = base64.b64decode(word.replace("-", "+").replace("_", "/"), validate=True)
    except ValueError:
        secret = b""
    if len(secret) != _KEY_BYTES:
        raise SettingsError(
            f"{where} holds something that is no key. A key is {_KEY_BYTES} random bytes in "
            "base64, as `openssl rand -base64 32` prints them."
        )
    return _key(secret)


def _key(secret: bytes) -> VaultKey:
    return VaultKey(hashlib.sha256(b"meterbell key id" + secret).hexdigest()[:16], secret)


def key_of(sealed: str) -> str | None:
    """Return the id of the key that a secret is sealed with; None if it is not sealed."""
    match = _SEALED.fullmatch(sealed)
    return match[1] if match else None


class Vault:
    """Seals with the first of its keys, and opens what was sealed with any of them."""

    def __init__(self, keys: Sequence[VaultKey], ids: IdSource) -> None:
        """Prepare.

        Args:
            keys: At least one.
            ids: Where random bytes come from.
        """
        self._first = keys[0]
        self._secrets = {key.id: key.secret for key in keys}
        self._ids = ids

    @property
    def key_id(self) -> str:
        """Id of the key that seals."""
        return self._first.id

    def has_key(self, key_id: str) -> bool:
        """Return whether it can open what was sealed with a key."""
        return key_id in self._secrets

    def derive(self, purpose: str) -> bytes:
        """Return a key for signing what is not kept; a new first key of the vault changes it."""
        # Longer than the random bytes that keys of secrets are made from, so never one of those.
        message = f"meterbell derived key: {purpose}"
        return hmac.digest(self._first.secret, message.encode(), "sha256")

    def seal(self, text: str, *, about: str) -> str:
        """Return `text` encrypted.

        Args:
            text: A secret.
            about: What it belongs to, such as table and row; the same words open it.
        """
        head = self._ids.raw(_HEAD_BYTES)
        data = head + _cipher(self._first.secret, head).encrypt(
            head[_SALT_BYTES:], text.encode(), about.encode()
        )
        return f"sealed:1:{self.key_id}:{base64.urlsafe_b64encode(data).rstrip(b'=').decode()}"

    def open(self, sealed: str, *, about: str) -> str:
        """Return what was sealed.

        Raises:
            SecretUnreadableError: It was changed or moved, or the key is not there.
        """
        match = _SEALED.fullmatch(sealed)
        secret = self._secrets.get(match[1]) if match else None
        if match is None or secret is None:
            reason = "it is not sealed" if match is None else f"there is no key {match[1]}"
            raise SecretUnreadableError(f"The secret of {about} can't be decrypted: {reason}.")
        try:
            data = base64.urlsafe_b64decode(match[2] + "=" * (-len(match[2]) % 4))
            head = data[:_HEAD_BYTES]
            text = _cipher(secret, head).decrypt(
                head[_SALT_BYTES:], data[_HEAD_BYTES:], about.encode()
            )
        except (ValueError, InvalidTag) as error:
            raise SecretUnreadableError(
                f"The secret of {about} can't be decrypted: it was changed since it was written."
            ) from error
        return text.decode()


def _cipher(secret: bytes, head: bytes) -> AESGCM:
    return AESGCM(hmac.digest(secret, head[:_SALT_BYTES], "sha256"))
