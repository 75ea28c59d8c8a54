"""Webhook endpoints and event destinations as pages find and change them: two APIs, one table."""

from collections.abc import Sequence

from meterbell.dashboard.changes import change, change_v2, delete, delete_v2, post, post_v2
from meterbell.dashboard.finding import find_named
from meterbell.dashboard.visit import Visit
from meterbell.records import WebhookEndpoint
from meterbell.wire.form import Form

_ALL, _ONE = "/v1/webhook_endpoints", "/v1/webhook_endpoints/{id}"
_ONE_V2 = "/v2/core/event_destinations/{id}"
_OURS = "/meterbell/webhook_endpoints/{id}"
_PIECES_MAX = 100

ALL_EVENTS = "*"
SENT_EVENTS = (
    ("billing.alert.triggered", "A customer's usage reached an alert's threshold"),
    ("billing.meter.created", "A meter was made"),
    ("billing.meter.updated", "A meter was changed"),
    ("billing.meter.deactivated", "A meter was deactivated"),
    ("billing.meter.reactivated", "A meter was activated again"),
    ("customer.created", "A customer was made"),
    ("customer.updated", "A customer was changed"),
    ("customer.deleted", "A customer was deleted"),
    ("meterbell.webhook_endpoint.disabled", "A webhook endpoint was disabled by itself"),
    ("meterbell.notification_channel.disabled", "A channel was disabled by itself"),
)
"""Types of events that are sent here, and what happened; others can be subscribed to in vain."""

SENT_THIN_EVENTS = (
    ("v1.billing.meter.error_report_triggered", "Meter events of a stream were not counted"),
    ("v1.billing.meter.no_meter_found", "Meter events of a stream had no meter"),
)
"""The same for destinations with thin payloads."""


def find_endpoint(visit: Visit) -> WebhookEndpoint:
    """Return the endpoint that the path names.

    Raises:
        NotFoundError: There is none in this mode.
    """
    return find_named(visit, WebhookEndpoint, "webhook endpoint")


def numbered(names: Sequence[str]) -> Form:
    """Return a list as forms hold it."""
    return {str(place): name for place, name in enumerate(names)}


async def create_endpoint(
    visit: Visit, *, url: str, events: Sequence[str], description: str
) -> tuple[str, str]:
    """Make a webhook endpoint and return its id and its secret.

    Raises:
        RequestError: The API would refuse it.
    """
    params = _params(url=url, events=events)
    if description:
        params["description"] = description
    action = "webhook_endpoint.create"
    made = await change(visit, post(_ALL), params, action=action, is_once=True)
    return made["id"], made["secret"]


async def update_endpoint(
    visit: Visit, endpoint: WebhookEndpoint, *, url: str, events: Sequence[str], description: str
) -> None:
    """Change an endpoint.

    Raises:
        RequestError: The API would refuse it.
    """
    action, ids = "webhook_endpoint.update", {"id": endpoint.id}
    if endpoint.is_destination:
        body = {
            "webhook_endpoint": {"url": url},
            "enabled_events": list(events),
            "description": description or None,
        }
        await change_v2(visit, post_v2(_ONE_V2), body, action=action, ids=ids)
        return
    params = _params(url=url, events=events) | {"description": description}
    await change(visit, post(_ONE), params, action=action, ids=ids)


def _params(*, url: str, events: Sequence[str]) -> Form:
    """Return what the API takes; fields that are empty are left out, for it to ask for them."""
    params: Form = {"url": url} if url else {}
    if events:
        params["enabled_events"] = numbered(events)
    return params


async def switch_endpoint(visit: Visit, endpoint: WebhookEndpoint, *, on: bool) -> None:
    """Enable or disable an endpoint.

    Raises:
        RequestError: The API would refuse it.
    """
    verb, ids = "enable" if on else "disable", {"id": endpoint.id}
    action = f"webhook_endpoint.{verb}"
    if endpoint.is_destination:
        await change_v2(visit, post_v2(f"{_ONE_V2}/{verb}"), {}, action=action, ids=ids)
    else:
        params: Form = {"disabled": "false" if on else "true"}
        await change(visit, post(_ONE), params, action=action, ids=ids)


async def delete_endpoint(visit: Visit, endpoint: WebhookEndpoint) -> None:
    """Delete an endpoint for good.

    Raises:
        RequestError: The API would refuse it.
    """
    action, ids = "webhook_endpoint.delete", {"id": endpoint.id}
    if endpoint.is_destination:
        await change_v2(visit, delete_v2(_ONE_V2), {}, action=action, ids=ids)
    else:
        await change(visit, delete(_ONE), {}, action=action, ids=ids)


async def roll_secret(visit: Visit, endpoint: WebhookEndpoint, *, expire_in: int) -> str:
    """Replace an endpoint's secret and return the new one, which the audit log does not hold.

    Raises:
        RequestError: The API would refuse it.
    """
    action, ids = "webhook_endpoint.roll_secret", {"id": endpoint.id}
    if endpoint.is_destination:
        route = post_v2(f"{_ONE_V2}/roll_secret")
        answer = await change_v2(
            visit, route, {"expire_in": expire_in}, action=action, ids=ids, is_once=True
        )
        return str(answer["webhook_endpoint"]["signing_secret"])
    params: Form = {"expire_in": str(expire_in)}
    operation = post(f"{_ONE}/roll_secret")
    answer = await change(visit, operation, params, action=action, ids=ids, is_once=True)
    return str(answer["secret"])


async def send_test_event(visit: Visit, endpoint_id: str) -> str:
    """Send an endpoint an event that says nothing, and return the delivery's id.

    Raises:
        RequestError: The API would refuse it.
    """
    action, ids = "webhook_endpoint.ping", {"id": endpoint_id}
    operation = post(f"{_OURS}/ping")
    made = await change(visit, operation, {}, action=action, ids=ids, object_id=endpoint_id)
    return str(made["id"])


async def resend(visit: Visit, endpoint_id: str, event_id: str) -> str:
    """Send an event to an endpoint again, and return the delivery's id.

    Raises:
        RequestError: The API would refuse it.
    """
    operation, ids = post(f"{_OURS}/resend"), {"id": endpoint_id}
    params: Form = {"event": event_id}
    made = await change(visit, operation, params, action="delivery.resend", ids=ids)
    return str(made["id"])


async def resend_failed(visit: Visit, endpoint_id: str, *, since: int) -> bool:
    """Send an endpoint or a channel what failed since a time again; return whether that was all.

    It is done in pieces, between which usage is counted.

    Raises:
        RequestError: The API would refuse it.
    """
    operation, params = post(f"{_OURS}/resend_failed"), Form({"since": str(since)})
    for _ in range(_PIECES_MAX):
        answer = await change(
            visit,
            operation,
            params,
            action="delivery.resend_failed",
            ids={"id": endpoint_id},
            object_id=endpoint_id,
        )
        if not answer["has_more"]:
            return True
        params = {**params, "starting_after": answer["last"]}
    return False
