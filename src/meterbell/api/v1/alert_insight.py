"""Ours, beside Stripe's alerts: why an alert fired for a customer or did not."""

from typing import Any

from meterbell.api.call import Call, Operation
from meterbell.api.find import find_in_path
from meterbell.api.params import ID_LENGTH_MAX, Text
from meterbell.engine.model import Alert
from meterbell.ids import CustomerId
from meterbell.wire.explanations import render_explanation


async def _explain(call: Call) -> dict[str, Any]:
    services = call.services
    alert = find_in_path(services.store.reader, call, Alert, noun="billing alert", placeholder="id")
    customer = CustomerId(call.params["customer"])
    return render_explanation(await services.insight.explainer.explain(alert.id, customer))


OPERATIONS = [
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
    )
]
