"""Notification channels: where people are told of alerts. Ours."""

from dataclasses import replace
from typing import Any

import msgspec

from meterbell.api.call import Call, Operation
from meterbell.api.endpoints import bad_url, follow_change
from meterbell.api.find import find_in_body, find_in_path
from meterbell.api.lists import PAGING, list_objects
from meterbell.api.params import ID_LENGTH_MAX, Array, Boolean, Param, Text
from meterbell.channel import CHANNEL_PREFIX, NotificationChannel
from meterbell.delivery.channels.message import SAMPLE, fill
from meterbell.engine.model import Alert
from meterbell.errors import LimitReachedError
from meterbell.ids import new_id
from meterbell.ledger.deliveries import remove
from meterbell.ledger.transaction import Transaction
from meterbell.store.channel_tables import notification_channel as table
from meterbell.store.objects import Objects
from meterbell.store.sealing import row
from meterbell.wire.objects import render_channel, render_channel_test, render_deleted
from meterbell.wire.template import check_template

CHANNELS_MAX = 16
"""In each mode."""

_NOUN = "notification channel"
_ALERTS_MAX = 100
_URL_MAX = 5000

_NAME = Text(length_max=100, required=True, is_plain=True, description="For people.")
_URL = Text(
    length_max=_URL_MAX,
    required=True,
    is_plain=True,
    description="Where notices go, as Apprise writes it: mailtos://…; never shown again.",
)
_FIELDS: dict[str, Param] = {
    "alerts": Array(
        item=Text(length_max=ID_LENGTH_MAX),
        items_max=_ALERTS_MAX,
        can_unset=True,
        description="Alerts that it tells of; all of them when absent or empty.",
    ),
    "title": Text(
        length_max=250,
        can_unset=True,
        is_plain=True,
        description="Template of the title, with placeholders such as {alert.title}.",
    ),
    "body": Text(
        length_max=2000,
        can_unset=True,
        description="Template of the text, with placeholders such as {customer.name}.",
    ),
}


async def _check(call: Call) -> Call:
    """Return a call that knows where its URL leads; that takes time, as names are looked up."""
    url = call.params.get("url")
    if url is None:
        return call
    return replace(call, checked=await call.services.notifier.check(url, livemode=call.livemode))


def _url_of(call: Call, channel_id: str) -> dict[str, Any]:
    """Return the columns that a URL fills.

    Raises:
        InvalidParamError: It can't be used.
    """
    checked = call.checked
    assert checked is not None, "it was looked at before"
    if checked.refusal is not None:
        raise bad_url(checked.refusal, "url")
    sealed = call.services.vault.seal(call.params["url"], about=row(table, channel_id))
    return {"url": sealed, "shown_url": checked.shown, "service": checked.service}


def _fields_of(call: Call, transaction: Transaction) -> dict[str, Any]:
    """Return the columns that the other parameters fill; None unsets.

    Raises:
        InvalidParamError: There is no such alert, or no such placeholder.
    """
    params = call.params
    changes = {name: params[name] or None for name in _FIELDS if name in params}
    for name in ("title", "body"):
        check_template(changes.get(name) or "", param=name)
    for index, alert in enumerate(changes.get("alerts") or ()):
        find_in_body(
            transaction.objects, call, Alert, alert, noun="billing alert", param=f"alerts[{index}]"
        )
    return changes


def _create(call: Call, transaction: Transaction) -> dict[str, Any]:
    objects = transaction.objects
    if objects.count(NotificationChannel, table.c.livemode == call.livemode) >= CHANNELS_MAX:
        raise LimitReachedError(
            f"You have reached the maximum of {CHANNELS_MAX} notification channels in this mode. "
            "Delete one to create another."
        )
    channel_id = new_id(transaction.ids, CHANNEL_PREFIX.rstrip("_"))
    fields = {**dict.fromkeys(_FIELDS), **_fields_of(call, transaction)}
    channel = NotificationChannel(
        id=channel_id,
        livemode=call.livemode,
        created=transaction.now,
        name=call.params["name"],
        status="enabled",
        **fields,
        **_url_of(call, channel_id),
    )
    objects.insert(channel)
    transaction.forget_endpoints()
    return render_channel(channel)


def _find(objects: Objects, call: Call) -> NotificationChannel:
    return find_in_path(objects, call, NotificationChannel, noun=_NOUN, placeholder="id")


def _retrieve(call: Call) -> dict[str, Any]:
    return render_channel(_find(call.services.store.reader, call))


def _update(call: Call, transaction: Transaction) -> dict[str, Any]:
    objects, params = transaction.objects, call.params
    before = _find(objects, call)
    changes = _fields_of(call, transaction)
    if "name" in params:
        changes["name"] = params["name"]
    if "url" in params:
        changes |= _url_of(call, before.id)
    if "disabled" in params:
        changes["status"] = "disabled" if params["disabled"] else "enabled"
    if changes:
        objects.update(NotificationChannel, table.c.id == before.id, **changes)
        transaction.forget_endpoints()
    after = msgspec.structs.replace(before, **changes)
    follow_change(transaction, before, status=after.status, url=after.url)
    return render_channel(after)


def _delete(call: Call, transaction: Transaction) -> dict[str, Any]:
    channel = _find(transaction.objects, call)
    remove(transaction, channel)
    return render_deleted("notification_channel", channel.id)


def _list(call: Call) -> dict[str, Any]:
    where = [table.c.livemode == call.livemode]
    return list_objects(call, NotificationChannel, where, render_channel, noun=_NOUN)


async def _test(call: Call) -> dict[str, Any]:
    """Send a notice now, with made-up values, and return what came of it."""
    services = call.services
    channel = _find(services.store.reader, call)
    url = services.vault.open(channel.url, about=row(table, channel.id))
    title, body = fill(channel, {**SAMPLE, "mode": "live" if call.livemode else "test"})
    begun_ns = services.clock.monotonic_ns()
    outcome = await services.notifier.try_out(url, livemode=call.livemode, title=title, body=body)
    return render_channel_test(
        channel,
        outcome=outcome.text,
        status_code=outcome.status_code,
        response=outcome.response,
        duration_ms=(services.clock.monotonic_ns() - begun_ns) // 1_000_000,
    )


OPERATIONS = [
    Operation(
        method="POST",
        path="/v1/notification_channels",
        summary="Create a notification channel; its URL is never shown again",
        returns="notification_channel",
        params={"name": _NAME, "url": _URL, **_FIELDS},
        prepare=_check,
        write=_create,
    ),
    Operation(
        method="GET",
        path="/v1/notification_channels",
        summary="List notification channels",
        returns="list:notification_channel",
        params=PAGING,
        read=_list,
    ),
    Operation(
        method="GET",
        path="/v1/notification_channels/{id}",
        summary="Retrieve a notification channel",
        returns="notification_channel",
        read=_retrieve,
    ),
    Operation(
        method="POST",
        path="/v1/notification_channels/{id}",
        summary="Update, disable or enable a notification channel",
        returns="notification_channel",
        params={
            "name": replace(_NAME, required=False),
            "url": replace(_URL, required=False),
            "disabled": Boolean(),
            **_FIELDS,
        },
        prepare=_check,
        write=_update,
    ),
    Operation(
        method="DELETE",
        path="/v1/notification_channels/{id}",
        summary="Delete a notification channel; what was not sent to it is given up",
        returns="deleted_notification_channel",
        write=_delete,
    ),
    Operation(
        method="POST",
        path="/v1/notification_channels/{id}/test",
        summary="Send a notice with made-up values now, and tell what came of it",
        returns="notification_channel_test",
        answer=_test,
    ),
]
