"""Customers: create, retrieve, update, delete, list (contract §2.1)."""

from typing import Any

import msgspec

from meterbell.api.call import Call, Operation, no_such
from meterbell.api.find import find_in_path
from meterbell.api.lists import CREATED, PAGING, created_between, list_objects
from meterbell.api.metadata import merge_metadata
from meterbell.api.params import (
    UNSET,
    Array,
    Boolean,
    Choice,
    Integer,
    Metadata,
    Object,
    Param,
    Text,
)
from meterbell.engine.validate import require_customer_id
from meterbell.errors import InvalidParamError
from meterbell.ids import CustomerId, new_id
from meterbell.ledger.transaction import Transaction
from meterbell.records import Customer
from meterbell.store.tables import customer as table
from meterbell.wire.objects import render_customer, render_deleted

_ADDRESS: dict[str, Param] = {
    name: Text(can_unset=True)
    for name in ("city", "country", "line1", "line2", "postal_code", "state")
}
_SHIPPING: dict[str, Param] = {
    "address": Object(fields=_ADDRESS, required=True),
    "name": Text(required=True),
    "phone": Text(can_unset=True),
}
_FIELDS: dict[str, Param] = {
    "email": Text(length_max=512, can_unset=True, description="Shown, searched for, never used."),
    "name": Text(length_max=256, can_unset=True),
    "phone": Text(length_max=20, can_unset=True),
    "description": Text(can_unset=True),
    "metadata": Metadata(),
    "address": Object(fields=_ADDRESS, can_unset=True),
    "shipping": Object(fields=_SHIPPING, can_unset=True),
    "balance": Integer(),
    "business_name": Text(length_max=150, can_unset=True),
    "individual_name": Text(length_max=150, can_unset=True),
    "invoice_prefix": Text(length_max=12),
    "invoice_settings": Object(
        fields={
            "footer": Text(can_unset=True),
            "default_payment_method": Text(),
            "custom_fields": Array(
                item=Object(
                    fields={
                        "name": Text(length_max=40, required=True),
                        "value": Text(length_max=140, required=True),
                    }
                ),
                items_max=4,
                can_unset=True,
            ),
        }
    ),
    "next_invoice_sequence": Integer(minimum=1),
    "preferred_locales": Array(item=Text()),
    "tax_exempt": Choice(values=("exempt", "none", "reverse"), can_unset=True),
}
# Accepted because SDK users send them, and without any effect: meterbell charges nobody.
_IGNORED: dict[str, Param] = {
    "source": Text(description="Accepted and ignored: meterbell charges nobody."),
    "validate": Boolean(description="Accepted and ignored."),
    "payment_method": Text(description="Accepted and ignored: meterbell charges nobody."),
}
_COMPANION = "Choose it so that ids match another system, such as Stripe itself."


def _create(call: Call, transaction: Transaction) -> dict[str, Any]:
    params = call.params
    chosen = params.get("id")
    if chosen is not None:
        require_customer_id(chosen, param="id")
        if transaction.objects.get(Customer, chosen, livemode=call.livemode) is not None:
            raise InvalidParamError(
                f"Customer already exists: '{chosen}'. The id of a deleted one is not used again.",
                param="id",
                code="resource_already_exists",
            )
    customer = Customer(
        id=chosen or new_id(transaction.ids, "cus"),
        livemode=call.livemode,
        created=transaction.now,
        deleted=False,
        email=params.get("email") or None,
        details=_merged({}, params),
    )
    return transaction.store_customer(customer, call.cause)


def _merged(details: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
    """Return a customer's details with a request's changes."""
    merged = dict(details)
    for name in _FIELDS.keys() - {"email", "metadata"}:
        if name not in params:
            continue
        value = params[name]
        if value == UNSET:
            merged.pop(name, None)
        elif isinstance(value, dict):
            merged[name] = _without_unset({**(merged.get(name) or {}), **value})
        else:
            merged[name] = value
    merged["metadata"] = merge_metadata(details.get("metadata", {}), params)
    return merged


def _without_unset(value: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _without_unset(item) if isinstance(item, dict) else item
        for key, item in value.items()
        if item != UNSET
    }


def _retrieve(call: Call) -> dict[str, Any]:
    objects = call.services.store.reader
    return render_customer(
        find_in_path(objects, call, Customer, noun="customer", placeholder="customer")
    )


def _living(call: Call, transaction: Transaction) -> Customer:
    customer = find_in_path(
        transaction.objects, call, Customer, noun="customer", placeholder="customer"
    )
    if customer.deleted:
        raise no_such("customer", customer.id)
    return customer


def _update(call: Call, transaction: Transaction) -> dict[str, Any]:
    before = _living(call, transaction)
    after = msgspec.structs.replace(
        before,
        email=call.params["email"] or None if "email" in call.params else before.email,
        details=_merged(before.details, call.params),
    )
    transaction.objects.update(
        Customer,
        table.c.id == after.id,
        table.c.livemode == call.livemode,
        email=after.email,
        details=after.details,
    )
    shown, previous = render_customer(after), render_customer(before)
    changed = {name: value for name, value in previous.items() if shown[name] != value}
    if changed:
        transaction.emit(
            "customer.updated",
            shown,
            livemode=call.livemode,
            previous_attributes=changed,
            cause=call.cause,
        )
    return shown


def _delete(call: Call, transaction: Transaction) -> dict[str, Any]:
    customer = _living(call, transaction)
    transaction.objects.update(
        Customer,
        table.c.id == customer.id,
        table.c.livemode == call.livemode,
        deleted=True,
        email=None,
        details={},
    )
    state = transaction.state
    transaction.on_success(
        lambda: state.remove_customer(CustomerId(customer.id), livemode=customer.livemode)
    )
    transaction.emit(
        "customer.deleted", render_customer(customer), livemode=call.livemode, cause=call.cause
    )
    return render_deleted("customer", customer.id)


def _list(call: Call) -> dict[str, Any]:
    where = [table.c.livemode == call.livemode, table.c.deleted == False]  # noqa: E712 - SQL
    if "email" in call.params:
        where.append(table.c.email == call.params["email"])
    where += created_between(call, table.c.created)
    return list_objects(call, Customer, where, render_customer, noun="customer")


OPERATIONS = [
    Operation(
        method="POST",
        path="/v1/customers",
        summary="Create a customer",
        returns="customer",
        params={"id": Text(length_max=255, description=_COMPANION), **_FIELDS, **_IGNORED},
        write=_create,
    ),
    Operation(
        method="GET",
        path="/v1/customers",
        summary="List customers",
        returns="list:customer",
        params={"email": Text(length_max=512), **CREATED, **PAGING},
        read=_list,
    ),
    Operation(
        method="GET",
        path="/v1/customers/{customer}",
        summary="Retrieve a customer",
        returns="customer_or_deleted",
        read=_retrieve,
    ),
    Operation(
        method="POST",
        path="/v1/customers/{customer}",
        summary="Update a customer",
        returns="customer",
        params={**_FIELDS, "source": _IGNORED["source"], "validate": _IGNORED["validate"]},
        write=_update,
    ),
    Operation(
        method="DELETE",
        path="/v1/customers/{customer}",
        summary="Delete a customer; its usage stays, and no more is accepted",
        returns="deleted_customer",
        write=_delete,
    ),
]
