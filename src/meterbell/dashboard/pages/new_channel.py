"""New channel: the form, and how its words will read, told while they are typed."""

from collections.abc import Sequence
from dataclasses import dataclass

from meterbell.channel import NotificationChannel
from meterbell.dashboard.changes import change, post
from meterbell.dashboard.endpoints import numbered
from meterbell.dashboard.pages.channels import SECTION
from meterbell.dashboard.problems import Problem, explain
from meterbell.dashboard.visit import Action, Done, Page, Route, Visit
from meterbell.delivery.channels.message import SAMPLE
from meterbell.engine.model import Alert
from meterbell.errors import InvalidParamError, RequestError
from meterbell.store.tables import alert as alert_table
from meterbell.wire.form import Form
from meterbell.wire.template import (
    BODY_DEFAULT,
    BODY_LENGTH_MAX,
    PLACEHOLDERS,
    TITLE_DEFAULT,
    TITLE_LENGTH_MAX,
    check_template,
    fill_template,
)

ALL, SOME = "all", "some"
_CHOICES_MAX = 50
_FIELDS = {name: name for name in ("name", "url", "alerts", "title", "body")}
_MISSING = {"name": "Give the channel a name.", "url": "Say where notices go."}
_SERVICES = (
    ("E-mail", "mailtos://user:password@example.com?to=sales@example.com"),
    ("Slack", "https://hooks.slack.com/services/T…/B…/…"),
    ("Microsoft Teams", "workflows://host:443/WORKFLOW/SIGNATURE"),
    ("Discord", "https://discord.com/api/webhooks/ID/TOKEN"),
    ("PagerDuty", "pagerduty://INTEGRATION_KEY@API_KEY"),
    ("Your own server", "jsons://example.com/path"),
)


@dataclass(frozen=True, slots=True)
class Choice:
    """An alert that a channel may tell of."""

    id: str
    title: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Alerts:
    """Of which alerts a channel tells.

    Attributes:
        tells: `all` or `some`.
        choices: Those that it tells of, and the newest others.
    """

    tells: str
    choices: list[Choice]


@dataclass(frozen=True, slots=True)
class Words:
    """Templates, and how they read with made-up values; a problem in place of that.

    Attributes:
        placeholders: What they may hold, with what each stands for.
    """

    title: str
    body: str
    shown_title: str
    shown_body: str
    problem: str
    placeholders: dict[str, str]


@dataclass(frozen=True, slots=True)
class NewChannelView:
    """The form."""

    alerts: Alerts
    words: Words
    problem: Problem
    services: Sequence[tuple[str, str]]


async def _view(visit: Visit) -> NewChannelView:
    return NewChannelView(
        alerts=alerts_of(visit, None),
        words=words_of(visit, TITLE_DEFAULT, BODY_DEFAULT),
        problem=explain_channel(visit.problem),
        services=_SERVICES,
    )


def explain_channel(problem: RequestError | None) -> Problem:
    """Return what is wrong with the form of a channel, in its own words."""
    return explain(problem, _FIELDS, _MISSING)


def alerts_of(visit: Visit, channel: NotificationChannel | None) -> Alerts:
    """Return the alerts to choose from, as typed or as a channel has them."""
    objects = visit.services.store.reader
    stored = channel.alerts if channel is not None else None
    chosen = _typed_alerts(visit) if "tells" in visit.form else stored or []
    where = [alert_table.c.livemode == visit.livemode, alert_table.c.status != "archived"]
    newest: list[Alert] = objects.page(Alert, where, limit=_CHOICES_MAX).items
    titles: dict[str, str] = {alert.id: alert.title for alert in newest}
    for alert_id in chosen:
        found = objects.get(Alert, alert_id, livemode=visit.livemode)
        titles.setdefault(alert_id, alert_id if found is None else found.title)
    return Alerts(
        tells=visit.typed("tells", SOME if stored else ALL),
        choices=[Choice(one, title, one in chosen) for one, title in titles.items()],
    )


def _typed_alerts(visit: Visit) -> list[str]:
    typed = visit.form.get("alerts", {})
    return [] if isinstance(typed, str) else [o for o in typed.values() if isinstance(o, str)]


def words_of(visit: Visit, title: str, body: str) -> Words:
    """Return templates as typed, or as given, and how they read."""
    title, body = visit.typed("title", title), visit.typed("body", body)
    values = {**SAMPLE, "mode": "live" if visit.livemode else "test"}
    problem, shown = "", ("", "")
    try:
        for param, text in (("title", title), ("body", body)):
            check_template(text, param=param)
        shown = (
            fill_template(title or TITLE_DEFAULT, values, length_max=TITLE_LENGTH_MAX),
            fill_template(body or BODY_DEFAULT, values, length_max=BODY_LENGTH_MAX),
        )
    except InvalidParamError as error:
        problem = error.message
    return Words(title, body, *shown, problem, PLACEHOLDERS)


def settings_of(visit: Visit) -> Form:
    """Return name, URL and alerts as the API takes them; fields that are empty are left out.

    Raises:
        InvalidParamError: Some alerts are to be told of, and none is chosen.
    """
    params: Form = {}
    for name in ("name", "url"):
        if text := visit.typed(name).strip():
            params[name] = text
    chosen = _typed_alerts(visit)
    if visit.typed("tells") != SOME:
        params["alerts"] = ""
    elif chosen:
        params["alerts"] = numbered(chosen)
    else:
        raise InvalidParamError("Choose at least one alert, or all of them.", param="alerts")
    return params


def typed_words(visit: Visit) -> Form:
    """Return the templates as the API takes them; a default stays one."""
    typed = {name: visit.typed(name).replace("\r\n", "\n") for name in ("title", "body")}
    return {
        "title": "" if typed["title"] == TITLE_DEFAULT else typed["title"],
        "body": "" if typed["body"] == BODY_DEFAULT else typed["body"],
    }


def without_url(params: Form) -> dict[str, object]:
    """Return parameters for the audit log, which holds no secrets."""
    return {name: "****" if name == "url" else value for name, value in params.items()}


async def _create(visit: Visit) -> Done:
    params = {**settings_of(visit), **typed_words(visit)}
    made = await change(
        visit,
        post("/v1/notification_channels"),
        params,
        action="channel.create",
        details=without_url(params),
        is_once=True,
    )
    return Done(visit.url(f"{SECTION}/{made['id']}"), notice="channel_created")


async def _preview(visit: Visit) -> Words:
    return words_of(visit, TITLE_DEFAULT, BODY_DEFAULT)


PAGE = Page(
    path=f"{SECTION}/new", template="new_channel.html", view=_view, role="editor", section=SECTION
)
ROUTES: list[Route] = [
    PAGE,
    Action(path=f"{SECTION}/new", act=_create, page=PAGE),
    Page(
        path=f"{SECTION}/preview",
        template="channel_preview.html",
        view=_preview,
        role="editor",
        is_part=True,
    ),
]
