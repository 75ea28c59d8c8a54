"""Why an alert fired for a customer, or why not, as a value. Rules A1 to A6 read backwards."""

from dataclasses import dataclass
from typing import Literal

from meterbell.engine.alerts import threshold_of
from meterbell.engine.counter import Counter
from meterbell.engine.model import Alert, Meter
from meterbell.engine.progress import counts_for
from meterbell.engine.state import State
from meterbell.ids import CustomerId

Outcome = Literal[
    "triggered",
    "customer_unknown",
    "other_customer",
    "archived",
    "inactive",
    "meter_inactive",
    "customer_deleted",
    "no_usage",
    "below",
    "due",
]
"""What there is to say first: that it fired, or the first thing that keeps it from firing.

`due` is usage at or above the threshold for which the alert has not fired yet: it was activated, or
came to count, without usage after that (A2, A6).
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """How an alert stands for one customer, in units of 10^-12.

    Attributes:
        usage: What counts for it; None if that is not known any more, or of another customer.
        not_counted: What came before its creation and does not count (A2); None where `usage` is.
            Of `last`, the newest value if that is from before.
    """

    alert: Alert
    meter: Meter
    customer: CustomerId
    outcome: Outcome
    usage: int | None
    not_counted: int | None

    @property
    def remaining(self) -> int | None:
        """What is missing to the threshold; 0 if nothing is."""
        return None if self.usage is None else max(threshold_of(self.alert) - self.usage, 0)


def explain(state: State, alert: Alert, customer: CustomerId) -> Explanation:
    """Return how an alert stands for a customer, who need not exist."""
    meter = state.meters[alert.meter]
    counter = state.counter(alert.meter, customer)
    outcome = _outcome(state, alert, meter, customer, counter)
    usage = not_counted = None
    # An archived alert's baselines are forgotten.
    if alert.status != "archived" and outcome not in ("other_customer", "customer_unknown"):
        usage = not_counted = 0
        if counter is not None:
            usage = counts_for(meter, alert, counter)
            not_counted = _not_counted(meter, alert, counter, usage)
    return Explanation(
        alert=alert,
        meter=meter,
        customer=customer,
        outcome=outcome,
        usage=usage,
        not_counted=not_counted,
    )


def _outcome(
    state: State, alert: Alert, meter: Meter, customer: CustomerId, counter: Counter | None
) -> Outcome:
    deleted = (alert.livemode, customer) in state.deleted_customers
    if counter is not None and alert.id in counter.read_detail().triggered:
        return "triggered"
    reasons: list[tuple[Outcome, bool]] = [
        ("customer_unknown", not deleted and customer not in state.customers[alert.livemode]),
        ("other_customer", alert.customer not in (None, customer)),
        ("archived", alert.status == "archived"),
        ("inactive", alert.status == "inactive"),
        ("meter_inactive", meter.status == "inactive"),
        ("customer_deleted", deleted),
        ("no_usage", counter is None),
    ]
    for outcome, holds in reasons:
        if holds:
            return outcome
    assert counter is not None, "`no_usage` holds otherwise"
    return "due" if counts_for(meter, alert, counter) >= threshold_of(alert) else "below"


def _not_counted(meter: Meter, alert: Alert, counter: Counter, usage: int) -> int:
    if meter.formula != "last":
        return counter.total - usage
    newest = counter.read_detail().newest
    is_before = newest is not None and newest.sequence < alert.created_sequence
    return counter.total if is_before and alert.baseline == "creation" else 0
