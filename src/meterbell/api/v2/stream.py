"""The meter event stream: many meter events in one request (contract §2.6)."""

import hashlib
from typing import cast

import msgspec
from msgspec import Struct

from meterbell.api.call import Call
from meterbell.api.v2.meter_events import MeterEventBody, usage_request
from meterbell.api.v2.route import Keyed, Replayable, Route
from meterbell.engine.batch import Columns
from meterbell.engine.model import StreamUsage
from meterbell.engine.stream import StreamBatch
from meterbell.errors import InvalidParamError
from meterbell.settings import Settings
from meterbell.wire.form import BODY_BYTES_MAX

PATH = "/v2/billing/meter_event_stream"
_EVENT_BYTES_MAX = 4096
_GENERATED_PREFIX = "idmp_"


class StreamBody(Struct, forbid_unknown_fields=True, frozen=True):
    """Meter events, counted in this order."""

    events: list[MeterEventBody]


class _UsualBody(Struct, forbid_unknown_fields=True, gc=False):
    """A body whose events all have the shape that nearly all have."""

    events: list[StreamUsage]


_decode = msgspec.json.Decoder(_UsualBody).decode


def body_bytes_max(settings: Settings) -> int:
    """Return how long the body of a stream may be."""
    return max(BODY_BYTES_MAX, settings.stream_events_max * _EVENT_BYTES_MAX)


async def _record(call: Call, body: StreamBody, keyed: Keyed) -> Replayable:
    """Count what may be counted; the rest is reported later, by `ledger.reports`."""
    _require_few(len(body.events), call.services.settings)
    requests = [
        usage_request(
            event,
            livemode=call.livemode,
            path=f"events[{index}].",
            identifier=event.identifier,
        )
        for index, event in enumerate(body.events)
    ]
    if requests:
        identifiers = [
            request.identifier or _generated(index, call=call, keyed=keyed)
            for index, request in enumerate(requests)
        ]
        batch = StreamBatch(call.livemode, Columns.of_requests(requests, identifiers))
        await call.services.committer.begin_stream(batch)
    return Replayable({})


def _require_few(events: int, settings: Settings) -> None:
    limit = settings.stream_events_max
    if events > limit:
        raise InvalidParamError(
            f"Invalid events: a request holds at most {limit} meter events, and this one "
            f"{events}. Send them in several requests.",
            param="events",
        )


def _generated(index: int, *, call: Call, keyed: Keyed) -> str:
    """Return an identifier for an event that brings none.

    A retry with the same Idempotency-Key and the same body gets it again, so that the event counts
    once (C2).
    """
    if not keyed.key:
        return f"{_GENERATED_PREFIX}{call.services.ids.token(24)}"
    seed = b"%b%b%d" % (keyed.key, keyed.digest, index)
    return _GENERATED_PREFIX + hashlib.blake2b(seed, digest_size=12).hexdigest()


def usual_batch(raw: bytes, *, livemode: bool, settings: Settings) -> StreamBatch | None:
    """Return the events of a body that has the shape that nearly all have.

    It is decoded in one step. Anything else gives None and takes the general way, which finds the
    words for what is wrong: other payload keys, missing identifiers, escapes, blanks after a text,
    times so close to the next second that one step would round them up to it.
    """
    if b"\\" in raw or b"\x7f" in raw or b"\t" in raw or b"\n" in raw or b"\r" in raw:
        return None  # an escape may stand for what names must not hold
    if b" " in raw and b'" ' in raw:
        return None  # a key before a blank would not be counted below
    try:
        events = _decode(raw).events
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    identifiers = [event.identifier for event in events]
    if not events or None in identifiers:
        return None
    columns = Columns.of_usual(events, cast("list[str]", identifiers))
    untimed = columns.timestamps.count(None)
    # As many keys as there must be: none is given twice.
    keys = 1 + 6 * len(events) - columns.texts.count(None) - untimed
    # One byte is counted three times as fast as two, and mostly no text holds a colon.
    has_keys = raw.count(b":") == keys or raw.count(b'":') == keys
    if not has_keys or (untimed < len(events) and b".999999" in raw):
        return None
    _require_few(len(events), settings)
    return StreamBatch(livemode, columns)


def _key_count(body: StreamBody) -> int:
    """Return how many keys the body has if none is given twice and none is null."""
    return 1 + sum(
        2 + len(event.payload) + (event.identifier is not None) + (event.timestamp is not None)
        for event in body.events
    )


ROUTES = [
    Route(
        method="POST",
        path=PATH,
        summary="Report many meter events at once, with the token of a session",
        tag="Usage",
        returns="v2.billing.meter_event_stream",
        body=StreamBody,
        record=_record,
        is_ingest=True,
        successes="shown",
        takes_session=True,
        key_count=_key_count,
        body_bytes_max=body_bytes_max,
    ),
]
