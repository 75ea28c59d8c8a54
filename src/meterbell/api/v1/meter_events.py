"""Meter events and their adjustments (contract §2.3, §2.4). Reporting usage is the hot path."""

from typing import Any

from meterbell.api.call import Call, Operation
from meterbell.api.params import Choice, Integer, Object, Param, Text, Texts
from meterbell.engine.model import UsageRequest
from meterbell.ledger.transaction import Transaction
from meterbell.wire.form import Form
from meterbell.wire.objects import render_adjustment

_IDENTIFIER_MAX = 100
_NAME_MAX = 100
_PAYLOAD_KEYS_MAX = 50
_PAYLOAD_VALUE_MAX = 500
_TIMESTAMP_DIGITS = 12

CREATE_PARAMS: dict[str, Param] = {
    "event_name": Text(
        length_max=_NAME_MAX, required=True, is_plain=True, description="Says which meter."
    ),
    "payload": Texts(
        required=True,
        keys_max=_PAYLOAD_KEYS_MAX,
        key_length_max=_NAME_MAX,
        value_length_max=_PAYLOAD_VALUE_MAX,
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
    successes="shown",
)


def usual_params(form: Form) -> dict[str, Any] | None:
    """Return the parameters of a request that is beyond doubt; None leaves it to `read_params`.

    Nearly all requests are, and reading them by their declarations takes five times as long.
    """
    name, payload = form.get("event_name"), form.get("payload")
    identifier, timestamp = form.get("identifier"), form.get("timestamp")
    known = 2 + (identifier is not None) + (timestamp is not None)
    if (
        len(form) != known
        or not _is_plain_name(name)
        or not isinstance(payload, dict)
        or len(payload) > _PAYLOAD_KEYS_MAX
        or not (identifier is None or _is_plain_name(identifier))
    ):
        return None
    for key, value in payload.items():
        if not isinstance(value, str) or not 0 < len(value) <= _PAYLOAD_VALUE_MAX:
            return None
        if len(key) > _NAME_MAX or key.isdecimal():
            return None
    params: dict[str, Any] = {"event_name": name, "payload": payload, "identifier": identifier}
    if timestamp is not None:
        if not (isinstance(timestamp, str) and timestamp.isascii() and timestamp.isdecimal()):
            return None
        if len(timestamp) > _TIMESTAMP_DIGITS:
            return None
        params["timestamp"] = int(timestamp)
    return params


def _is_plain_name(text: object) -> bool:
    return isinstance(text, str) and 0 < len(text) <= _NAME_MAX and text.isprintable()


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
