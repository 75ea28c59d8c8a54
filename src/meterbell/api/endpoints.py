"""What webhook endpoints and event destinations share: their URLs, types of events and limit."""

import re
from collections.abc import Container
from urllib.parse import SplitResult, urlsplit

from meterbell.errors import InvalidParamError, LimitReachedError
from meterbell.ledger.transaction import Transaction
from meterbell.records import Delivery, WebhookEndpoint
from meterbell.store.tables import delivery
from meterbell.store.tables import webhook_endpoint as table
from meterbell.wire.event_types import API_VERSIONS

ENDPOINTS_MAX = 16
"""Webhook endpoints and destinations together, in each mode."""

URL_MAX = 5000
_SECRET_LENGTH = 43
_URL = re.compile(r"[\x21-\x7e]+")
_PREVIEW = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\.preview")


def check_url(url: str, *, livemode: bool, param: str) -> None:
    """Refuse what can't be posted to.

    Raises:
        InvalidParamError: `url` is no absolute http(s) address, or no https one in live mode.
    """
    if not _URL.fullmatch(url):
        raise InvalidParamError(
            "Invalid URL: it holds blanks or characters that a URL must percent-encode.",
            param=param,
            code="url_invalid",
        )
    parts = _split(url)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidParamError(
            f"Invalid URL: {url[:100]}. It begins with http:// or https:// and names a host.",
            param=param,
            code="url_invalid",
        )
    if parts.username is not None or parts.password is not None:
        raise InvalidParamError(
            "Invalid URL: it may not hold a user name or password. The signature proves who sends.",
            param=param,
            code="url_invalid",
        )
    if livemode and parts.scheme != "https":
        raise InvalidParamError(
            "Invalid URL: an endpoint in live mode must use https.", param=param, code="url_invalid"
        )


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises for a bad port
    except ValueError:
        return None
    return parts


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
    """Return a fresh signing secret."""
    return f"whsec_{transaction.ids.token(_SECRET_LENGTH)}"


def delete_endpoint(transaction: Transaction, endpoint: WebhookEndpoint) -> None:
    """Remove an endpoint or a destination; what was not delivered to it is given up."""
    transaction.objects.delete(WebhookEndpoint, table.c.id == endpoint.id)
    transaction.objects.update(
        Delivery,
        delivery.c.endpoint == endpoint.id,
        delivery.c.status == "pending",
        status="canceled",
        next_attempt_at_ms=None,
    )
    transaction.forget_endpoints()
