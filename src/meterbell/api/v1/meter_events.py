"""Meter events and their adjustments (contract §2.3, §2.4). Reporting usage is the hot path."""

from typing import Any

from meterbell.api.call import Call, Operation
from meterbell.api.params import Choice, Integer, Object, Param, Text, Texts
from meterbell.engine.model import UsageRequest
from meterbell.ledger.transaction import Transaction
from meterbell.wire.objects import render_adjustment

_IDENTIFIER_MAX = 100
_NAME_MAX = 100

CREATE_PARAMS: dict[str, Param] = {
    "event_name": Text(
        length_max=_NAME_MAX, required=True, is_plain=True, description="Says which meter."
    ),
    "payload": Texts(
        required=True,
        keys_max=50,
        key_length_max=100,
        value_length_max=500,
        description="Holds the customer and the value under the meter's keys; more is kept.",
    ),
    "identifier": Text(
        length_max=_IDENTIFIER_MAX,
        is_plain=True,
        description="Counts once; generated when absent.",
    ),
    "timestamp": Integer(description="Unix seconds of the usage; now when absent."),
}

CREATE = Operation(
    method="POST",
    path="/v1/billing/meter_events",
    summary="Report usage",
    returns="billing.meter_event",
    params=CREATE_PARAMS,
    is_ingest=True,
)


def usage_request(
    params: dict[str, Any], *, livemode: bool, request_key: bytes, request_digest: bytes
) -> UsageRequest:
    """Return the request to count, from decoded parameters."""
    return UsageRequest(
        livemode=livemode,
        event_name=params["event_name"],
        payload=params["payload"],
        identifier=params.get("identifier"),
        timestamp=params.get("timestamp"),
        request_key=request_key,
        request_digest=request_digest,
    )


def _cancel(call: Call, transaction: Transaction) -> dict[str, Any]:
    name = call.params["event_name"]
    identifier = call.params["cancel"]["identifier"]
    transaction.group.cancel(livemode=call.livemode, event_name=name, identifier=identifier)
    return render_adjustment(event_name=name, identifier=identifier, livemode=call.livemode)


OPERATIONS = [
    CREATE,
    Operation(
        method="POST",
        path="/v1/billing/meter_event_adjustments",
        summary="Cancel a meter event: it counts as if it had never come",
        returns="billing.meter_event_adjustment",
        params={
            "event_name": Text(length_max=_NAME_MAX, required=True),
            "type": Choice(values=("cancel",), required=True),
            "cancel": Object(
                required=True,
                fields={"identifier": Text(length_max=_IDENTIFIER_MAX, required=True)},
            ),
        },
        write=_cancel,
        is_ingest=True,
    ),
]
