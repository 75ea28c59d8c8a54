"""Webhook endpoints: five calls (contract §2.13), and ours that rolls the secret."""

from dataclasses import replace
from typing import Any

import msgspec

from meterbell.api.call import Call, Operation, no_such
from meterbell.api.endpoints import (
    KNOWN_EVENT_TYPES,
    ROLL_SECONDS_MAX,
    URL_MAX,
    check_events,
    check_url,
    follow_change,
    looked_up,
    new_secret,
    require_api_version,
    require_place,
    require_standard,
    roll_secret,
)
from meterbell.api.find import find_in_path
from meterbell.api.lists import PAGING, list_objects
from meterbell.api.metadata import merge_metadata
from meterbell.api.params import UNSET, Array, Boolean, Integer, Metadata, Param, Text
from meterbell.ids import new_id
from meterbell.ledger.deliveries import remove
from meterbell.ledger.transaction import Transaction
from meterbell.records import WebhookEndpoint
from meterbell.store.endpoint_secrets import seal_secret
from meterbell.store.objects import Objects
from meterbell.store.tables import webhook_endpoint as table
from meterbell.wire.objects import render_deleted, render_webhook_endpoint

_NOUN = "webhook endpoint"

_FIELDS: dict[str, Param] = {
    "description": Text(can_unset=True),
    "metadata": Metadata(),
    "standard_webhooks": Boolean(
        description="Ours: whether deliveries carry the headers of Standard Webhooks too."
    ),
}
_URL_PARAM = Text(length_max=URL_MAX, required=True, description="Where events are posted.")
_EVENTS_PARAM = Array(
    item=Text(length_max=255),
    items_max=len(KNOWN_EVENT_TYPES) + 1,
    required=True,
    description="Types of events, or `*` for all of them.",
)


def _find(objects: Objects, call: Call) -> WebhookEndpoint:
    """Return the endpoint named in the path; a destination of the v2 API is none.

    Raises:
        NotFoundError: There is none in this mode.
    """
    endpoint = find_in_path(objects, call, WebhookEndpoint, noun=_NOUN, placeholder="id")
    if endpoint.is_destination:
        raise no_such(_NOUN, endpoint.id)
    return endpoint


async def _look_up(call: Call) -> Call:
    return await looked_up(call, call.params.get("url"))


def _create(call: Call, transaction: Transaction) -> dict[str, Any]:
    params, objects = call.params, transaction.objects
    check_url(call, params["url"], param="url")
    version = params.get("api_version")
    require_api_version(version, param="api_version")
    events = check_events(params["enabled_events"], known=KNOWN_EVENT_TYPES)
    require_place(transaction, livemode=call.livemode)
    endpoint_id, secret = new_id(transaction.ids, "we"), new_secret(transaction)
    endpoint = WebhookEndpoint(
        id=endpoint_id,
        livemode=call.livemode,
        created=transaction.now,
        url=params["url"],
        enabled_events=events,
        api_version=version,
        description=params.get("description") or None,
        metadata=merge_metadata({}, params),
        status="enabled",
        secret=seal_secret(call.services.vault, endpoint_id, secret),
        standard_webhooks=params.get("standard_webhooks", False),
    )
    objects.insert(endpoint)
    transaction.forget_endpoints()
    return render_webhook_endpoint(endpoint, secret=secret)


def _retrieve(call: Call) -> dict[str, Any]:
    objects = call.services.store.reader
    return render_webhook_endpoint(_find(objects, call))


def _update(call: Call, transaction: Transaction) -> dict[str, Any]:
    params, objects = call.params, transaction.objects
    before = _find(objects, call)
    if "url" in params:
        check_url(call, params["url"], param="url")
    status = before.status
    if "disabled" in params:
        status = "disabled" if params["disabled"] else "enabled"
    description = params.get("description", before.description)
    changes: dict[str, Any] = {
        "url": params.get("url", before.url),
        "enabled_events": check_events(
            params.get("enabled_events", before.enabled_events), known=KNOWN_EVENT_TYPES
        ),
        "description": None if description == UNSET else description,
        "metadata": merge_metadata(before.metadata, params),
        "status": status,
        "standard_webhooks": params.get("standard_webhooks", before.standard_webhooks),
    }
    if changes["standard_webhooks"] and not before.standard_webhooks:
        require_standard(
            call.services.vault, before, now_ms=transaction.now_ms, param="standard_webhooks"
        )
    objects.update(WebhookEndpoint, table.c.id == before.id, **changes)
    transaction.forget_endpoints()
    follow_change(transaction, before, status=status, url=changes["url"])
    return render_webhook_endpoint(msgspec.structs.replace(before, **changes))


def _roll_secret(call: Call, transaction: Transaction) -> dict[str, Any]:
    endpoint, secret = roll_secret(
        transaction,
        call.services.vault,
        _find(transaction.objects, call),
        expire_in=call.params.get("expire_in", ROLL_SECONDS_MAX),
    )
    return render_webhook_endpoint(endpoint, secret=secret)


def _delete(call: Call, transaction: Transaction) -> dict[str, Any]:
    endpoint = _find(transaction.objects, call)
    remove(transaction, endpoint)
    return render_deleted("webhook_endpoint", endpoint.id)


def _list(call: Call) -> dict[str, Any]:
    where = [table.c.livemode == call.livemode, table.c.event_payload.is_(None)]
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
        prepare=_look_up,
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
        prepare=_look_up,
        write=_update,
    ),
    Operation(
        method="DELETE",
        path="/v1/webhook_endpoints/{id}",
        summary="Delete a webhook endpoint; what was not delivered to it is given up",
        returns="deleted_webhook_endpoint",
        write=_delete,
    ),
    Operation(
        method="POST",
        path="/v1/webhook_endpoints/{id}/roll_secret",
        summary="Replace a webhook endpoint's secret; only this answer shows the new one",
        returns="webhook_endpoint",
        params={
            "expire_in": Integer(
                minimum=0,
                maximum=ROLL_SECONDS_MAX,
                description="Seconds for which the present secret signs as well; by default a day.",
            )
        },
        write=_roll_secret,
    ),
]
