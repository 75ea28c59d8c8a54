"""Ours, beside Stripe's alerts: why one fired or did not, and what one would have done."""

from typing import Any

from meterbell.api.call import Call, Operation
from meterbell.api.find import find_in_body, find_in_path
from meterbell.api.params import ID_LENGTH_MAX, Array, Choice, Integer, Object, Param, Text
from meterbell.engine.model import Alert, Meter
from meterbell.ids import CustomerId
from meterbell.insight.dry_run import LIMIT_MAX, WAIT_MS_MAX, Trial
from meterbell.records import Customer
from meterbell.wire.dry_runs import render_dry_run
from meterbell.wire.explanations import render_explanation

_LIMIT = 10
_WAIT_SECONDS = 10
_GTE_MAX = 10**18
_FILTER: dict[str, Param] = {
    "type": Choice(values=("customer",), required=True),
    "customer": Text(length_max=ID_LENGTH_MAX, required=True),
}
_THRESHOLD: dict[str, Param] = {
    "gte": Integer(
        minimum=1, maximum=_GTE_MAX, required=True, description="Usage at which it would trigger."
    ),
    "meter": Text(length_max=ID_LENGTH_MAX, required=True),
    "recurrence": Choice(values=("one_time",)),
    "filters": Array(
        item=Object(fields=_FILTER),
        items_max=1,
        description="One customer; without it every customer separately.",
    ),
    "baseline": Choice(
        values=("creation",), description="Usage from before the start does not count."
    ),
}


async def _explain(call: Call) -> dict[str, Any]:
    services = call.services
    alert = find_in_path(services.store.reader, call, Alert, noun="billing alert", placeholder="id")
    customer = CustomerId(call.params["customer"])
    return render_explanation(await services.insight.explainer.explain(alert.id, customer))


async def _dry_run(call: Call) -> dict[str, Any]:
    objects, runner = call.services.store.reader, call.services.insight.dry_runner
    threshold = call.params["usage_threshold"]
    meter = find_in_body(
        objects,
        call,
        Meter,
        threshold["meter"],
        noun="billing meter",
        param="usage_threshold[meter]",
    )
    customer = None
    if threshold.get("filters"):
        param = "usage_threshold[filters][0][customer]"
        asked = threshold["filters"][0]["customer"]
        found = find_in_body(objects, call, Customer, asked, noun="customer", param=param)
        customer = CustomerId(found.id)
    start = call.params.get("start")
    if start is None:
        start = runner.default_start()
    runner.require_start(start, param="start")
    trial = Trial(meter, threshold["gte"], customer, start)
    wait_ms = 1000 * call.params.get("wait", _WAIT_SECONDS)
    limit = call.params.get("limit", _LIMIT)
    return render_dry_run(await runner.run(trial, limit=limit, wait_ms=wait_ms))


OPERATIONS = [
    Operation(
        method="POST",
        path="/v1/billing/alerts/dry_run",
        summary="Tell what an alert would have done had it been made earlier; nothing is changed",
        returns="billing.alert_dry_run",
        params={
            "alert_type": Choice(values=("usage_threshold",)),
            "title": Text(length_max=256),
            "usage_threshold": Object(fields=_THRESHOLD, required=True),
            "start": Integer(
                minimum=0,
                description="Unix seconds, up to 366 days ago; by default the UTC day 30 days ago.",
            ),
            "limit": Integer(
                minimum=1, maximum=LIMIT_MAX, description="Customers of each kind, 10 by default."
            ),
            "wait": Integer(
                minimum=0,
                maximum=WAIT_MS_MAX // 1000,
                description="Seconds that it may take, 10 by default.",
            ),
        },
        answer=_dry_run,
        changes_nothing=True,
    ),
    Operation(
        method="GET",
        path="/v1/billing/alerts/{id}/explain",
        summary="Explain why an alert triggered for a customer, or why not",
        returns="billing.alert_explanation",
        params={
            "customer": Text(
                length_max=ID_LENGTH_MAX, required=True, description="Need not be known."
            )
        },
        answer=_explain,
    ),
]
