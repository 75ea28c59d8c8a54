"""Sign in by password or by a one-time link; sign out."""

import re
from dataclasses import dataclass

from meterbell.dashboard.accounts import digest_of
from meterbell.dashboard.changes import change_own
from meterbell.dashboard.visit import MOUNT, Action, Done, Page, Route, Visit, url_of
from meterbell.records import DashboardSession
from meterbell.store.dashboard_tables import dashboard_session

# A path of ours and nothing that a browser could take for another site.
_NEXT = re.compile(re.escape(MOUNT) + r"(?:[/?][\x21-\x5b\x5d-\x7e]*)?")


@dataclass(frozen=True, slots=True)
class SignInView:
    """What stands in the form: where to go afterwards, and what was wrong."""

    next: str
    problem: str


@dataclass(frozen=True, slots=True)
class LinkView:
    """The link's token, and what is wrong with it."""

    token: str
    problem: str


async def _view(visit: Visit) -> SignInView:
    return SignInView(_next(visit), visit.problem.message if visit.problem else "")


async def _link_view(visit: Visit) -> LinkView:
    token = visit.typed("token")
    problem = "" if token else "This link is not whole: it ends with a token."
    return LinkView(token, visit.problem.message if visit.problem else problem)


async def _sign_in(visit: Visit) -> Done:
    token = await visit.door.enter(visit.typed("name"), visit.typed("password"), visit.address)
    return Done(_next(visit), cookie=token)


async def _sign_in_by_link(visit: Visit) -> Done:
    token = await visit.door.enter_by_link(visit.typed("token"), visit.address)
    return Done(url_of("/home", livemode=True), cookie=token)


async def _sign_out(visit: Visit) -> Done:
    ended = dashboard_session.c.digest == digest_of(visit.session)
    await change_own(
        visit,
        lambda changes: changes.objects.delete(DashboardSession, ended),
        action="session.end",
        object_id=visit.user.id if visit.user else None,
    )
    return Done(visit.url("/sign-in"), notice="signed_out", cookie="")


def _next(visit: Visit) -> str:
    """Return where to go after signing in; only a page of ours."""
    wanted = visit.typed("next")
    return wanted if _NEXT.fullmatch(wanted) else url_of("/home", livemode=True)


PAGE = Page(path="/sign-in", template="sign_in.html", view=_view, role=None)
LINK = Page(path="/sign-in/link", template="sign_in_link.html", view=_link_view, role=None)
ROUTES: list[Route] = [
    PAGE,
    LINK,
    Action(path="/sign-in", act=_sign_in, role=None, page=PAGE),
    Action(path="/sign-in/link", act=_sign_in_by_link, role=None, page=LINK),
    Action(path="/sign-out", act=_sign_out, role="viewer"),
]
