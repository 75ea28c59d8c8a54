"""What answers about deliveries look like, as JSON schemas, beside `wire.deliveries`."""

from meterbell.api.schema_parts import (
    FLAG,
    INTEGER,
    TEXT,
    Schema,
    list_of,
    object_of,
    one_of,
    or_null,
    ref,
)
from meterbell.store.deliveries import COUNT_MAX, STATUSES

_INSTANT: Schema = {**TEXT, "format": "date-time"}
_ATTEMPT = object_of(
    {
        "object": one_of("meterbell.attempt"),
        "attempt": {**INTEGER, "description": "From 1 on, anew after the delivery was resent."},
        "delivery": TEXT,
        "duration_ms": INTEGER,
        "manual": {**FLAG, "description": "Whether somebody asked for it."},
        "outcome": {**TEXT, "description": "`succeeded`, or what went wrong."},
        "response": {**TEXT, "description": "The first 64 KiB of the answer's body."},
        "started": _INSTANT,
        "status_code": or_null(INTEGER),
    }
)
_DELIVERY = object_of(
    {
        "id": TEXT,
        "object": one_of("meterbell.delivery"),
        "attempt_count": {**INTEGER, "description": "Since its schedule began."},
        "attempts": list_of(ref("meterbell.attempt")),
        "created": _INSTANT,
        "event": TEXT,
        "livemode": FLAG,
        "next_attempt": or_null(_INSTANT),
        "resent": or_null(_INSTANT),
        "status": one_of(*STATUSES),
        "webhook_endpoint": TEXT,
    },
    optional=frozenset({"attempts"}),
)
_HEALTH = object_of(
    {
        "object": one_of("meterbell.webhook_endpoint_health"),
        "attempts": list_of(ref("meterbell.attempt")),
        "circuit": object_of(
            {
                "failing_since": or_null(_INSTANT),
                "failures": {**INTEGER, "description": "In a row."},
                "next_probe": or_null(_INSTANT),
                "state": one_of("closed", "open", "half_open"),
            }
        ),
        "deliveries": {
            **object_of(dict.fromkeys(STATUSES, INTEGER)),
            "description": f"By status; counting ends at {COUNT_MAX}.",
        },
        "disabled": or_null(
            object_of({"at": or_null(_INSTANT), "reason": one_of("user", "gone", "failing")})
        ),
        "livemode": FLAG,
        "status": one_of("enabled", "disabled"),
        "webhook_endpoint": TEXT,
    }
)
_RESENT = object_of(
    {
        "object": one_of("meterbell.resent"),
        "has_more": {
            **FLAG,
            "description": "Whether there may be more. Send it again then, with `starting_after`.",
        },
        "last": or_null({**TEXT, "description": "The `starting_after` of the next request."}),
        "resent": INTEGER,
        "webhook_endpoint": TEXT,
    }
)

DELIVERY_SCHEMAS: dict[str, Schema] = {
    "meterbell.attempt": _ATTEMPT,
    "meterbell.delivery": _DELIVERY,
    "meterbell.webhook_endpoint_health": _HEALTH,
    "meterbell.resent": _RESENT,
}
