"""Holds JSON against the type annotations of the installed `stripe` package, field by field.

Stripe's classes say for each field whether it may be null and which values it may have; what they
can't say is which of the nullable fields may be absent. Those are listed here.
"""

import inspect
import types
from collections.abc import Iterator, Mapping
from typing import Any, ForwardRef, Literal, TypeVar, Union, get_args, get_origin

import stripe
from stripe import StripeObject

ABSENT = {
    "Customer": {
        "cash_balance",
        "currency",
        "invoice_credit_balance",
        "next_invoice_sequence",
        "sources",
        "subscriptions",
        "tax",
        "tax_ids",
        "deleted",
    },
    "Event": {"account", "context"},
    "Data": {"previous_attributes"},
    "WebhookEndpoint": {"secret", "deleted"},
}
"""Fields that a reply may leave out, by class."""

OURS = {
    "AlertTriggered": {"value_decimal"},
    "UsageThreshold": {"baseline"},
    "WebhookEndpoint": {"standard_webhooks"},
}
"""Fields that meterbell adds, by class."""

_NAMED: dict[str, Any] = {
    "Alert": stripe.billing.Alert,
    "Customer": stripe.Customer,
    "Meter": stripe.billing.Meter,
}


def problems(value: object, annotation: object, path: str) -> Iterator[str]:
    """Yield what is wrong with a JSON value, measured by an annotation of Stripe's."""
    if isinstance(annotation, ForwardRef | str):
        name = annotation if isinstance(annotation, str) else annotation.__forward_arg__
        annotation = _NAMED.get(name, Any)
    if annotation is Any or isinstance(annotation, TypeVar):
        return
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        yield from _union_problems(value, get_args(annotation), path)
    elif origin is Literal:
        if value not in get_args(annotation):
            yield f"{path}: {value!r} is none of {get_args(annotation)}"
    elif origin is list:
        yield from _list_problems(value, get_args(annotation)[0], path)
    elif isinstance(origin, type) and issubclass(origin, StripeObject):
        yield from _scalar_problems(value, dict, path)  # free keys, such as metadata
    elif isinstance(annotation, type) and issubclass(annotation, StripeObject):
        yield from object_problems(value, annotation, path)
    else:
        yield from _scalar_problems(value, origin or annotation, path)


def _list_problems(value: object, item: object, path: str) -> Iterator[str]:
    if not isinstance(value, list):
        yield f"{path}: {value!r} is no list"
        return
    for index, element in enumerate(value):
        yield from problems(element, item, f"{path}[{index}]")


def object_problems(value: object, cls: type[StripeObject], path: str) -> Iterator[str]:
    """Yield what is wrong with a JSON object, measured by a class of Stripe's."""
    if not isinstance(value, Mapping):
        yield f"{path}: {value!r} is no object"
        return
    fields = _fields(cls)
    absent = ABSENT.get(cls.__name__, set())
    for name, annotation in fields.items():
        if name in value:
            yield from problems(value[name], annotation, f"{path}.{name}")
        elif name not in absent:
            yield f"{path}.{name}: missing"
    if fields:
        for name in value.keys() - fields.keys() - OURS.get(cls.__name__, set()):
            yield f"{path}.{name}: unknown to Stripe's {cls.__name__}"


def _fields(cls: type[StripeObject]) -> dict[str, Any]:
    return {
        name: annotation
        for name, annotation in inspect.get_annotations(cls).items()
        if not name.startswith("_") and "ClassVar" not in str(annotation)
    }


def _union_problems(value: object, options: tuple[object, ...], path: str) -> Iterator[str]:
    if value is None:
        if type(None) not in options:
            yield f"{path}: is null"
        return
    tried = []
    # An open enum is written Union[Literal[...], str]: we still send only values that are listed.
    literals = [option for option in options if get_origin(option) is Literal]
    for option in literals or options:
        if option is type(None):
            continue
        found = list(problems(value, option, path))
        if not found:
            return
        tried += found
    yield from tried


def _scalar_problems(value: object, annotation: object, path: str) -> Iterator[str]:
    kinds: dict[object, tuple[type, ...]] = {
        str: (str,),
        int: (int,),
        float: (int, float),
        bool: (bool,),
        dict: (dict,),
    }
    allowed = kinds.get(annotation)
    if allowed is None:
        yield f"{path}: no rule for the annotation {annotation!r}"
    elif not isinstance(value, allowed) or (isinstance(value, bool) and annotation is not bool):
        yield f"{path}: {value!r} is no {annotation}"
