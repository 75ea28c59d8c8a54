"""Whether a meter event or a cancellation may be accepted, and what to tell the sender if not.

Rules C3, C4, C6 and the choices written down in "Differences from Stripe".
"""

import re
from typing import NamedTuple

from meterbell.engine.model import Meter, MeterEvent, UsageRequest
from meterbell.engine.state import State
from meterbell.engine.value import SCALE, parse_value
from meterbell.errors import InvalidParamError, UsageRefusedError
from meterbell.ids import CustomerId

# No slash and not dots alone: an id stands in the path of a URL.
_CUSTOMER_ID = re.compile(r"(?=.*[A-Za-z0-9])[A-Za-z0-9_.:@|=+-]{1,255}")
PAST_SECONDS_MAX = 35 * 86400
FUTURE_SECONDS_MAX = 5 * 60


class Judged(NamedTuple):
    """What an acceptable usage request means.

    Attributes:
        value: In units of 10^-12; one whole unit for a `count` meter.
        creates_customer: Whether the customer is unknown and is to be created with it.
    """

    meter: Meter
    customer: CustomerId
    timestamp: int
    value: int
    creates_customer: bool


def judge(state: State, request: UsageRequest, *, now_ms: int) -> Judged:
    """Return what a usage request means.

    Args:
        state: Meters, customers and limits to hold it against.
        request: As reported.
        now_ms: The present.

    Raises:
        UsageRefusedError: It may not be counted.
    """
    meter = state.meters_by_event_name.get((request.livemode, request.event_name))
    if meter is None or meter.status != "active":
        raise UsageRefusedError(
            f'No active meter found for event name "{request.event_name}".',
            reason="no_meter" if meter is None else "archived_meter",
            param="event_name",
        )
    known, is_new = _customer(state, request, meter)
    timestamp = _timestamp(request.timestamp, now_ms=now_ms)
    return Judged(meter, known, timestamp, _value(request, meter), is_new)


def _customer(state: State, request: UsageRequest, meter: Meter) -> tuple[CustomerId, bool]:
    """Return the customer the usage belongs to, and whether it is to be created."""
    key = meter.customer_key
    text = request.payload.get(key)
    if not text:
        raise UsageRefusedError(
            f"Customer mapping key {key} not found in payload. Meter {meter.id} reads the customer "
            f"id from payload[{key}].",
            reason="meter_event_no_customer_defined",
            param=f"payload[{key}]",
            code="parameter_missing",
        )
    customer = CustomerId(text)
    if customer in state.customers[request.livemode]:
        return customer, False
    param = f"payload[{key}]"
    if (request.livemode, customer) in state.deleted_customers:
        raise UsageRefusedError(
            f"No such customer: '{text[:100]}'. It was deleted, and its id is not used again.",
            reason="meter_event_customer_not_found",
            param=param,
            code="resource_missing",
        )
    if state.limits.auto_create_customers:
        try:
            require_customer_id(text, param=param)
        except InvalidParamError as error:
            raise UsageRefusedError(
                error.message, reason="meter_event_customer_not_found", param=param
            ) from error
        return customer, True
    raise UsageRefusedError(
        f"No such customer: '{text[:100]}'. Create the customer first (POST /v1/customers takes an "
        "id), or start the server with --customers-auto-create.",
        reason="meter_event_customer_not_found",
        param=f"payload[{key}]",
        code="resource_missing",
    )


def require_customer_id(text: str, *, param: str) -> None:
    """Refuse an id that no new customer may have.

    Raises:
        InvalidParamError: It could not stand in the path of a URL, or is too long.
    """
    if not _CUSTOMER_ID.fullmatch(text):
        raise InvalidParamError(
            "Invalid id: a customer id has 1 to 255 characters, ASCII letters and digits or any of "
            "_.:@|=+-, and at least one letter or digit.",
            param=param,
        )


def _timestamp(timestamp: int | None, *, now_ms: int) -> int:
    """Return the usage's own time in Unix seconds (C4)."""
    now = now_ms // 1000
    if timestamp is None:
        return now
    if timestamp > now + FUTURE_SECONDS_MAX:
        raise UsageRefusedError(
            f"Invalid timestamp: {timestamp} is too far in the future. It must be at most 5 "
            f"minutes ahead of the server's time, which is {now}.",
            reason="timestamp_in_future",
            param="timestamp",
        )
    if timestamp < now - PAST_SECONDS_MAX:
        raise UsageRefusedError(
            f"Invalid timestamp: {timestamp} is too far in the past. It must be within the past 35 "
            f"days; the server's time is {now}.",
            reason="timestamp_too_far_in_past",
            param="timestamp",
        )
    return timestamp


def _value(request: UsageRequest, meter: Meter) -> int:
    """Return the value in units of 10^-12; a `count` meter counts events and reads none."""
    if meter.formula == "count":
        return SCALE
    key = meter.value_key
    param = f"payload[{key}]"
    text = request.payload.get(key)
    if text is None:
        raise UsageRefusedError(
            f"Value key {key} not found in payload. Meter {meter.id} reads the value from {param}.",
            reason="meter_event_value_not_found",
            param=param,
            code="parameter_missing",
        )
    return parse_value(text, param=param)


def require_cancellable(
    state: State,
    event: MeterEvent | None,
    *,
    livemode: bool,
    event_name: str,
    identifier: str,
    cancelled: bool,
) -> MeterEvent:
    """Return the meter event to cancel.

    Raises:
        InvalidParamError: There is none with that identifier and event name, or it was cancelled.
    """
    meter = state.meters_by_event_name.get((livemode, event_name))
    if meter is None:
        raise InvalidParamError(
            f'No meter found for event name "{event_name}".', param="event_name"
        )
    if event is None or event.meter != meter.id:
        raise InvalidParamError(
            f"No meter event with identifier '{identifier}' was found for event name "
            f'"{event_name}".',
            param="cancel[identifier]",
            code="resource_missing",
        )
    if cancelled:
        raise InvalidParamError(
            f"The meter event with identifier '{identifier}' was cancelled before.",
            param="cancel[identifier]",
        )
    return event
