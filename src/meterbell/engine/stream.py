"""Many meter events at once: the hot path. What it can't decide in one step goes to `Group.record`.

Nearly every event is new, belongs to a known customer and counter, falls in the counter's newest
hour and fires nothing. For those, and only for those, the loop below does what `judge`, `add_event`
and `cross` would do, without a call. Everything else takes the general way, one by one, so there is
one set of rules; tests hold the two together.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple, cast

from meterbell.engine.counter import Counter
from meterbell.engine.decide import Group
from meterbell.engine.fold import HOUR_SECONDS
from meterbell.engine.model import Refusal, RefusalReason, StreamUsage, UsageRequest
from meterbell.engine.state import PlainMeter, State
from meterbell.engine.validate import FUTURE_SECONDS_MAX, PAST_SECONDS_MAX
from meterbell.engine.value import SCALE, parse_value
from meterbell.errors import DuplicateIdentifierError, UsageRefusedError
from meterbell.ids import CustomerId

Values = dict[str | None, int]
_VALUES_MAX = 10_000


class StreamBatch(NamedTuple):
    """The meter events of one stream request, in the order in which they are to be counted.

    Attributes:
        events: Decoded, not judged, at least one. `UsageRequest`s where the usual shape does not
            fit one of them.
        identifiers: One for each event: its own, or a generated one. What is generated from the
            request's Idempotency-Key may be known already: the request was then sent again, which
            is no error.
    """

    livemode: bool
    events: Sequence[StreamUsage] | Sequence[UsageRequest]
    identifiers: list[str]


def record_batches(group: Group, batches: Sequence[StreamBatch], values: Values) -> None:
    """Count the events of stream requests of one mode, in order.

    What is not counted is among the group's refusals afterwards.

    Args:
        group: The group that they become a part of.
        batches: The requests.
        values: Values by text that occurred before, never negative; kept by the caller.
    """
    identifiers = [name for batch in batches for name in batch.identifiers]
    suspects = group.state.identifiers[batches[0].livemode].suspects(identifiers)
    for batch in batches:
        if isinstance(batch.events[0], StreamUsage):
            _record_usual(
                group, batch, cast("Sequence[StreamUsage]", batch.events), suspects, values
            )
        else:
            _record_each(group, batch)


def _record_each(group: Group, batch: StreamBatch) -> None:
    for position in range(len(batch.events)):
        _record_one(group, batch, position)


def _record_usual(
    group: Group,
    batch: StreamBatch,
    events: Sequence[StreamUsage],
    suspects: AbstractSet[str],
    values: Values,
) -> None:
    """Count events of the usual shape; those whose identifier may be known one by one."""
    state, livemode, identifiers = group.state, batch.livemode, batch.identifiers
    plain_meters = state.plain_meters[livemode]
    now = group.now_ms // 1000
    hour_now = now // HOUR_SECONDS
    oldest, newest = now - PAST_SECONDS_MAX, now + FUTURE_SECONDS_MAX
    rows = group.rows_to_extend()
    sequence = first = state.sequence + 1
    begin = 0  # events from here on are in the log, not yet in the index
    group.is_changing = True
    for position, event in enumerate(events):
        plain = plain_meters.get(event.event_name)
        stamp = event.timestamp
        if stamp is None:
            timestamp, hour = now, hour_now
        else:
            timestamp = int(stamp.timestamp())
            hour = timestamp // HOUR_SECONDS
        identifier = identifiers[position]
        if (
            plain is not None
            and (stamp is None or oldest <= timestamp <= newest)
            and (not suspects or identifier not in suspects)
        ):
            payload = event.payload
            customer, text = payload.stripe_customer_id, payload.value
            value = SCALE if plain.counts_events else values.get(text, -1)
            if value < 0:
                value = read_value(text, values)
            counter = plain.counters.get(customer)
            if counter is None and value >= 0:
                counter = new_counter_of(state, plain, customer)
            if counter is not None and value >= 0 and plain.any_customer.revision <= counter.armed:
                total = counter.total + value
                if total < counter.next_fire and hour >= counter.hour:
                    if hour > counter.hour:
                        counter.open_hour(hour)
                    rows.append((plain.id, customer, identifier, timestamp, text, counter.head))
                    counter.total = total
                    counter.value += value
                    counter.events += 1
                    counter.head = sequence
                    sequence += 1
                    continue
        state.sequence = sequence - 1
        state.identifiers[livemode].add_run(identifiers[begin:position], first)
        group.is_changing = False
        _record_one(group, batch, position)
        group.is_changing = True
        sequence = first = state.sequence + 1
        begin = position + 1
    state.sequence = sequence - 1
    state.identifiers[livemode].add_run(identifiers[begin:] if begin else identifiers, first)
    group.is_changing = False


def read_value(text: str | None, values: Values) -> int:
    """Return a value in units of 10^-12, or -1 for what takes the general way."""
    if text is None:
        return -1
    try:
        value = parse_value(text, param="payload[value]")
    except UsageRefusedError:
        return -1
    if value >= 0:
        if len(values) >= _VALUES_MAX:
            values.clear()
        values[text] = value
    return value


def new_counter_of(state: State, plain: PlainMeter, customer: CustomerId) -> Counter | None:
    """Return a known customer's new counter, if only alerts for any customer watch it."""
    known = state.customers[plain.livemode].get(customer)
    if known is None or known in plain.alerts.by_customer:
        return None
    scope = plain.any_customer
    counter = Counter(next_fire=scope.lowest, armed=scope.revision)
    # The stored string, so that all counters of a customer share one.
    plain.counters[known] = counter
    return counter


def _record_one(group: Group, batch: StreamBatch, position: int) -> None:
    """Count one event as if it had come alone."""
    event, identifier = batch.events[position], batch.identifiers[position]
    if isinstance(event, StreamUsage):
        payload: dict[str, str] = {"stripe_customer_id": event.payload.stripe_customer_id}
        if event.payload.value is not None:
            payload["value"] = event.payload.value
        stamp = event.timestamp
        event = UsageRequest(
            livemode=batch.livemode,
            event_name=event.event_name,
            payload=payload,
            identifier=event.identifier,
            timestamp=None if stamp is None else int(stamp.timestamp()),
        )
    try:
        group.record(event, new_identifier=identifier)
    except DuplicateIdentifierError as error:
        if event.identifier is not None:
            _refuse(group, event, "duplicate_meter_event", error.message)
    except UsageRefusedError as error:
        _refuse(group, event, cast("RefusalReason", error.reason), error.message)


def _refuse(group: Group, event: UsageRequest, reason: RefusalReason, message: str) -> None:
    meter = group.state.meters_by_event_name.get((event.livemode, event.event_name))
    if reason == "no_meter":
        message = f"No meter was found matching event_name {event.event_name}."
    group.refusals.append(
        Refusal(
            livemode=event.livemode,
            reason=reason,
            meter=None if meter is None else meter.id,
            event_name=event.event_name,
            identifier=event.identifier,
            message=message,
        )
    )
