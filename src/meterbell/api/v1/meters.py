"""Meters: six calls (contract §2.2). Everything but the display name is fixed at creation."""

from dataclasses import replace
from typing import Any

from meterbell.api.call import Call, Operation
from meterbell.api.find import find_in_path
from meterbell.api.lists import PAGING, list_objects
from meterbell.api.params import Choice, Object, Param, Text
from meterbell.engine.model import Meter
from meterbell.errors import InvalidParamError
from meterbell.ids import MeterId, new_id
from meterbell.ledger.transaction import Transaction
from meterbell.store.tables import meter as table
from meterbell.wire.objects import render_meter

_CREATE: dict[str, Param] = {
    "display_name": Text(length_max=250, required=True),
    "event_name": Text(
        length_max=100,
        required=True,
        is_plain=True,
        description="Meter events with this name belong to the meter; unique.",
    ),
    "default_aggregation": Object(
        required=True,
        fields={
            "formula": Choice(
                values=("count", "last", "sum"),
                required=True,
                description="How usage adds up: all values, how many, or the newest.",
            )
        },
    ),
    "customer_mapping": Object(
        fields={
            "event_payload_key": Text(length_max=100, required=True, is_plain=True),
            "type": Choice(values=("by_id",), required=True),
        },
        description="Where a meter event says whose usage it is.",
    ),
    "value_settings": Object(
        fields={"event_payload_key": Text(length_max=100, required=True, is_plain=True)},
        description="Where a meter event says how much.",
    ),
    "event_time_window": Choice(
        values=("day", "hour"),
        description="Only the last received event of each UTC hour or day counts.",
    ),
}


def _create(call: Call, transaction: Transaction) -> dict[str, Any]:
    params = call.params
    name = params["event_name"]
    same = transaction.objects.find(
        Meter, table.c.livemode == call.livemode, table.c.event_name == name, limit=1
    )
    if same:
        raise InvalidParamError(
            f'A meter with event name "{name}" exists already: {same[0].id}. Each event name '
            "belongs to one meter, active or not.",
            param="event_name",
        )
    mapping = params.get("customer_mapping", {})
    meter = Meter(
        id=MeterId(new_id(transaction.ids, "mtr", livemode=call.livemode)),
        livemode=call.livemode,
        display_name=params["display_name"],
        event_name=name,
        formula=params["default_aggregation"]["formula"],
        customer_key=mapping.get("event_payload_key", "stripe_customer_id"),
        value_key=params.get("value_settings", {}).get("event_payload_key", "value"),
        event_time_window=params.get("event_time_window"),
        status="active",
        created=transaction.now,
        updated=transaction.now,
        deactivated_at=None,
    )
    transaction.objects.insert(meter)
    return _announce(call, transaction, meter, "created")


def _announce(call: Call, transaction: Transaction, meter: Meter, what: str) -> dict[str, Any]:
    """Make a stored meter count, and tell the world."""
    state = transaction.state
    transaction.on_success(lambda: state.put_meter(meter))
    rendered = render_meter(meter)
    transaction.emit(f"billing.meter.{what}", rendered, livemode=call.livemode, cause=call.cause)
    return rendered


def _find(call: Call, transaction: Transaction) -> Meter:
    return find_in_path(transaction.objects, call, Meter, noun="billing meter", placeholder="id")


def _retrieve(call: Call) -> dict[str, Any]:
    objects = call.services.store.reader
    return render_meter(find_in_path(objects, call, Meter, noun="billing meter", placeholder="id"))


def _store(transaction: Transaction, meter: Meter) -> None:
    transaction.objects.update(
        Meter,
        table.c.id == meter.id,
        display_name=meter.display_name,
        status=meter.status,
        updated=meter.updated,
        deactivated_at=meter.deactivated_at,
    )


def _update(call: Call, transaction: Transaction) -> dict[str, Any]:
    before = _find(call, transaction)
    name = call.params.get("display_name", before.display_name)
    if name == before.display_name:
        return render_meter(before)
    meter = replace(before, display_name=name, updated=transaction.now)
    _store(transaction, meter)
    return _announce(call, transaction, meter, "updated")


def _deactivate(call: Call, transaction: Transaction) -> dict[str, Any]:
    before = _find(call, transaction)
    if before.status == "inactive":
        return render_meter(before)
    now = transaction.now
    meter = replace(before, status="inactive", updated=now, deactivated_at=now)
    _store(transaction, meter)
    return _announce(call, transaction, meter, "deactivated")


def _reactivate(call: Call, transaction: Transaction) -> dict[str, Any]:
    before = _find(call, transaction)
    if before.status == "active":
        return render_meter(before)
    meter = replace(before, status="active", updated=transaction.now, deactivated_at=None)
    _store(transaction, meter)
    return _announce(call, transaction, meter, "reactivated")


def _list(call: Call) -> dict[str, Any]:
    where = [table.c.livemode == call.livemode]
    if "status" in call.params:
        where.append(table.c.status == call.params["status"])
    return list_objects(call, Meter, where, render_meter, noun="billing meter")


OPERATIONS = [
    Operation(
        method="POST",
        path="/v1/billing/meters",
        summary="Create a meter",
        returns="billing.meter",
        params=_CREATE,
        write=_create,
    ),
    Operation(
        method="GET",
        path="/v1/billing/meters",
        summary="List meters",
        returns="list:billing.meter",
        params={"status": Choice(values=("active", "inactive")), **PAGING},
        read=_list,
    ),
    Operation(
        method="GET",
        path="/v1/billing/meters/{id}",
        summary="Retrieve a meter",
        returns="billing.meter",
        read=_retrieve,
    ),
    Operation(
        method="POST",
        path="/v1/billing/meters/{id}",
        summary="Update a meter",
        returns="billing.meter",
        params={"display_name": Text(length_max=250)},
        write=_update,
    ),
    Operation(
        method="POST",
        path="/v1/billing/meters/{id}/deactivate",
        summary="Deactivate a meter: its usage is refused until it is reactivated",
        returns="billing.meter",
        write=_deactivate,
    ),
    Operation(
        method="POST",
        path="/v1/billing/meters/{id}/reactivate",
        summary="Reactivate a meter",
        returns="billing.meter",
        write=_reactivate,
    ),
]
