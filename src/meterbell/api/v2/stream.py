"""The meter event stream: many meter events in one request (contract §2.6)."""

import hashlib

from msgspec import Struct

from meterbell.api.call import Call
from meterbell.api.v2.meter_events import MeterEventBody, usage_request
from meterbell.api.v2.route import Keyed, Replayable, Route
from meterbell.engine.model import UsageRequest
from meterbell.errors import InvalidParamError
from meterbell.ledger.reports import GENERATED_PREFIX
from meterbell.settings import Settings
from meterbell.wire.form import BODY_BYTES_MAX

_EVENT_BYTES_MAX = 4096


class StreamBody(Struct, forbid_unknown_fields=True, frozen=True):
    """Meter events, counted in this order."""

    events: list[MeterEventBody]


def body_bytes_max(settings: Settings) -> int:
    """Return how long the body of a stream may be."""
    return max(BODY_BYTES_MAX, settings.stream_events_max * _EVENT_BYTES_MAX)


async def _record(call: Call, body: StreamBody, keyed: Keyed) -> Replayable:
    """Count what may be counted; the rest is reported later, by `ledger.reports`."""
    limit = call.services.settings.stream_events_max
    if len(body.events) > limit:
        raise InvalidParamError(
            f"Invalid events: a request holds at most {limit} meter events, and this one "
            f"{len(body.events)}. Send them in several requests.",
            param="events",
        )
    requests = [
        _request(event, index, call=call, keyed=keyed) for index, event in enumerate(body.events)
    ]
    if requests:
        await call.services.committer.record_stream(requests)
    return Replayable({})


def _request(event: MeterEventBody, index: int, *, call: Call, keyed: Keyed) -> UsageRequest:
    """Return the request to count.

    An event without identifier gets one that a retry with the same Idempotency-Key and the same
    body gets again, so that it counts once (C2).
    """
    identifier = event.identifier
    if identifier is None and keyed.key:
        seed = b"%b%b%d" % (keyed.key, keyed.digest, index)
        identifier = GENERATED_PREFIX + hashlib.blake2b(seed, digest_size=12).hexdigest()
    return usage_request(
        event, livemode=call.livemode, path=f"events[{index}].", identifier=identifier
    )


def _key_count(body: StreamBody) -> int:
    """Return how many keys the body has if none is given twice and none is null."""
    return 1 + sum(
        2 + len(event.payload) + (event.identifier is not None) + (event.timestamp is not None)
        for event in body.events
    )


ROUTES = [
    Route(
        method="POST",
        path="/v2/billing/meter_event_stream",
        summary="Report many meter events at once, with the token of a session",
        tag="Usage",
        returns="v2.billing.meter_event_stream",
        body=StreamBody,
        record=_record,
        is_ingest=True,
        takes_session=True,
        key_count=_key_count,
        body_bytes_max=body_bytes_max,
    ),
]
