"""Domain objects as v1 JSON, field by field as Stripe's types name them (contract §2)."""

from typing import Any

from meterbell.engine.model import Alert
from meterbell.engine.value import SCALE, format_value
from meterbell.records import Customer


def render_alert(alert: Alert) -> dict[str, Any]:
    """Return a `billing.alert`."""
    raise NotImplementedError


def render_alert_triggered(
    alert: Alert, *, customer: str, value: int, created: int
) -> dict[str, Any]:
    """Return a `billing.alert_triggered`.

    `value` is the usage rounded down to a whole number, as the GA types say; `value_decimal`, ours,
    is exact.
    """
    return {
        "object": "billing.alert_triggered",
        "alert": render_alert(alert),
        "created": created,
        "customer": customer,
        "livemode": alert.livemode,
        "value": value // SCALE,
        "value_decimal": format_value(value),
    }


def render_customer(customer: Customer) -> dict[str, Any]:
    """Return a `customer`."""
    raise NotImplementedError(customer)
