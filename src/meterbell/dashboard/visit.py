"""One visit of a page on its way, and the declarations of what a route shows and does."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from meterbell.dashboard.accounts import may
from meterbell.dashboard.door import Door
from meterbell.dashboard.figures import Figures
from meterbell.errors import RequestError
from meterbell.records import DashboardUser, Role
from meterbell.services import Services
from meterbell.wire.form import Form

MOUNT = "/dashboard"
TEST = "/test"
"""Stands behind the mount in the paths of test mode."""


def url_of(path: str, *, livemode: bool, **query: str | int | None) -> str:
    """Return where a page is found; parameters that are None or empty are left out."""
    return _join(path, query, livemode=livemode)


def _join(path: str, query: Mapping[str, str | int | None], *, livemode: bool) -> str:
    # Names of parameters come from outside, so they are never names of arguments.
    base = MOUNT + ("" if livemode else TEST) + ("" if path == "/" else path)
    given = {name: value for name, value in query.items() if value not in (None, "")}
    return f"{base}?{urlencode(given)}" if given else base


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One request of a browser, known to come from where it says.

    Attributes:
        door: Lets people in.
        figures: What is worked out now and then and shared by all pages.
        path: Without mount and mode: `/alerts/alrt_1`.
        ids: Values of the path's placeholders.
        query: What stands behind the question mark.
        form: What was sent.
        form_token: What only this rendering of the form holds; empty if nothing was sent.
        user: Who is signed in; None on the pages that need nobody.
        session: The cookie, from which the tokens in forms are made.
        is_secure: Whether the browser came over https.
        address: Where it came from.
        theme: `light`, `dark`, or empty for the system's.
        problem: What was wrong with the form that is shown again.
        revealed: A secret that was just made: the page shows it, this once.
    """

    services: Services
    door: Door
    figures: Figures
    livemode: bool
    path: str
    ids: Mapping[str, str]
    query: Mapping[str, str]
    form: Form
    user: DashboardUser | None
    session: str
    is_secure: bool
    address: str
    request_id: str
    theme: str
    form_token: str = ""
    problem: RequestError | None = None
    revealed: str = ""

    def url(self, path: str, /, **query: str | int | None) -> str:
        """Return where a page of the same mode is found."""
        return _join(path, query, livemode=self.livemode)

    @property
    def view(self) -> str:
        """This page as a live stream names it."""
        return f"{self.path}?{urlencode(self.query)}" if self.query else self.path

    def here(self, **query: str | int | None) -> str:
        """Return this page with some parameters changed; None takes one away.

        What was told once is not told again there.
        """
        return _join(self.path, {**self.query, "notice": None, **query}, livemode=self.livemode)

    def in_mode(self, *, livemode: bool) -> str:
        """Return the same section in a mode; an object lives in one mode only."""
        section = "/" if self.ids else self.path
        return url_of(section, livemode=livemode)

    @property
    def actor(self) -> str:
        """Who changes something."""
        assert self.user is not None, "only those who are signed in change anything"
        return self.user.name

    def may(self, role: Role) -> bool:
        """Return whether the user's role includes another."""
        return self.user is not None and may(self.user.role, role)

    def typed(self, name: str, default: str = "") -> str:
        """Return what was typed into a field of the form that is shown again."""
        value = self.form.get(name, self.query.get(name, default))
        return value if isinstance(value, str) else default


@dataclass(frozen=True, slots=True)
class Nav:
    """How a page stands in the navigation."""

    label: str
    icon: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A route that shows something.

    Attributes:
        path: With placeholders: `/alerts/{id}`.
        template: Its file; extends `layout.html`, or `bare.html` for a part of a page.
        view: Makes what the template shows, as `view` there; or leads elsewhere.
        role: Who may see it; None for everybody, signed in or not.
        nav: Its place in the navigation, if it has one.
        section: The path in the navigation that it belongs to.
        is_live: Whether its block `live` is pushed again whenever something changed.
        is_part: Whether it is asked for by another page and is no page of its own.
        finds: What it shows one of, by `id`: the search leads here. One kind, or some.
    """

    path: str
    template: str
    view: Callable[[Visit], Awaitable[object]]
    role: Role | None = "viewer"
    nav: Nav | None = None
    section: str = ""
    is_live: bool = False
    is_part: bool = False
    finds: type[Any] | tuple[type[Any], ...] | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """Where an action leads.

    Attributes:
        to: An address on this server.
        notice: A name in `notices.NOTICES`, told there once.
        cookie: A new session; empty to end the one there is; None to leave it.
    """

    to: str
    notice: str = ""
    cookie: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """A route that changes something, by POST only.

    Attributes:
        act: Does it and leads elsewhere, or returns a visit with something `revealed`, for which
            the page is shown. A `RequestError` shows the form again, with what was wrong.
        role: Who may do it; None for everybody, signed in or not.
        page: Where its form stands; None for a button, whose error is a page of its own.
    """

    path: str
    act: Callable[[Visit], Awaitable[Done | Visit]]
    role: Role | None = "editor"
    page: Page | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """A route that answers JSON for a script of ours, such as the points of a chart."""

    path: str
    read: Callable[[Visit], Awaitable[object]]
    role: Role | None = "viewer"


@dataclass(frozen=True, slots=True)
class Table:
    """What a file for a spreadsheet holds; the first row are headings."""

    name: str
    rows: AsyncIterator[Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A route that answers a table as a file, in pieces."""

    path: str
    read: Callable[[Visit], Awaitable[Table]]
    role: Role | None = "viewer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Jump:
    """A route that only leads elsewhere."""

    path: str
    to: Callable[[Visit], Awaitable[str]]
    role: Role | None = "viewer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """The route that pushes the live block of the page in its parameter `view`."""

    path: str
    role: Role | None = "viewer"


Route = Page | Action | Data | File | Jump | Stream
