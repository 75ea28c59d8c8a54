"""Webhook endpoints: five calls (contract §2.13)."""

import re
from dataclasses import replace
from typing import Any
from urllib.parse import SplitResult, urlsplit

import msgspec

from meterbell.api.call import Call, Operation
from meterbell.api.find import find_in_path
from meterbell.api.lists import PAGING, list_objects
from meterbell.api.metadata import merge_metadata
from meterbell.api.params import UNSET, Array, Boolean, Metadata, Param, Text
from meterbell.errors import InvalidParamError, LimitReachedError
from meterbell.ids import new_id
from meterbell.ledger.transaction import Transaction
from meterbell.records import Delivery, WebhookEndpoint
from meterbell.store.tables import delivery
from meterbell.store.tables import webhook_endpoint as table
from meterbell.wire.event_types import API_VERSIONS, EVENT_TYPES
from meterbell.wire.objects import render_deleted, render_webhook_endpoint

_ENDPOINTS_MAX = 16
_SECRET_LENGTH = 43
_URL_MAX = 5000
_URL = re.compile(r"[\x21-\x7e]+")
_PREVIEW = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\.preview")
_NOUN = "webhook endpoint"

_FIELDS: dict[str, Param] = {
    "description": Text(can_unset=True),
    "metadata": Metadata(),
}
_URL_PARAM = Text(length_max=_URL_MAX, required=True, description="Where events are posted.")
_EVENTS_PARAM = Array(
    item=Text(length_max=255),
    items_max=len(EVENT_TYPES) + 1,
    required=True,
    description="Types of events, or `*` for all of them.",
)


def _check_url(url: str, *, livemode: bool) -> None:
    """Refuse what can't be posted to.

    Raises:
        InvalidParamError: `url` is no absolute http(s) address, or no https one in live mode.
    """
    if not _URL.fullmatch(url):
        raise InvalidParamError(
            "Invalid URL: it holds blanks or characters that a URL must percent-encode.",
            param="url",
            code="url_invalid",
        )
    parts = _split(url)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidParamError(
            f"Invalid URL: {url[:100]}. It begins with http:// or https:// and names a host.",
            param="url",
            code="url_invalid",
        )
    if parts.username is not None or parts.password is not None:
        raise InvalidParamError(
            "Invalid URL: it may not hold a user name or password. The signature proves who sends.",
            param="url",
            code="url_invalid",
        )
    if livemode and parts.scheme != "https":
        raise InvalidParamError(
            "Invalid URL: an endpoint in live mode must use https.", param="url", code="url_invalid"
        )


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises for a bad port
    except ValueError:
        return None
    return parts


def _check_events(names: list[str]) -> list[str]:
    """Return the types to subscribe to, each once.

    Raises:
        InvalidParamError: One of them is no type of event.
    """
    if not names:
        raise InvalidParamError(
            "Invalid array: enabled_events names at least one type.", param="enabled_events"
        )
    for index, name in enumerate(names):
        if name != "*" and name not in EVENT_TYPES:
            raise InvalidParamError(
                f"Invalid enabled_events[{index}]: {name[:60]} is no type of event. Use exact "
                "names, or * alone for all of them; a wildcard inside a name is not known here.",
                param=f"enabled_events[{index}]",
            )
    return list(dict.fromkeys(names))


def _create(call: Call, transaction: Transaction) -> dict[str, Any]:
    params, objects = call.params, transaction.objects
    _check_url(params["url"], livemode=call.livemode)
    version = params.get("api_version")
    if version is not None and version not in API_VERSIONS and not _PREVIEW.fullmatch(version):
        raise InvalidParamError(f"Invalid API version: {version[:40]}", param="api_version")
    events = _check_events(params["enabled_events"])
    if objects.count(WebhookEndpoint, table.c.livemode == call.livemode) >= _ENDPOINTS_MAX:
        raise LimitReachedError(
            f"You have reached the maximum of {_ENDPOINTS_MAX} webhook endpoints in this mode. "
            "Delete one to create another."
        )
    endpoint = WebhookEndpoint(
        id=new_id(transaction.ids, "we"),
        livemode=call.livemode,
        created=transaction.now,
        url=params["url"],
        enabled_events=events,
        api_version=version,
        description=params.get("description") or None,
        metadata=merge_metadata({}, params),
        status="enabled",
        secret=f"whsec_{transaction.ids.token(_SECRET_LENGTH)}",
    )
    objects.insert(endpoint)
    transaction.forget_endpoints()
    return render_webhook_endpoint(endpoint, with_secret=True)


