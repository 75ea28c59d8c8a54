"""One channel: how it is, what it says, what was sent; test, change, disable, delete."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from meterbell.channel import NotificationChannel
from meterbell.dashboard.changes import change, delete, perform, post
from meterbell.dashboard.finding import find_named
from meterbell.dashboard.pages.channels import SECTION, title_of
from meterbell.dashboard.pages.new_channel import (
    Alerts,
    Words,
    alerts_of,
    explain_channel,
    settings_of,
    typed_words,
    without_url,
    words_of,
)
from meterbell.dashboard.pages.webhook import PERIODS, resend_period
from meterbell.dashboard.problems import Problem
from meterbell.dashboard.receivers import deliveries_to, state_of_receiver
from meterbell.dashboard.states import State, outcome_words, state_of_attempt, state_of_delivery
from meterbell.dashboard.visit import Action, Done, Page, Route, Visit
from meterbell.errors import InvalidParamError
from meterbell.records import Attempt, Delivery, Event
from meterbell.store.deliveries import STATUSES, find_attempts, page_deliveries
from meterbell.wire.form import Form
from meterbell.wire.template import BODY_DEFAULT, TITLE_DEFAULT

_PATH = "/v1/notification_channels/{id}"
_ITEMS = 10
_ANSWER_SHOWN = 1000
_SAID_SHOWN = 300


@dataclass(frozen=True, slots=True)
class Try:
    """One attempt; `answer` is the beginning of what was said."""

    at_ms: int
    state: State
    duration_ms: int
    answer: str


@dataclass(frozen=True, slots=True)
class Notice:
    """One trigger that the channel was to tell of, with its attempts, the latest first."""

    alert: str
    alert_href: str
    customer: str
    value: str
    at_ms: int
    state: State
    tries: list[Try]
    next_ms: int


@dataclass(frozen=True, slots=True)
class ChannelView:
    """Everything on the page.

    Attributes:
        url: Without its secrets; empty for those who may not change it.
        told: Titles of the alerts that it tells of, with where they are; empty for all.
        periods: Since when to send again what failed: seconds, and words.
    """

    channel: NotificationChannel
    url: str
    state: State
    told: list[tuple[str, str]]
    alerts: Alerts
    words: Words
    problem: Problem
    notices: list[Notice]
    has_failed: bool
    periods: Sequence[tuple[str, str]]
    newer: str
    older: str


def find_channel(visit: Visit) -> NotificationChannel:
    """Return the channel that the path names.

    Raises:
        NotFoundError: There is none in this mode.
    """
    return find_named(visit, NotificationChannel, "channel")


async def _view(visit: Visit) -> ChannelView:
    channel = find_channel(visit)
    found = deliveries_to(visit, channel, STATUSES, items=_ITEMS)
    return ChannelView(
        channel=channel,
        url=channel.shown_url if visit.may("editor") else "",
        state=state_of_receiver(visit, channel),
        told=[(title_of(visit, one), visit.url(f"/alerts/{one}")) for one in channel.alerts or []],
        alerts=alerts_of(visit, channel),
        words=words_of(visit, channel.title or TITLE_DEFAULT, channel.body or BODY_DEFAULT),
        problem=explain_channel(visit.problem),
        has_failed=_has_failed(visit, channel),
        periods=PERIODS,
        notices=[_notice(visit, delivery) for delivery in found.items],
        newer=found.newer,
        older=found.older,
    )


def _has_failed(visit: Visit, channel: NotificationChannel) -> bool:
    page = page_deliveries(visit.services.store.reader, channel.id, statuses=["failed"], limit=1)
    return bool(page.items)


def _notice(visit: Visit, delivery: Delivery) -> Notice:
    objects = visit.services.store.reader
    event = objects.get(Event, delivery.event, livemode=visit.livemode)
    told = event.data["object"] if event is not None else None
    return Notice(
        alert=told["alert"]["title"] if told else delivery.event,
        alert_href=visit.url(f"/alerts/{told['alert']['id']}") if told else "",
        customer=told["customer"] if told else "",
        value=told["value_decimal"] if told else "",
        at_ms=delivery.created_ms,
        state=state_of_delivery(delivery),
        tries=[_try(attempt) for attempt in find_attempts(objects, delivery)[::-1]],
        next_ms=delivery.next_attempt_at_ms or 0,
    )


def _try(attempt: Attempt) -> Try:
    return Try(
        at_ms=attempt.started_at_ms,
        state=state_of_attempt(attempt),
        duration_ms=attempt.duration_ms,
        answer=attempt.response[:_ANSWER_SHOWN].decode(errors="replace"),
    )


async def _test(visit: Visit) -> Done:
    channel = find_channel(visit)
    came = await perform(
        visit, post(f"{_PATH}/test"), action="channel.test", ids={"id": channel.id}
    )
    if came["succeeded"]:
        return Done(visit.url(f"{SECTION}/{channel.id}"), notice="channel_tested")
    said = came["response"][:_SAID_SHOWN]
    raise InvalidParamError(
        f"The test was not sent: {outcome_words(came['outcome'])}."
        + (f" The answer was: {said}" if said else "")
    )


async def _save_settings(visit: Visit) -> Done:
    return await _save(visit, settings_of(visit), notice="channel_changed")


async def _save_words(visit: Visit) -> Done:
    return await _save(visit, typed_words(visit), notice="channel_words_changed")


def _set_disabled(disabled: str, action: str) -> Callable[[Visit], Awaitable[Done]]:
    params: Form = {"disabled": disabled}
    notice = f"channel_{action}d"

    async def act(visit: Visit) -> Done:
        return await _save(visit, params, action=action, notice=notice)

    return act


async def _save(visit: Visit, params: Form, *, notice: str, action: str = "update") -> Done:
    channel_id = visit.ids["id"]
    await change(
        visit,
        post(_PATH),
        params,
        action=f"channel.{action}",
        ids={"id": channel_id},
        details=without_url(params),
    )
    return Done(visit.url(f"{SECTION}/{channel_id}"), notice=notice)


async def _resend_failed(visit: Visit) -> Done:
    find_channel(visit)
    notice = await resend_period(visit)
    return Done(visit.url(f"{SECTION}/{visit.ids['id']}"), notice=notice)


async def _delete(visit: Visit) -> Done:
    await change(visit, delete(_PATH), {}, action="channel.delete", ids={"id": visit.ids["id"]})
    return Done(visit.url(SECTION), notice="channel_deleted")


PAGE = Page(
    path=f"{SECTION}/{{id}}",
    template="channel.html",
    view=_view,
    section=SECTION,
    finds=NotificationChannel,
)
ROUTES: list[Route] = [
    PAGE,
    Action(path=f"{SECTION}/{{id}}/test", act=_test, page=PAGE),
    Action(path=f"{SECTION}/{{id}}/settings", act=_save_settings, page=PAGE),
    Action(path=f"{SECTION}/{{id}}/words", act=_save_words, page=PAGE),
    Action(path=f"{SECTION}/{{id}}/disable", act=_set_disabled("true", "disable")),
    Action(path=f"{SECTION}/{{id}}/enable", act=_set_disabled("false", "enable")),
    Action(path=f"{SECTION}/{{id}}/resend-failed", act=_resend_failed),
    Action(path=f"{SECTION}/{{id}}/delete", act=_delete),
]
