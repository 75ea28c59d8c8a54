"""Ours: links to a page that shows one customer its own usage and alerts."""

import re
from typing import Any, get_args

from meterbell.api.call import Call, Operation
from meterbell.api.find import find_in_body
from meterbell.api.params import ID_LENGTH_MAX, Array, Boolean, Choice, Integer, Text
from meterbell.errors import InvalidParamError
from meterbell.ledger.transaction import Transaction
from meterbell.records import Customer
from meterbell.wire.objects import render_customer_page
from meterbell.wire.page_tokens import PageClaims, Theme, sign_page

MOUNT = "/customer"
"""Where the pages stand; the token follows."""
KEY_PURPOSE = "customer pages"
_EXPIRES_IN_DEFAULT = 3600
_EXPIRES_IN_MAX = 24 * 3600
_EXPIRES_IN_MIN = 60
_ORIGINS_MAX = 5
_ORIGIN_LENGTH_MAX = 255
_ACCENT = re.compile(r"#[0-9a-fA-F]{6}")
# What a browser calls an origin. Nothing else may get into the header that lists them.
_ORIGIN = re.compile(
    r"(https?)://(?:[a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:]+\])(?::[0-9]{1,5})?"
)


def _create(call: Call, transaction: Transaction) -> dict[str, Any]:
    params = call.params
    customer = find_in_body(
        transaction.objects, call, Customer, params["customer"], noun="customer", param="customer"
    )
    if customer.deleted:
        raise InvalidParamError(f"Customer {customer.id} was deleted.", param="customer")
    accent = params.get("accent", "")
    if accent and not _ACCENT.fullmatch(accent):
        raise InvalidParamError("Invalid accent: a colour is written like #3145c4.", param="accent")
    origins = params.get("frame_origins", [])
    for number, origin in enumerate(origins):
        _require_origin(origin, f"frame_origins[{number}]", livemode=call.livemode)
    claims = PageClaims(
        livemode=call.livemode,
        customer=customer.id,
        expires_at=transaction.now + params.get("expires_in", _EXPIRES_IN_DEFAULT),
        allow_alerts=params.get("allow_alerts", False),
        theme=params.get("theme", "auto"),
        accent=accent.lower(),
        frame_origins=origins,
    )
    services = call.services
    token = sign_page(claims, services.vault.derive(KEY_PURPOSE))
    return render_customer_page(claims, url=f"{services.settings.base_url}{MOUNT}/{token}")


def _require_origin(origin: str, param: str, *, livemode: bool) -> None:
    match = _ORIGIN.fullmatch(origin)
    if match is None:
        raise InvalidParamError(
            f"Invalid {param}: an origin is scheme, host and maybe port in small letters, without "
            "a path, such as https://app.example.com.",
            param=param,
        )
    if livemode and match[1] != "https":
        raise InvalidParamError(f"Invalid {param}: in live mode it begins with https.", param=param)


OPERATIONS = [
    Operation(
        method="POST",
        path="/v1/customer_pages",
        summary="Make a link to a page that shows one customer its own usage and alerts",
        returns="customer_page",
        params={
            "customer": Text(length_max=ID_LENGTH_MAX, required=True),
            "expires_in": Integer(
                minimum=_EXPIRES_IN_MIN,
                maximum=_EXPIRES_IN_MAX,
                description="Seconds for which the link works; an hour by default.",
            ),
            "allow_alerts": Boolean(
                description="Whether the customer may set alerts for itself there."
            ),
            "theme": Choice(values=get_args(Theme)),
            "accent": Text(
                length_max=7, description="Colour of links and charts, such as #3145c4."
            ),
            "frame_origins": Array(
                item=Text(length_max=_ORIGIN_LENGTH_MAX),
                items_max=_ORIGINS_MAX,
                description="Origins that may show the page in a frame; without one, none may.",
            ),
        },
        write=_create,
    )
]
