"""What explanations and dry runs look like, as JSON schemas; ours, beside Stripe's."""

from typing import get_args

from meterbell.api.schema_parts import (
    FLAG,
    INTEGER,
    TEXT,
    TIME,
    Schema,
    list_of,
    object_of,
    one_of,
    or_null,
    record_of,
)
from meterbell.engine.explain import Outcome
from meterbell.records import DeliveryStatus

_DECIMAL: Schema = {"type": "string", "description": "An exact decimal."}
_EXPLANATION = record_of(
    "billing.alert_explanation",
    {
        "alert": TEXT,
        "customer": TEXT,
        "meter": TEXT,
        "outcome": {
            **one_of(*get_args(Outcome)),
            "description": "That it triggered, or the first thing that keeps it from that.",
        },
        "explanation": {**TEXT, "description": "The same for people."},
        "gte": INTEGER,
        "usage": or_null({**_DECIMAL, "description": "What counts for the alert, exactly."}),
        "remaining": or_null({**_DECIMAL, "description": "What is missing, exactly."}),
        "not_counted": or_null(
            {**_DECIMAL, "description": "Usage from before the alert's creation, exactly."}
        ),
        "since": or_null({**TIME, "description": "Since when it has been switched off."}),
        "trigger": or_null(
            object_of(
                {
                    "created": TIME,
                    "value_decimal": _DECIMAL,
                    "event": {**TEXT, "description": "The event that told of it."},
                    "sequence": {**INTEGER, "description": "Its place in commit order."},
                    "meter_event": or_null(
                        object_of(
                            {
                                "identifier": TEXT,
                                "created": TIME,
                                "timestamp": TIME,
                                "cancelled": FLAG,
                            }
                        )
                    ),
                    "deliveries": list_of(
                        object_of(
                            {
                                "endpoint": TEXT,
                                "status": one_of(*get_args(DeliveryStatus)),
                                "attempts": INTEGER,
                                "next_attempt": or_null(TIME),
                            }
                        )
                    ),
                }
            )
        ),
    },
)
_DRY_RUN = record_of(
    "billing.alert_dry_run",
    {
        "usage_threshold": object_of(
            {
                "gte": INTEGER,
                "meter": TEXT,
                "recurrence": one_of("one_time"),
                "baseline": one_of("creation"),
                "filters": or_null(
                    list_of(object_of({"type": one_of("customer"), "customer": TEXT}))
                ),
            }
        ),
        "start": {**TIME, "description": "Unix seconds; usage received from then on counts."},
        "end": {**TIME, "description": "Unix seconds; usage received until then was looked at."},
        "complete": {
            **FLAG,
            "description": "Whether that is all. If not, ask again: it goes on where it ended.",
        },
        "customers": {**INTEGER, "description": "Customers with usage."},
        "triggered_count": {
            **INTEGER,
            "description": "For how many it would have triggered; at least, if not complete.",
        },
        "triggered": list_of(
            object_of(
                {
                    "customer": TEXT,
                    "usage": {**_DECIMAL, "description": "The most it came to, exactly."},
                    "meter_event": or_null(
                        object_of(
                            {
                                "identifier": TEXT,
                                "created": TIME,
                                "timestamp": TIME,
                                "sequence": INTEGER,
                                "value_decimal": _DECIMAL,
                            }
                        )
                    ),
                }
            )
        ),
        "nearest": list_of(object_of({"customer": TEXT, "usage": _DECIMAL})),
        "shares": list_of(object_of({"below_percent": INTEGER, "customers": INTEGER})),
        "steps": list_of(object_of({"start": TIME, "end": TIME, "customers": INTEGER})),
    },
)

INSIGHT_SCHEMAS: dict[str, Schema] = {
    "billing.alert_explanation": _EXPLANATION,
    "billing.alert_dry_run": _DRY_RUN,
}
