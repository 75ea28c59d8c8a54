"""Channels: who is told of alerts by e-mail, chat or on-call service. The list."""

from dataclasses import dataclass, replace

from meterbell.channel import NotificationChannel
from meterbell.dashboard.receivers import state_of_receiver
from meterbell.dashboard.states import State, state_of_attempt
from meterbell.dashboard.visit import Nav, Page, Route, Visit
from meterbell.engine.model import Alert
from meterbell.store.channel_tables import notification_channel as table
from meterbell.store.deliveries import STATUSES, find_attempts, page_deliveries

SECTION = "/channels"
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Line:
    """One channel.

    Attributes:
        url: Without its secrets; empty for those who may not change it.
        alerts: Titles of the first few alerts that it tells of; empty for all.
        more: How many others it tells of.
        last: What came of the latest notice; None if there was none.
    """

    name: str
    href: str
    state: State
    service: str
    url: str
    alerts: list[str]
    more: int
    last: State | None


@dataclass(frozen=True, slots=True)
class ChannelsView:
    """All channels of the mode; there are few."""

    lines: list[Line]


async def _view(visit: Visit) -> ChannelsView:
    found = visit.services.store.reader.find(
        NotificationChannel, table.c.livemode == visit.livemode, order_by=table.c.number.desc()
    )
    return ChannelsView([_line(visit, channel) for channel in found])


def _line(visit: Visit, channel: NotificationChannel) -> Line:
    alerts = channel.alerts or []
    return Line(
        name=channel.name,
        href=visit.url(f"{SECTION}/{channel.id}"),
        state=state_of_receiver(visit, channel),
        service=channel.service,
        url=channel.shown_url if visit.may("editor") else "",
        alerts=[title_of(visit, alert) for alert in alerts[:_NAMED]],
        more=len(alerts[_NAMED:]),
        last=_last(visit, channel),
    )


def title_of(visit: Visit, alert_id: str) -> str:
    """Return what an alert is called."""
    alert = visit.services.store.reader.get(Alert, alert_id, livemode=visit.livemode)
    return alert_id if alert is None else alert.title


def _last(visit: Visit, channel: NotificationChannel) -> State | None:
    objects = visit.services.store.reader
    newest = page_deliveries(objects, channel.id, statuses=STATUSES, limit=1).items
    attempts = find_attempts(objects, newest[0]) if newest else []
    if not attempts:
        return State("Waiting", "calm") if newest else None
    last = attempts[-1]
    return replace(state_of_attempt(last), at_ms=last.started_at_ms + last.duration_ms)


ROUTES: list[Route] = [
    Page(
        path=SECTION,
        template="channels.html",
        view=_view,
        nav=Nav("Channels", "megaphone"),
        is_live=True,
    )
]
