"""Dry runs of alerts as JSON; ours. Decimals are exact, as strings."""

from typing import Any

from meterbell.engine.dry_run import SHARES, Candidate, DryRun
from meterbell.engine.value import format_value


def render_dry_run(found: DryRun) -> dict[str, Any]:
    """Return a `billing.alert_dry_run`."""
    filters = None
    if found.customer is not None:
        filters = [{"type": "customer", "customer": found.customer}]
    return {
        "object": "billing.alert_dry_run",
        "complete": found.complete,
        "customers": found.customers,
        "end": found.end,
        "livemode": found.meter.livemode,
        "nearest": [
            {"customer": candidate.customer, "usage": format_value(candidate.peak)}
            for candidate in found.near
        ],
        "shares": [
            {"below_percent": 100 * (place + 1) // SHARES, "customers": customers}
            for place, customers in enumerate(found.shares)
        ],
        "start": found.start,
        "steps": [
            {"customers": step.customers, "end": step.end, "start": step.start}
            for step in found.steps
        ],
        "triggered": [_render_candidate(candidate) for candidate in found.fired],
        "triggered_count": found.count,
        "usage_threshold": {
            "baseline": "creation",
            "filters": filters,
            "gte": found.gte,
            "meter": found.meter.id,
            "recurrence": "one_time",
        },
    }


def _render_candidate(candidate: Candidate) -> dict[str, Any]:
    crossing, shown = candidate.crossing, None
    if crossing is not None:
        shown = {
            "created": crossing.received_at_ms // 1000,
            "identifier": crossing.identifier,
            "sequence": crossing.sequence,
            "timestamp": crossing.timestamp,
            "value_decimal": format_value(crossing.value),
        }
    return {
        "customer": candidate.customer,
        "meter_event": shown,
        "usage": format_value(candidate.peak),
    }
