"""Event destinations: eight calls (contract §2.12), and ours that rolls the secret.

A destination is a row among the webhook endpoints and is delivered to in the same way.
"""

from typing import Any

import msgspec
from msgspec import UNSET

from meterbell.api.call import Call, no_such
from meterbell.api.endpoints import (
    KNOWN_EVENT_TYPES,
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
from meterbell.api.params import METADATA_KEYS_MAX, Array, Choice, Param
from meterbell.api.v2.destination_bodies import (
    CreateDestination,
    RollSecret,
    Target,
    TargetChanges,
    UpdateDestination,
)
from meterbell.api.v2.paging import PAGING, list_page
from meterbell.api.v2.route import NoParams, Route
from meterbell.errors import InvalidParamError
from meterbell.ids import new_id
from meterbell.ledger.deliveries import remove
from meterbell.ledger.transaction import Transaction
from meterbell.records import WebhookEndpoint
from meterbell.store.endpoint_secrets import seal_secret
from meterbell.store.objects import Objects
from meterbell.store.tables import webhook_endpoint as table
from meterbell.wire.event_types import THIN_EVENT_TYPES
from meterbell.wire.objects_v2 import render_destination, render_thin_event
from meterbell.wire.versions import DEFAULT_API_VERSION

_NOUN = "event destination"
_SECRET, _URL = "webhook_endpoint.signing_secret", "webhook_endpoint.url"
_PING = "v2.core.event_destination.ping"

_INCLUDE: dict[str, Param] = {
    "include": Array(
        item=Choice(values=(_URL,)),
        description="Fields that are null in the answer unless they stand here.",
    )
}


def _find(objects: Objects, call: Call) -> WebhookEndpoint:
    """Return the destination named in the path; a webhook endpoint of the v1 API is none.

    Raises:
        NotFoundError: There is none in this mode.
    """
    endpoint = find_in_path(objects, call, WebhookEndpoint, noun=_NOUN, placeholder="id")
    if not endpoint.is_destination:
        raise no_such(_NOUN, endpoint.id)
    return endpoint


async def _look_up(call: Call, body: CreateDestination | UpdateDestination) -> Call:
    target = body.webhook_endpoint
    url = target.url if isinstance(target, Target | TargetChanges) else None
    return await looked_up(call, None if url is UNSET else url)


def _target(call: Call, body: CreateDestination) -> Target:
    """Return where and how a new destination is told.

    Raises:
        InvalidParamError: It is of a kind that is not delivered to, or its URL is not acceptable.
    """
    if body.type != "webhook_endpoint":
        raise InvalidParamError(
            f"Destinations of type {body.type} are not available here: meterbell delivers over "
            "HTTP only. Use type webhook_endpoint with webhook_endpoint.url.",
            param="type",
        )
    for name in ("amazon_eventbridge", "azure_event_grid"):
        if getattr(body, name) is not None:
            raise InvalidParamError(
                f"{name} can't be given for a destination of type webhook_endpoint.", param=name
            )
    if body.webhook_endpoint is None:
        raise InvalidParamError(
            "Missing required param: webhook_endpoint.url.",
            param="webhook_endpoint.url",
            code="parameter_missing",
        )
    check_url(call, body.webhook_endpoint.url, param="webhook_endpoint.url")
    return body.webhook_endpoint


def _check_source(events_from: list[str] | None) -> None:
    if events_from is not None and events_from != ["@self"]:
        raise InvalidParamError(
            "Invalid events_from: there are no other accounts here; leave it out, or send "
            '["@self"].',
            param="events_from",
        )


def _api_version(body: CreateDestination) -> str | None:
    """Return the version that a destination's events are written in; None for thin ones."""
    if body.event_payload == "thin":
        if body.snapshot_api_version is not None:
            raise InvalidParamError(
                "snapshot_api_version can't be given with event_payload thin: thin events have no "
                "version.",
                param="snapshot_api_version",
            )
        return None
    require_api_version(body.snapshot_api_version, param="snapshot_api_version")
    return body.snapshot_api_version or DEFAULT_API_VERSION


def _types(names: list[str], event_payload: str | None) -> list[str]:
    known = THIN_EVENT_TYPES if event_payload == "thin" else KNOWN_EVENT_TYPES
    return check_events(names, known=known)


def _create(call: Call, body: CreateDestination, transaction: Transaction) -> dict[str, Any]:
    target = _target(call, body)
    _check_source(body.events_from)
    version = _api_version(body)
    events = _types(body.enabled_events, body.event_payload)
    require_place(transaction, livemode=call.livemode)
    endpoint_id = new_id(transaction.ids, "ed", livemode=call.livemode)
    secret = new_secret(transaction)
    endpoint = WebhookEndpoint(
        id=endpoint_id,
        livemode=call.livemode,
        created=transaction.now,
        url=target.url,
        enabled_events=events,
        api_version=version,
        description=body.description or None,
        metadata=body.metadata or {},
        status="enabled",
        secret=seal_secret(call.services.vault, endpoint_id, secret),
        name=body.name,
        event_payload=body.event_payload,
        updated_ms=transaction.now_ms,
        standard_webhooks=target.standard_webhooks,
    )
    transaction.objects.insert(endpoint)
    transaction.forget_endpoints()
    include = body.include or []
    return render_destination(
        endpoint, with_url=_URL in include, secret=secret if _SECRET in include else None
    )


def _with_url(call: Call) -> bool:
    return _URL in call.params.get("include", [])


def _retrieve(call: Call) -> dict[str, Any]:
    endpoint = _find(call.services.store.reader, call)
    return render_destination(endpoint, with_url=_with_url(call))


def _list(call: Call) -> dict[str, Any]:
    with_url = _with_url(call)
    return list_page(
        call,
        WebhookEndpoint,
        [table.c.livemode == call.livemode, table.c.event_payload.is_not(None)],
        lambda endpoint: render_destination(endpoint, with_url=with_url),
        number_of=lambda endpoint: endpoint.number,
    )


def _merged(before: dict[str, str], given: dict[str, str | None] | None) -> dict[str, str]:
    """Return metadata with a request's changes; null deletes a key, or all of them.

    Raises:
        InvalidParamError: It would have too many keys.
    """
    if given is None:
        return {}
    merged = {key: value for key, value in {**before, **given}.items() if value is not None}
    if len(merged) > METADATA_KEYS_MAX:
        raise InvalidParamError(
            f"Metadata can have up to {METADATA_KEYS_MAX} keys; this object would have "
            f"{len(merged)}.",
            param="metadata",
        )
    return merged


def _update(call: Call, body: UpdateDestination, transaction: Transaction) -> dict[str, Any]:
    before = _find(transaction.objects, call)
    changes: dict[str, Any] = {}
    if body.name is not UNSET:
        changes["name"] = body.name
    if body.description is not UNSET:
        changes["description"] = body.description or None
    if body.enabled_events is not UNSET:
        changes["enabled_events"] = _types(body.enabled_events, before.event_payload)
    if body.metadata is not UNSET:
        changes["metadata"] = _merged(before.metadata, body.metadata)
    if body.webhook_endpoint is not UNSET:
        changes |= _target_changes(call, transaction, before, body.webhook_endpoint)
    endpoint = _change(transaction, before, changes)
    return render_destination(endpoint, with_url=_URL in (body.include or []))


def _target_changes(
    call: Call, transaction: Transaction, before: WebhookEndpoint, given: TargetChanges
) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if given.url is not UNSET:
        check_url(call, given.url, param="webhook_endpoint.url")
        changes["url"] = given.url
    if given.standard_webhooks is not UNSET:
        changes["standard_webhooks"] = given.standard_webhooks
        if given.standard_webhooks and not before.standard_webhooks:
            require_standard(
                call.services.vault,
                before,
                now_ms=transaction.now_ms,
                param="webhook_endpoint.standard_webhooks",
            )
    return changes


def _change(
    transaction: Transaction, before: WebhookEndpoint, changes: dict[str, Any]
) -> WebhookEndpoint:
    """Store changes of a destination and return it."""
    changes = {**changes, "updated_ms": transaction.now_ms}
    transaction.objects.update(WebhookEndpoint, table.c.id == before.id, **changes)
    transaction.forget_endpoints()
    after = msgspec.structs.replace(before, **changes)
    follow_change(transaction, before, status=after.status, url=after.url)
    return after


def _enable(call: Call, _body: NoParams, transaction: Transaction) -> dict[str, Any]:
    before = _find(transaction.objects, call)
    return render_destination(_change(transaction, before, {"status": "enabled"}), with_url=False)


def _disable(call: Call, _body: NoParams, transaction: Transaction) -> dict[str, Any]:
    before = _find(transaction.objects, call)
    return render_destination(_change(transaction, before, {"status": "disabled"}), with_url=False)


def _ping(call: Call, _body: NoParams, transaction: Transaction) -> dict[str, Any]:
    endpoint = _find(transaction.objects, call)
    if endpoint.status == "disabled":
        raise InvalidParamError(
            f"Event destination {endpoint.id} is disabled. Enable it first "
            f"(POST /v2/core/event_destinations/{endpoint.id}/enable)."
        )
    event = transaction.emit_thin(
        _PING,
        livemode=call.livemode,
        related=("v2.core.event_destination", endpoint.id),
        to=endpoint,
        cause=call.cause,
    )
    return render_thin_event(event)


def _roll_secret(call: Call, body: RollSecret, transaction: Transaction) -> dict[str, Any]:
    before = _find(transaction.objects, call)
    endpoint, secret = roll_secret(
        transaction, call.services.vault, before, expire_in=body.expire_in
    )
    return render_destination(endpoint, with_url=False, secret=secret)


def _delete(call: Call, _body: NoParams, transaction: Transaction) -> dict[str, Any]:
    endpoint = _find(transaction.objects, call)
    remove(transaction, endpoint)
    return {"id": endpoint.id, "object": "v2.core.event_destination"}


_ALL = "/v2/core/event_destinations"
_ONE = "/v2/core/event_destinations/{id}"
_RETURNS = "v2.core.event_destination"

ROUTES = [
    Route(
        method="POST",
        path=_ALL,
        summary="Create an event destination; only this answer can show its secret",
        tag="Event destinations",
        returns=_RETURNS,
        body=CreateDestination,
        prepare=_look_up,
        write=_create,
    ),
    Route(
        method="GET",
        path=_ALL,
        summary="List event destinations",
        tag="Event destinations",
        returns=f"list:{_RETURNS}",
        query={**_INCLUDE, **PAGING},
        read=_list,
    ),
    Route(
        method="GET",
        path=_ONE,
        summary="Retrieve an event destination",
        tag="Event destinations",
        returns=_RETURNS,
        query=_INCLUDE,
        read=_retrieve,
    ),
    Route(
        method="POST",
        path=_ONE,
        summary="Update an event destination",
        tag="Event destinations",
        returns=_RETURNS,
        body=UpdateDestination,
        prepare=_look_up,
        write=_update,
    ),
    Route(
        method="DELETE",
        path=_ONE,
        summary="Delete an event destination; what was not delivered to it is given up",
        tag="Event destinations",
        returns="v2.deleted_object",
        write=_delete,
    ),
    Route(
        method="POST",
        path=f"{_ONE}/enable",
        summary="Enable an event destination",
        tag="Event destinations",
        returns=_RETURNS,
        write=_enable,
    ),
    Route(
        method="POST",
        path=f"{_ONE}/disable",
        summary="Disable an event destination: what it would receive waits for a while",
        tag="Event destinations",
        returns=_RETURNS,
        write=_disable,
    ),
    Route(
        method="POST",
        path=f"{_ONE}/ping",
        summary="Send an event destination a ping event",
        tag="Event destinations",
        returns="v2.core.event",
        write=_ping,
    ),
    Route(
        method="POST",
        path=f"{_ONE}/roll_secret",
        summary="Replace an event destination's secret; only this answer shows the new one",
        tag="Event destinations",
        returns=_RETURNS,
        body=RollSecret,
        write=_roll_secret,
    ),
]
