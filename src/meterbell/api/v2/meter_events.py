"""Meter events and their adjustments (contract §2.6)."""

import re
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from meterbell.api.call import Call
from meterbell.api.v2.route import NOT_KEYED, Keyed, Replayable, Route
from meterbell.engine.model import UsageRequest
from meterbell.errors import InvalidParamError
from meterbell.ids import new_id
from meterbell.ledger.transaction import Transaction
from meterbell.wire.instants import parse_instant_ms
from meterbell.wire.objects_v2 import render_adjustment_v2, render_meter_event_v2

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# Said to the reference only: `require_plain` checks it ten times as fast.
_PLAIN = {"pattern": r"^[^\u0000-\u001f\u007f]*$"}
Name = Annotated[
    str,
    Meta(min_length=1, max_length=100, extra_json_schema=_PLAIN, description="Says which meter."),
]
Identifier = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=100,
        extra_json_schema=_PLAIN,
        description="Counts once; generated when absent.",
    ),
]
Payload = Annotated[
    dict[Annotated[str, Meta(max_length=100)], Annotated[str, Meta(max_length=500)]],
    Meta(
        max_length=50,
        description="Holds the customer and the value under the meter's keys; more is kept.",
    ),
]
Instant = Annotated[
    str, Meta(max_length=40, description="RFC 3339 time of the usage; now when absent.")
]


class Cancel(Struct, forbid_unknown_fields=True, frozen=True):
    """Which meter event to cancel."""

    identifier: Identifier


class AdjustmentBody(Struct, forbid_unknown_fields=True, frozen=True):
    """A meter event that is to count as if it had never come."""

    event_name: Name
    type: Literal["cancel"]
    cancel: Cancel


class MeterEventBody(Struct, forbid_unknown_fields=True, frozen=True):
    """One meter event as it is reported."""

    event_name: Name
    payload: Payload
    identifier: Identifier | None = None
    timestamp: Instant | None = None


def require_plain(text: str, *, param: str) -> None:
    """Refuse a name or an identifier that holds a control character.

    Raises:
        InvalidParamError: It does.
    """
    if not text.isprintable() and _CONTROL.search(text):
        raise InvalidParamError(
            f"Invalid string: {param} holds a control character, which it may not.", param=param
        )


def usage_request(
    body: MeterEventBody,
    *,
    livemode: bool,
    identifier: str | None,
    path: str = "",
    keyed: Keyed = NOT_KEYED,
) -> UsageRequest:
    """Return the request to count.

    Args:
        body: As decoded.
        livemode: The key's mode.
        identifier: The event's own, or one that stands for it.
        path: Where the event stands in the body, to name in errors: `events[3].`.
        keyed: What the request's Idempotency-Key stands for.

    Raises:
        InvalidParamError: The timestamp is no instant, or a text holds a control character.
    """
    require_plain(body.event_name, param=f"{path}event_name")
    if body.identifier is not None:
        require_plain(body.identifier, param=f"{path}identifier")
    timestamp = None
    if body.timestamp is not None:
        timestamp = parse_instant_ms(body.timestamp, param=f"{path}timestamp") // 1000
    return UsageRequest(
        livemode=livemode,
        event_name=body.event_name,
        payload=body.payload,
        identifier=identifier,
        timestamp=timestamp,
        request_key=keyed.key,
        request_digest=keyed.digest,
    )


async def _record(call: Call, body: MeterEventBody, keyed: Keyed) -> Replayable:
    request = usage_request(body, livemode=call.livemode, identifier=body.identifier, keyed=keyed)
    recorded = await call.services.committer.record(request)
    rendered: dict[str, Any] = render_meter_event_v2(recorded.event, event_name=body.event_name)
    return Replayable(rendered, replayed=recorded.replayed)


def _cancel(call: Call, body: AdjustmentBody, transaction: Transaction) -> dict[str, Any]:
    identifier = body.cancel.identifier
    require_plain(body.event_name, param="event_name")
    require_plain(identifier, param="cancel.identifier")
    try:
        transaction.group.cancel(
            livemode=call.livemode, event_name=body.event_name, identifier=identifier
        )
    except InvalidParamError as error:
        code = "no_meter" if error.param == "event_name" else "invalid_cancel_configuration"
        raise InvalidParamError(error.message, param=error.param, code=code) from error
    return render_adjustment_v2(
        new_id(transaction.ids, "mea", livemode=call.livemode),
        event_name=body.event_name,
        identifier=identifier,
        livemode=call.livemode,
        created_ms=transaction.now_ms,
    )


ROUTES = [
    Route(
        method="POST",
        path="/v2/billing/meter_events",
        summary="Report usage",
        tag="Usage",
        returns="v2.billing.meter_event",
        body=MeterEventBody,
        record=_record,
        is_ingest=True,
        successes="shown",
    ),
    Route(
        method="POST",
        path="/v2/billing/meter_event_adjustments",
        summary="Cancel a meter event: it counts as if it had never come",
        tag="Usage",
        returns="v2.billing.meter_event_adjustment",
        body=AdjustmentBody,
        write=_cancel,
        is_ingest=True,
    ),
]
