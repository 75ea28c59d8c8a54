"""New alert: the form, and what the alert would have done so far, told while it is typed."""

from dataclasses import dataclass

from meterbell.dashboard.changes import ask, change, post
from meterbell.dashboard.formats import group
from meterbell.dashboard.problems import Problem, explain
from meterbell.dashboard.visit import Action, Done, Page, Route, Visit
from meterbell.engine.value import format_value
from meterbell.errors import InvalidParamError, OverloadedError, RequestError
from meterbell.ids import CustomerId, MeterId
from meterbell.wire.form import Form

ANY, ONE = "any", "customer"
CREATION, LIFETIME = "creation", "lifetime"
_FIELDS = {
    "title": "title",
    "usage_threshold[gte]": "gte",
    "usage_threshold[meter]": "meter",
    "usage_threshold[filters][0][customer]": "customer",
    "usage_threshold[baseline]": "baseline",
}
"""Fields of the form by the API's name of what they hold."""

_MISSING = {
    "title": "Give the alert a name.",
    "gte": "Say at which usage it triggers.",
    "meter": "Choose a meter.",
    "customer": "Say which customer it watches.",
}
_NO_INTEGER = "Write a whole number, 1 or more, with digits only: 80000."
_WAIT_SECONDS = 2
_SHOWN_CUSTOMERS = 5


@dataclass(frozen=True, slots=True)
class NewAlertView:
    """The form.

    Attributes:
        meters: Ids and names of those that can be chosen.
    """

    meters: list[tuple[str, str]]
    meter: str
    application: str
    customer: str
    baseline: str
    evaluate: bool
    problem: Problem


@dataclass(frozen=True, slots=True)
class Would:
    """A customer for whom the alert would have fired, with the usage; an exact decimal."""

    customer: str
    usage: str


@dataclass(frozen=True, slots=True)
class PreviewView:
    """What the alert would have done in the last 30 days.

    Attributes:
        hint: What to type first; empty if there is a preview.
        count: For how many customers it would have fired.
        of: How many customers had usage.
        since: When the first of `by_day` begins, in Unix seconds.
        by_day: For how many of them it would have fired on each day.
        warning: What becomes of the usage there is already; empty if there is none.
        alerts: How many alerts the meter and scope have.
        is_complete: Whether all usage was looked at.
    """

    hint: str
    count: int = 0
    of: int = 0
    since: int = 0
    by_day: tuple[int, ...] = ()
    fired: tuple[Would, ...] = ()
    near: tuple[Would, ...] = ()
    threshold: int = 1
    warning: str = ""
    alerts: int = 0
    alerts_max: int = 0
    is_complete: bool = True


async def _view(visit: Visit) -> NewAlertView:
    meters = [
        meter
        for meter in visit.services.state.meters.values()
        if meter.livemode == visit.livemode and meter.status == "active"
    ]
    meters.sort(key=lambda meter: meter.display_name.lower())
    return NewAlertView(
        meters=[(meter.id, meter.display_name) for meter in meters],
        meter=visit.typed("meter", meters[0].id if meters else ""),
        application=ONE if visit.typed("application") == ONE or visit.typed("customer") else ANY,
        customer=visit.typed("customer"),
        baseline=LIFETIME if visit.typed("baseline") == LIFETIME else CREATION,
        evaluate=visit.typed("evaluate") == "true",
        problem=explain_problem(visit.problem),
    )


def explain_problem(problem: RequestError | None) -> Problem:
    """Return what is wrong with the form of an alert, in its own words."""
    found = explain(problem, _FIELDS, _MISSING)
    if problem and problem.code == "parameter_invalid_integer" and found.field == "gte":
        return Problem(_NO_INTEGER, found.field)
    return found


def _threshold(visit: Visit) -> Form:
    """Return the alert's threshold as the API takes it; fields that are empty are left out."""
    threshold: Form = {"recurrence": "one_time"}
    for name in ("gte", "meter"):
        if text := visit.typed(name).strip():
            threshold[name] = text
    if visit.typed("application") == ONE:
        only: Form = {"type": "customer"}
        if customer := visit.typed("customer").strip():
            only["customer"] = customer
        threshold["filters"] = {"0": only}
    return threshold


