"""Billing alerts: six calls (contract §2.7), with our `baseline` and `evaluate_on_create`."""

from collections.abc import Callable
from typing import Any

from meterbell.api.call import Call, Operation
from meterbell.api.find import find_in_body, find_in_path
from meterbell.api.lists import PAGING, list_objects
from meterbell.api.params import (
    ID_LENGTH_MAX,
    Array,
    Boolean,
    Choice,
    Integer,
    Object,
    Param,
    Text,
)
from meterbell.engine.model import Alert, AlertStatus, Meter
from meterbell.errors import InvalidParamError
from meterbell.ids import AlertId, CustomerId, new_id
from meterbell.ledger.transaction import Transaction
from meterbell.records import Customer
from meterbell.store.objects import Objects
from meterbell.store.tables import alert as table
from meterbell.wire.objects import render_alert

_METER = "usage_threshold.meter"
_CUSTOMER = "usage_threshold.filters.customer"
_EXPANDABLE = frozenset({_METER, _CUSTOMER})

_FILTER: dict[str, Param] = {
    "type": Choice(values=("customer",), required=True),
    "customer": Text(length_max=ID_LENGTH_MAX, required=True),
}
_THRESHOLD: dict[str, Param] = {
    "gte": Integer(minimum=1, required=True, description="Usage at which the alert triggers."),
    "meter": Text(length_max=ID_LENGTH_MAX, required=True),
    "recurrence": Choice(values=("one_time",), required=True),
    "filters": Array(
        item=Object(fields=_FILTER),
        items_max=1,
        description="One customer; without it the alert watches every customer separately.",
    ),
    "baseline": Choice(
        values=("creation", "lifetime"),
        description="Whether usage from before the alert counts: no (creation) or yes (lifetime).",
    ),
    "evaluate_on_create": Boolean(
        description="With baseline lifetime: trigger at once where the usage is there already."
    ),
}


def _create(call: Call, transaction: Transaction) -> dict[str, Any]:
    threshold = call.params.get("usage_threshold")
    if threshold is None:
        raise InvalidParamError(
            "Missing required param: usage_threshold.",
            param="usage_threshold",
            code="parameter_missing",
        )
    baseline = threshold.get("baseline", "creation")
    evaluate = threshold.get("evaluate_on_create", False)
    if evaluate and baseline != "lifetime":
        raise InvalidParamError(
            "Invalid usage_threshold[evaluate_on_create]: at its creation no usage counts for an "
            "alert yet, unless usage_threshold[baseline] is lifetime.",
            param="usage_threshold[evaluate_on_create]",
        )
    meter = find_in_body(
        transaction.objects,
        call,
        Meter,
        threshold["meter"],
        noun="billing meter",
        param="usage_threshold[meter]",
    )
    if meter.status != "active":
        raise InvalidParamError(
            f"Meter {meter.id} is inactive, so no usage can trigger an alert on it. Reactivate it "
            "first.",
            param="usage_threshold[meter]",
        )
    customer = _filtered_customer(call, transaction, threshold)
    alert = transaction.group.create_alert(
        Alert(
            id=AlertId(new_id(transaction.ids, "alrt")),
            livemode=call.livemode,
            title=call.params["title"],
            meter=meter.id,
            customer=None if customer is None else CustomerId(customer.id),
            gte=threshold["gte"],
            baseline=baseline,
            status="active",
            created=transaction.now,
            created_sequence=0,
        ),
        evaluate=evaluate,
    )
    transaction.objects.insert(alert)
    return _render(transaction.objects, call, alert)


def _filtered_customer(
    call: Call, transaction: Transaction, threshold: dict[str, Any]
) -> Customer | None:
    filters = threshold.get("filters")
    if not filters:
        return None
    param = "usage_threshold[filters][0][customer]"
    customer = find_in_body(
        transaction.objects, call, Customer, filters[0]["customer"], noun="customer", param=param
    )
    if customer.deleted:
        raise InvalidParamError(f"Customer {customer.id} was deleted.", param=param)
    return customer


def _render(objects: Objects, call: Call, alert: Alert) -> dict[str, Any]:
    meter = customer = None
    if _METER in call.expand:
        meter = objects.get(Meter, alert.meter, livemode=alert.livemode)
    if _CUSTOMER in call.expand and alert.customer is not None:
        customer = objects.get(Customer, alert.customer, livemode=alert.livemode)
    return render_alert(alert, meter=meter, customer=customer)


def _retrieve(call: Call) -> dict[str, Any]:
    objects = call.services.store.reader
    alert = find_in_path(objects, call, Alert, noun="billing alert", placeholder="id")
    return _render(objects, call, alert)


def _set_status(status: AlertStatus) -> Callable[[Call, Transaction], dict[str, Any]]:
    """Return the write that gives an alert a status; giving it the one it has is fine (A6)."""

    def write(call: Call, transaction: Transaction) -> dict[str, Any]:
        objects = transaction.objects
        found = find_in_path(objects, call, Alert, noun="billing alert", placeholder="id")
        alert = transaction.group.set_alert_status(found.id, status)
        objects.update(Alert, table.c.id == alert.id, status=alert.status)
        return _render(objects, call, alert)

    return write


def _list(call: Call) -> dict[str, Any]:
    objects = call.services.store.reader
    where = [table.c.livemode == call.livemode, table.c.status != "archived"]
    if "meter" in call.params:
        where.append(table.c.meter == call.params["meter"])
    return list_objects(
        call, Alert, where, lambda alert: _render(objects, call, alert), noun="billing alert"
    )


_TYPE = Choice(values=("usage_threshold",))

OPERATIONS = [
    Operation(
        method="POST",
        path="/v1/billing/alerts",
        summary="Create an alert",
        returns="billing.alert",
        params={
            "alert_type": Choice(values=("usage_threshold",), required=True),
            "title": Text(length_max=256, required=True),
            "usage_threshold": Object(fields=_THRESHOLD),
        },
        write=_create,
        expandable=_EXPANDABLE,
    ),
    Operation(
        method="GET",
        path="/v1/billing/alerts",
        summary="List active and inactive alerts",
        returns="list:billing.alert",
        params={"alert_type": _TYPE, "meter": Text(length_max=ID_LENGTH_MAX), **PAGING},
        read=_list,
        expandable=_EXPANDABLE,
    ),
    Operation(
        method="GET",
        path="/v1/billing/alerts/{id}",
        summary="Retrieve an alert, archived or not",
        returns="billing.alert",
        read=_retrieve,
        expandable=_EXPANDABLE,
    ),
    Operation(
        method="POST",
        path="/v1/billing/alerts/{id}/activate",
        summary="Activate an alert: it is evaluated at the next usage",
        returns="billing.alert",
        write=_set_status("active"),
        expandable=_EXPANDABLE,
    ),
    Operation(
        method="POST",
        path="/v1/billing/alerts/{id}/deactivate",
        summary="Deactivate an alert: usage goes on counting, nothing triggers",
        returns="billing.alert",
        write=_set_status("inactive"),
        expandable=_EXPANDABLE,
    ),
    Operation(
        method="POST",
        path="/v1/billing/alerts/{id}/archive",
        summary="Archive an alert, for good",
        returns="billing.alert",
        write=_set_status("archived"),
        expandable=_EXPANDABLE,
    ),
]
