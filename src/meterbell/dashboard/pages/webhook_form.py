"""Forms of webhook endpoints: a new one, changes of one, and a new secret. Secrets show once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from meterbell.dashboard.endpoints import (
    ALL_EVENTS,
    SENT_EVENTS,
    SENT_THIN_EVENTS,
    create_endpoint,
    find_endpoint,
    roll_secret,
    update_endpoint,
)
from meterbell.dashboard.problems import Problem, explain
from meterbell.dashboard.snippets import verify_snippet
from meterbell.dashboard.visit import Action, Done, Page, Route, Visit
from meterbell.errors import InvalidParamError
from meterbell.records import WebhookEndpoint

ALL, CHOSEN = "all", "chosen"
_FIELDS = {
    "url": "url",
    "webhook_endpoint.url": "url",
    "description": "description",
    "enabled_events": "events",
}
"""Fields of the form by the APIs' names of what they hold."""

_NO_URL = "Say where events are posted: https://…"
_NO_EVENTS = "Choose at least one event, or all of them."
_OVERLAPS = (
    ("86400", "24 hours: both secrets sign meanwhile"),
    ("3600", "1 hour: both secrets sign meanwhile"),
    ("0", "At once: the old one is of no use any more"),
)


@dataclass(frozen=True, slots=True)
class EventChoice:
    """A type of event that can be chosen."""

    name: str
    words: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class FormView:
    """The form, or the secret of what it made.

    Attributes:
        title: The page's.
        endpoint: What is changed, or was made; None for a new one.
        which: `all` events or the `chosen`.
        secret: Of the endpoint that was made just now.
    """

    title: str
    endpoint: WebhookEndpoint | None
    url: str
    description: str
    which: str
    choices: list[EventChoice]
    problem: Problem
    secret: str
    snippet: str


@dataclass(frozen=True, slots=True)
class SecretView:
    """The form for a new secret, or the secret itself."""

    endpoint: WebhookEndpoint
    overlaps: Sequence[tuple[str, str]]
    problem: str
    secret: str


async def _new_view(visit: Visit) -> FormView:
    made = find_endpoint(visit) if visit.revealed else None
    return _form(visit, "Add an endpoint", None, made=made)


async def _edit_view(visit: Visit) -> FormView:
    return _form(visit, "Edit endpoint", find_endpoint(visit))


def _form(
    visit: Visit,
    title: str,
    before: WebhookEndpoint | None,
    *,
    made: WebhookEndpoint | None = None,
) -> FormView:
    is_sent = bool(visit.form)
    subscribed = before.enabled_events if before else [SENT_EVENTS[0][0]]
    chosen = _chosen(visit) if is_sent else [name for name in subscribed if name != ALL_EVENTS]
    default = ALL if ALL_EVENTS in subscribed else CHOSEN
    return FormView(
        title=title,
        endpoint=before or made,
        url=visit.typed("url", before.url if before else ""),
        description=visit.typed("description", (before and before.description) or ""),
        which=visit.typed("events", default),
        choices=_choices(before, chosen),
        problem=explain(visit.problem, _FIELDS),
        secret=visit.revealed,
        snippet=verify_snippet(visit.revealed),
    )


def _choices(before: WebhookEndpoint | None, chosen: Sequence[str]) -> list[EventChoice]:
    is_thin = before is not None and before.event_payload == "thin"
    known = SENT_THIN_EVENTS if is_thin else SENT_EVENTS
    names = [name for name, _ in known]
    others = [(name, "Not sent by this server") for name in chosen if name not in names]
    return [EventChoice(name, words, name in chosen) for name, words in (*known, *others)]


def _chosen(visit: Visit) -> list[str]:
    found = visit.form.get("enabled_events", {})
    names = found.values() if isinstance(found, dict) else [found]
    return [name for name in names if isinstance(name, str)]


def _events(visit: Visit) -> list[str]:
    """Return the types that the form asks for.

    Raises:
        InvalidParamError: There is none.
    """
    if visit.typed("events") == ALL:
        return [ALL_EVENTS]
    chosen = _chosen(visit)
    if not chosen:
        raise InvalidParamError(_NO_EVENTS, param="enabled_events")
    return chosen


def _url(visit: Visit) -> str:
    """Return the URL that was typed.

    Raises:
        InvalidParamError: None was.
    """
    url = visit.typed("url").strip()
    if not url:
        raise InvalidParamError(_NO_URL, param="url")
    return url


async def _create(visit: Visit) -> Visit:
    made, secret = await create_endpoint(
        visit,
        url=_url(visit),
        events=_events(visit),
        description=visit.typed("description").strip(),
    )
    return replace(visit, ids={"id": made}, form={}, revealed=secret)


async def _update(visit: Visit) -> Done:
    endpoint = find_endpoint(visit)
    await update_endpoint(
        visit,
        endpoint,
        url=_url(visit),
        events=_events(visit),
        description=visit.typed("description").strip(),
    )
    return Done(visit.url(f"/webhooks/{endpoint.id}"), notice="webhook_changed")


async def _secret_view(visit: Visit) -> SecretView:
    problem = visit.problem.message if visit.problem else ""
    return SecretView(find_endpoint(visit), _OVERLAPS, problem, visit.revealed)


async def _roll(visit: Visit) -> Visit:
    overlap = visit.typed("expire_in")
    if overlap not in dict(_OVERLAPS):
        raise InvalidParamError("Choose how long the present secret signs as well.")
    secret = await roll_secret(visit, find_endpoint(visit), expire_in=int(overlap))
    return replace(visit, form={}, revealed=secret)


NEW = Page(
    path="/webhooks/new",
    template="webhook_form.html",
    view=_new_view,
    role="editor",
    section="/webhooks",
)
EDIT = Page(
    path="/webhooks/{id}/edit",
    template="webhook_form.html",
    view=_edit_view,
    role="editor",
    section="/webhooks",
)
SECRET = Page(
    path="/webhooks/{id}/secret",
    template="webhook_secret.html",
    view=_secret_view,
    role="editor",
    section="/webhooks",
)
ROUTES: list[Route] = [
    NEW,
    Action(path=NEW.path, act=_create, page=NEW),
    EDIT,
    Action(path=EDIT.path, act=_update, page=EDIT),
    SECRET,
    Action(path=SECRET.path, act=_roll, page=SECRET),
]