async def _create(visit: Visit) -> Done:
    threshold = _threshold(visit)
    if baseline := visit.typed("baseline"):
        threshold["baseline"] = baseline
    if baseline == LIFETIME and visit.typed("evaluate"):
        threshold["evaluate_on_create"] = visit.typed("evaluate")
    params: Form = {"alert_type": "usage_threshold", "usage_threshold": threshold}
    if title := visit.typed("title").strip():
        params["title"] = title
    operation = post("/v1/billing/alerts")
    made = await change(visit, operation, params, action="alert.create", is_once=True)
    return Done(visit.url(f"/alerts/{made['id']}"), notice="alert_created")


async def _preview(visit: Visit) -> PreviewView:
    """Return the dry run, or what is missing for one; what is wrong is not an error yet."""
    if not visit.typed("gte").strip():
        return PreviewView("Type a threshold to see for whom it would have triggered.")
    params: Form = {
        "usage_threshold": _threshold(visit),
        "limit": str(_SHOWN_CUSTOMERS),
        "wait": str(_WAIT_SECONDS),
    }
    try:
        found = await ask(visit, post("/v1/billing/alerts/dry_run"), params)
    except InvalidParamError as problem:
        return PreviewView(explain_problem(problem).message)
    except OverloadedError:
        return PreviewView("Too much is going on at this moment. Type on to try again.")
    meter = MeterId(found["usage_threshold"]["meter"])
    return PreviewView(
        "",
        count=found["triggered_count"],
        of=found["customers"],
        since=found["start"],
        by_day=tuple(step["customers"] for step in found["steps"]),
        fired=tuple(Would(item["customer"], item["usage"]) for item in found["triggered"]),
        near=tuple(Would(item["customer"], item["usage"]) for item in found["nearest"]),
        threshold=found["usage_threshold"]["gte"],
        warning=_warning(visit, meter, customers=found["customers"]),
        alerts=_alerts(visit, meter),
        alerts_max=visit.services.settings.alerts_per_scope,
        is_complete=found["complete"],
    )


def _warning(visit: Visit, meter: MeterId, *, customers: int) -> str:
    """Return what becomes of the usage that there is before the alert is made.

    Args:
        visit: With what is typed.
        meter: The one that is chosen.
        customers: How many used it lately.
    """
    whose, is_one = "Usage so far", visit.typed("application") == ONE
    if is_one:
        customer = CustomerId(visit.typed("customer").strip())
        counter = visit.services.state.counter(meter, customer)
        used = 0 if counter is None else counter.total
        whose = f"What {customer} used so far, {group(format_value(used))},"
    else:
        used = customers
    if not used:
        return ""
    if visit.typed("baseline") != LIFETIME:
        start = "it starts" if is_one else "everybody starts"
        return f"{whose} does not count: {start} at zero. Under Advanced you can let it count."
    when = "when the alert is made" if visit.typed("evaluate") else "with the next usage"
    return f"{whose} counts, too: who has reached the threshold already triggers {when}."


def _alerts(visit: Visit, meter: MeterId) -> int:
    """Return how many alerts the meter has in the scope that is typed."""
    alerts = visit.services.state.meter_alerts.get(meter)
    if alerts is None:
        return 0
    if visit.typed("application") != ONE:
        return len(alerts.any_customer.alerts)
    scope = alerts.by_customer.get(CustomerId(visit.typed("customer").strip()))
    return 0 if scope is None else len(scope.alerts)


PAGE = Page(
    path="/alerts/new", template="new_alert.html", view=_view, role="editor", section="/alerts"
)
ROUTES: list[Route] = [
    PAGE,
    Action(path="/alerts/new", act=_create, page=PAGE),
    Page(
        path="/alerts/preview",
        template="preview.html",
        view=_preview,
        role="editor",
        is_part=True,
    ),
]
