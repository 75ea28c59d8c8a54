"""What webhook endpoints and event destinations share: URLs, types of events, limit, secrets."""

import asyncio
import re
from collections.abc import Container
from dataclasses import replace

import msgspec

from meterbell.api.call import Call
from meterbell.delivery.target import parse_target
from meterbell.errors import InvalidParamError, LimitReachedError, SecretUnreadableError
from meterbell.ledger.deliveries import (
    CHANNEL_DISABLED,
    ENDPOINT_DISABLED,
    Receiver,
    disable,
    forgive,
)
from meterbell.ledger.transaction import Transaction
from meterbell.records import WebhookEndpoint
from meterbell.store.endpoint_secrets import old_secrets, rolled, secrets_of
from meterbell.store.tables import webhook_endpoint as table
from meterbell.vault import Vault
from meterbell.wire.event_types import API_VERSIONS, EVENT_TYPES
from meterbell.wire.signing import standard_key

KNOWN_EVENT_TYPES = EVENT_TYPES | {ENDPOINT_DISABLED, CHANNEL_DISABLED}
"""Types that a webhook endpoint can be subscribed to: Stripe's, and ours."""

ENDPOINTS_MAX = 16
"""Webhook endpoints and destinations together, in each mode."""

URL_MAX = 5000
ROLL_SECONDS_MAX = 24 * 3600
"""How long a secret that is replaced may go on signing, and how long it does by default."""

OLD_SECRETS_MAX = 5
_LOOKUP_SECONDS_MAX = 2.0
# Letters and digits are base64 as well: these are 33 bytes, with more than 256 random bits.
_SECRET_LENGTH = 44
_PREVIEW = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\.preview")


async def looked_up(call: Call, url: str | None) -> Call:
    """Return a call that knows where a URL leads at present, as far as that can be told quickly.

    A name that has no address yet, or whose name server doesn't answer, is no reason to refuse it:
    each attempt looks it up again, and the egress policy decides then.
    """
    try:
        target = parse_target(url or "")
    except ValueError:
        return call  # `check_url` says why
    if not isinstance(target.host, str):
        return replace(call, found=(target.host,))
    try:
        async with asyncio.timeout(_LOOKUP_SECONDS_MAX):
            found = await call.services.lookup.addresses(target.host)
    except (OSError, UnicodeError):
        return call
    return replace(call, found=tuple(found))


def check_url(call: Call, url: str, *, param: str) -> None:
    """Refuse what can't be posted to, or may not be (D4).

    Args:
        call: Knows where the URL leads, from `looked_up`.
        url: The URL.
        param: Wire path to name in the error.

    Raises:
        InvalidParamError: It is no absolute http(s) address, or the egress policy denies it.
    """
    try:
        target = parse_target(url)
    except ValueError as error:
        raise bad_url(str(error), param) from error
    for address in call.found or (None,):
        reason = call.services.egress.refusal(target, address, livemode=call.livemode)
        if reason is not None:
            raise bad_url(reason, param)


def bad_url(reason: str, param: str) -> InvalidParamError:
    """Return the error for a URL that can't be used."""
    return InvalidParamError(f"Invalid URL: {reason}", param=param, code="url_invalid")


def check_events(names: list[str], *, known: Container[str]) -> list[str]:
    """Return the types to subscribe to, each once.

    Raises:
        InvalidParamError: One of them is no type of event.
    """
    if not names:
        raise InvalidParamError(
            "Invalid array: enabled_events names at least one type.", param="enabled_events"
        )
    for index, name in enumerate(names):
        if name != "*" and name not in known:
            raise InvalidParamError(
                f"Invalid enabled_events[{index}]: {name[:60]} is no type of event. Use exact "
                "names, or * alone for all of them; a wildcard inside a name is not known here.",
                param=f"enabled_events[{index}]",
            )
    return list(dict.fromkeys(names))


def require_api_version(version: str | None, *, param: str) -> None:
    """Refuse an API version that there is not.

    Raises:
        InvalidParamError: There is none of that name.
    """
    if version is not None and version not in API_VERSIONS and not _PREVIEW.fullmatch(version):
        raise InvalidParamError(f"Invalid API version: {version[:40]}", param=param)


def require_place(transaction: Transaction, *, livemode: bool) -> None:
    """Refuse one endpoint or destination too many.

    Raises:
        LimitReachedError: There are as many as there may be.
    """
    count = transaction.objects.count(WebhookEndpoint, table.c.livemode == livemode)
    if count >= ENDPOINTS_MAX:
        raise LimitReachedError(
            f"You have reached the maximum of {ENDPOINTS_MAX} webhook endpoints and event "
            "destinations in this mode. Delete one to create another."
        )


def new_secret(transaction: Transaction) -> str:
    """Return a fresh signing secret, fit for Stripe's scheme and for Standard Webhooks."""
    return f"whsec_{transaction.ids.token(_SECRET_LENGTH)}"


def follow_change(transaction: Transaction, before: Receiver, *, status: str, url: str) -> None:
    """Do what follows from a changed status or address: what was known of its failures is over."""
    if status == "disabled" and before.status == "enabled":
        disable(transaction, before, reason="user")
    elif status == "enabled" and (before.status == "disabled" or url != before.url):
        forgive(transaction, before)


def roll_secret(
    transaction: Transaction, vault: Vault, endpoint: WebhookEndpoint, *, expire_in: int
) -> tuple[WebhookEndpoint, str]:
    """Replace an endpoint's secret, and sign with both for a while (D5).

    Args:
        transaction: Where it happens.
        vault: Where secrets are safe.
        endpoint: As it is.
        expire_in: Seconds for which the present secret signs as well.

    Returns:
        The endpoint as it is then, and the new secret.

    Raises:
        LimitReachedError: Too many replaced secrets still sign.
    """
    if expire_in > 0:
        _require_few(transaction, vault, endpoint)
    secret = new_secret(transaction)
    now_ms = transaction.now_ms
    changes = rolled(vault, endpoint, secret, now_ms=now_ms, ends_at_ms=now_ms + expire_in * 1000)
    if endpoint.is_destination:
        changes["updated_ms"] = now_ms
    transaction.objects.update(WebhookEndpoint, table.c.id == endpoint.id, **changes)
    transaction.forget_endpoints()
    return msgspec.structs.replace(endpoint, **changes), secret


def _require_few(transaction: Transaction, vault: Vault, endpoint: WebhookEndpoint) -> None:
    try:
        old = old_secrets(vault, endpoint, now_ms=transaction.now_ms)
    except SecretUnreadableError:
        return
    if len(old) >= OLD_SECRETS_MAX:
        ends_at = min(one.ends_at_ms for one in old) // 1000 + 1
        raise LimitReachedError(
            f"{OLD_SECRETS_MAX} older secrets of this endpoint still sign; one ends at {ends_at}. "
            "Wait for that, or send expire_in=0, which ends all of them now."
        )


def require_standard(vault: Vault, endpoint: WebhookEndpoint, *, now_ms: int, param: str) -> None:
    """Refuse Standard Webhooks for a secret that is not base64 of 24 to 64 bytes.

    Raises:
        InvalidParamError: The secret is an old one, or can't be decrypted.
    """
    try:
        is_fit = standard_key(secrets_of(vault, endpoint, now_ms=now_ms)[0]) is not None
    except SecretUnreadableError:
        is_fit = False
    if not is_fit:
        raise InvalidParamError(
            f"The secret of {endpoint.id} is not fit for Standard Webhooks: it was made by a "
            "version of meterbell without them. Roll it first, with POST …/roll_secret or "
            "`meterbell webhooks roll-secret`.",
            param=param,
        )
