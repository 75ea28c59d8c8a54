"""Alerts that customers set for themselves: by the API's own operations, within tight limits.

A page sets alerts for its own customer only, and archives only those that were set there. Neither
customer nor anything else that decides about that comes from a form.
"""

from typing import Any

from meterbell.dashboard.changes import command_of, once, post
from meterbell.dashboard.customer_visit import CustomerVisit
from meterbell.errors import LimitReachedError, NotFoundError, PermissionDeniedError
from meterbell.ids import AlertId, MeterId
from meterbell.ledger.transaction import Transaction
from meterbell.records import CustomerAlert
from meterbell.store.dashboard_tables import customer_alert
from meterbell.store.objects import Objects
from meterbell.wire.form import Form

OWN_PER_METER_MAX = 5
"""Of a meter's alerts for the customer; the others are left to those who run the server."""

SET_PER_DAY_MAX = 20
_DAY_SECONDS = 24 * 3600


async def set_alert(visit: CustomerVisit) -> None:
    """Set the alert that the form describes, for the page's customer.

    Raises:
        PermissionDeniedError: The link does not allow it.
        RequestError: The API would refuse it, or there are too many.
    """
    _require_allowed(visit)
    run = await command_of(visit, post("/v1/billing/alerts"), _params(visit), action="alert.create")
    meter = MeterId(visit.typed("meter").strip())

    def command(transaction: Transaction) -> dict[str, Any]:
        _require_room(visit, transaction, meter)
        answer = run(transaction)
        transaction.objects.insert(
            CustomerAlert(
                alert=answer["id"],
                livemode=visit.livemode,
                customer=visit.id,
                created=transaction.now,
            )
        )
        return answer

    await visit.services.committer.execute(once(visit, command))


async def archive_alert(visit: CustomerVisit) -> None:
    """Archive the alert that the form names, if it was set on this customer's page.

    Raises:
        PermissionDeniedError: The link does not allow it.
        NotFoundError: There is no such alert among the customer's own.
    """
    _require_allowed(visit)
    alert = AlertId(visit.typed("alert"))
    ids = {"id": alert}
    operation = post("/v1/billing/alerts/{id}/archive")
    run = await command_of(visit, operation, {}, action="alert.archive", ids=ids)

    def command(transaction: Transaction) -> None:
        if not is_own(transaction.objects, visit, alert):
            raise NotFoundError("There is no such alert among those that were set here.")
        run(transaction)

    await visit.services.committer.execute(command)


def is_own(objects: Objects, visit: CustomerVisit, alert: AlertId) -> bool:
    """Return whether an alert was set on this customer's page."""
    found = objects.fetch(CustomerAlert, alert=alert)
    return found is not None and found.customer == visit.id and found.livemode == visit.livemode


def _require_allowed(visit: CustomerVisit) -> None:
    if not visit.claims.allow_alerts:
        raise PermissionDeniedError("This page shows alerts, and sets none.")


def _params(visit: CustomerVisit) -> Form:
    """Return the alert as the API takes it; fields that are empty are left out."""
    only: Form = {"type": "customer", "customer": visit.id}
    threshold: Form = {"recurrence": "one_time", "filters": {"0": only}}
    for name in ("gte", "meter"):
        if text := visit.typed(name).strip():
            threshold[name] = text
    params: Form = {"alert_type": "usage_threshold", "usage_threshold": threshold}
    if title := visit.typed("title").strip():
        params["title"] = title
    return params


def _require_room(visit: CustomerVisit, transaction: Transaction, meter: MeterId) -> None:
    columns = customer_alert.c
    lately = transaction.objects.count(
        CustomerAlert,
        columns.customer == visit.id,
        columns.created > transaction.now - _DAY_SECONDS,
        columns.livemode == visit.livemode,
        limit=SET_PER_DAY_MAX,
    )
    if lately >= SET_PER_DAY_MAX:
        raise LimitReachedError(
            f"{SET_PER_DAY_MAX} alerts were set here within a day. Try again tomorrow."
        )
    alerts = transaction.state.meter_alerts.get(meter)
    scope = alerts.by_customer.get(visit.id) if alerts is not None else None
    own = [
        alert
        for alert in (scope.alerts if scope is not None else ())
        if is_own(transaction.objects, visit, alert)
    ]
    if len(own) >= OWN_PER_METER_MAX:
        raise LimitReachedError(
            f"You have {OWN_PER_METER_MAX} alerts for this already. Archive one of them first.",
            param="usage_threshold[meter]",
        )