def _retrieve(call: Call) -> dict[str, Any]:
    objects = call.services.store.reader
    return render_webhook_endpoint(
        find_in_path(objects, call, WebhookEndpoint, noun=_NOUN, placeholder="id")
    )


def _update(call: Call, transaction: Transaction) -> dict[str, Any]:
    params, objects = call.params, transaction.objects
    before = find_in_path(objects, call, WebhookEndpoint, noun=_NOUN, placeholder="id")
    if "url" in params:
        _check_url(params["url"], livemode=call.livemode)
    status = before.status
    if "disabled" in params:
        status = "disabled" if params["disabled"] else "enabled"
    description = params.get("description", before.description)
    changes: dict[str, Any] = {
        "url": params.get("url", before.url),
        "enabled_events": _check_events(params.get("enabled_events", before.enabled_events)),
        "description": None if description == UNSET else description,
        "metadata": merge_metadata(before.metadata, params),
        "status": status,
    }
    objects.update(WebhookEndpoint, table.c.id == before.id, **changes)
    transaction.forget_endpoints()
    return render_webhook_endpoint(msgspec.structs.replace(before, **changes))


def _delete(call: Call, transaction: Transaction) -> dict[str, Any]:
    objects = transaction.objects
    endpoint = find_in_path(objects, call, WebhookEndpoint, noun=_NOUN, placeholder="id")
    objects.delete(WebhookEndpoint, table.c.id == endpoint.id)
    objects.update(
        Delivery,
        delivery.c.endpoint == endpoint.id,
        delivery.c.status == "pending",
        status="canceled",
        next_attempt_at_ms=None,
    )
    transaction.forget_endpoints()
    return render_deleted("webhook_endpoint", endpoint.id)


def _list(call: Call) -> dict[str, Any]:
    where = [table.c.livemode == call.livemode]
    return list_objects(call, WebhookEndpoint, where, render_webhook_endpoint, noun=_NOUN)


OPERATIONS = [
    Operation(
        method="POST",
        path="/v1/webhook_endpoints",
        summary="Create a webhook endpoint; only this answer shows its secret",
        returns="webhook_endpoint",
        params={
            "url": _URL_PARAM,
            "enabled_events": _EVENTS_PARAM,
            "api_version": Text(description="The version its events are written in."),
            "connect": Boolean(description="Accepted and ignored: there are no other accounts."),
            **_FIELDS,
        },
        write=_create,
    ),
    Operation(
        method="GET",
        path="/v1/webhook_endpoints",
        summary="List webhook endpoints",
        returns="list:webhook_endpoint",
        params=PAGING,
        read=_list,
    ),
    Operation(
        method="GET",
        path="/v1/webhook_endpoints/{id}",
        summary="Retrieve a webhook endpoint",
        returns="webhook_endpoint",
        read=_retrieve,
    ),
    Operation(
        method="POST",
        path="/v1/webhook_endpoints/{id}",
        summary="Update, disable or enable a webhook endpoint",
        returns="webhook_endpoint",
        params={
            "url": replace(_URL_PARAM, required=False),
            "enabled_events": replace(_EVENTS_PARAM, required=False),
            "disabled": Boolean(),
            **_FIELDS,
        },
        write=_update,
    ),
    Operation(
        method="DELETE",
        path="/v1/webhook_endpoints/{id}",
        summary="Delete a webhook endpoint; what was not delivered to it is given up",
        returns="deleted_webhook_endpoint",
        write=_delete,
    ),
]
