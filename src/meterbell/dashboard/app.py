"""The dashboard as one ASGI application: from a browser's request to a page.

Route → who asks → may they → show or do. Every answer carries the same strict headers, whatever
happened on the way.
"""

from dataclasses import replace
from http import HTTPStatus

from starlette.requests import cookie_parser
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import compile_path
from starlette.types import Receive, Scope, Send

from meterbell.api.errors import answer_to
from meterbell.api.http import ClientGoneError, Headers, headers_of, read_body, require_form
from meterbell.api.v1.customer_pages import MOUNT as CUSTOMERS
from meterbell.dashboard.answers import (
    BODY_BYTES_MAX,
    NOT_KEPT,
    compressed,
    explained,
    security,
    texts_of,
    wrong_host,
)
from meterbell.dashboard.assets import PREFIX, Assets
from meterbell.dashboard.customer_app import CustomerPages
from meterbell.dashboard.door import Door
from meterbell.dashboard.figures import Figures
from meterbell.dashboard.files import Files
from meterbell.dashboard.live import LivePages, Moment
from meterbell.dashboard.notices import NOTICES
from meterbell.dashboard.routes import HOME_PATH, PAGES, ROUTES, SIGN_IN
from meterbell.dashboard.session import (
    CSRF_FIELD,
    Site,
    find_session,
    find_site,
    new_form_token,
    require_own_form,
    touch,
)
from meterbell.dashboard.templates import Templates
from meterbell.dashboard.visit import (
    MOUNT,
    TEST,
    Action,
    Data,
    Done,
    File,
    Jump,
    Page,
    Route,
    Stream,
    Visit,
)
from meterbell.errors import (
    MethodNotAllowedError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    RequestError,
)
from meterbell.services import Services
from meterbell.wire.form import parse_form
from meterbell.wire.json import encode_json

THEME_COOKIE = "meterbell_theme"

_SECURITY = security()
_MS_A_MINUTE = 60_000
_TITLES = {
    HTTPStatus.FORBIDDEN: "Not allowed",
    HTTPStatus.NOT_FOUND: "Not found",
    HTTPStatus.SERVICE_UNAVAILABLE: "Not available now",
    HTTPStatus.TOO_MANY_REQUESTS: "Too much at once",
}


class Dashboard:
    """Pages over running services."""

    def __init__(self, services: Services) -> None:
        """Prepare; nothing is read before a page is asked for."""
        self._services = services
        self._assets = Assets()
        self._templates = Templates(self._assets)
        self._door = Door(services)
        self._figures = Figures(services)
        self._files = Files()
        self._customers = CustomerPages(services, self._templates)
        self._live = LivePages(services.clock, self._moment)
        self._routes = [(compile_path(route.path)[0], route) for route in ROUTES]

    def _moment(self) -> Moment:
        services = self._services
        minute = services.clock.now_ms() // _MS_A_MINUTE
        readings = services.insight.series.readings + services.insight.progress.readings
        return Moment(services.state.sequence, services.store.version(), minute, readings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["path"].startswith(f"{CUSTOMERS}/"):
            await self._customers(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
            return
        headers = headers_of(scope)
        try:
            response = await self._answer(scope, receive, headers)
        except ClientGoneError:
            return
        for name, value in _SECURITY.items():
            response.headers.setdefault(name, value)
        await response(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, headers: Headers) -> Response:
        path = scope["path"].removeprefix(MOUNT) or "/"
        if scope["path"] == "/":
            return RedirectResponse(f"{MOUNT}{HOME_PATH}", HTTPStatus.SEE_OTHER)
        takes_gzip = b"gzip" in headers.get(b"accept-encoding", b"")
        if path.startswith(PREFIX):
            return self._assets.find(path, takes_gzip=takes_gzip)
        host = headers.get(b"host", b"").decode("latin-1")
        site = find_site(host, self._services.settings.public_url)
        if site is None:
            return wrong_host(host)
        visit, visitor = await self._visit(scope, path, headers, site)
        try:
            response = await self._respond(scope, receive, headers, site, visit)
        except ClientGoneError:
            raise
        except Exception as error:  # noqa: BLE001 - told and logged there
            response = self._explain(error, visit)
        if visitor:
            response.headers.append("set-cookie", site.set_cookie(visitor))
        return compressed(response) if takes_gzip else response

    async def _visit(
        self, scope: Scope, path: str, headers: Headers, site: Site
    ) -> tuple[Visit, str]:
        """Return the visit as far as it is known, and the cookie that a new visitor gets."""
        livemode = not (path == TEST or path.startswith(f"{TEST}/"))
        cookies = cookie_parser(headers.get(b"cookie", b"").decode("latin-1"))
        token = cookies.get(site.cookie, "")
        found = find_session(self._services, token)
        if found is not None:
            await touch(self._services, found[0])
        # Forms for those who are not signed in are held to their cookie, too.
        visitor = "" if token else self._services.ids.token(43)
        client = scope.get("client")
        theme = cookies.get(THEME_COOKIE, "")
        visit = Visit(
            services=self._services,
            door=self._door,
            figures=self._figures,
            livemode=livemode,
            path=path if livemode else path.removeprefix(TEST) or "/",
            ids={},
            query={},
            form={},
            user=None if found is None else found[1],
            session=token or visitor,
            is_secure=site.is_secure,
            address=client[0] if client else "",
            request_id=f"req_{self._services.ids.token(14)}",
            theme=theme if theme in ("light", "dark") else "",
        )
        return visit, visitor

    async def _respond(
        self, scope: Scope, receive: Receive, headers: Headers, site: Site, visit: Visit
    ) -> Response:
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        route, ids = self._find(method, visit.path)
        form, form_token = {}, ""
        if method == "POST":
            body = await read_body(receive, headers, bytes_max=BODY_BYTES_MAX)
            require_form(headers, body)
            form = parse_form(body)
            form_token = require_own_form(visit.session, form.pop(CSRF_FIELD, ""), headers, site)
        query = texts_of(scope["query_string"])
        visit = replace(visit, ids=ids, query=query, form=form, form_token=form_token)
        refusal = _refusal(route, visit, headers)
        if refusal is not None:
            return refusal
        match route:
            case Page():
                return await self._show(route, visit, site)
            case Data() | File():
                return await self._read(route, visit)
            case Action():
                return await self._act(route, visit, site)
            case Jump():
                return _redirect(Done(await route.to(visit)), site)
            case Stream():
                return await self._follow(visit, is_wanted=scope["method"] != "HEAD")

    def _find(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """Return the route of a request, and what stands in its placeholders.

        Raises:
            NotFoundError: There is none.
            MethodNotAllowedError: There is, but not with this method.
        """
        allowed: set[str] = set()
        for pattern, route in self._routes:
            match = pattern.fullmatch(path)
            if match is not None:
                if isinstance(route, Action) == (method == "POST") and method in ("GET", "POST"):
                    return route, match.groupdict()
                allowed |= {"POST"} if isinstance(route, Action) else {"GET", "HEAD"}
        if allowed:
            raise MethodNotAllowedError(
                f"This page can't be asked for with {method[:10]}.", allowed=sorted(allowed)
            )
        raise NotFoundError("There is no such page.")

    async def _show(
        self, page: Page, visit: Visit, site: Site, status: HTTPStatus = HTTPStatus.OK
    ) -> Response:
        view = await page.view(visit)
        if isinstance(view, Done):
            return _redirect(view, site)
        html = self._templates.render(page.template, self._context(page, visit, view))
        return Response(html, status, headers=NOT_KEPT, media_type="text/html")

    async def _read(self, route: Data | File, visit: Visit) -> Response:
        if isinstance(route, File):
            return self._files.answer(await route.read(visit))
        body = encode_json(await route.read(visit))
        return Response(body, headers=NOT_KEPT, media_type="application/json")

    def _context(self, page: Page | None, visit: Visit, view: object) -> dict[str, object]:
        section = "" if page is None else page.section or page.path
        return {
            "visit": visit,
            "view": view,
            "navigation": [
                {"page": other, "is_here": other.path == section}
                for other in PAGES
                if other.nav is not None and other.role is not None and visit.may(other.role)
            ],
            "is_live": page is not None and page.is_live and visit.query.get("live") != "off",
            "can_be_live": page is not None and page.is_live,
            "csrf": lambda: new_form_token(visit.session, self._services.ids),
            "notice": NOTICES.get(visit.query.get("notice", ""), ""),
            "now_ms": self._services.clock.now_ms(),
        }

    async def _act(self, action: Action, visit: Visit, site: Site) -> Response:
        try:
            done = await action.act(visit)
        except RequestError as error:
            if action.page is None:
                raise
            status = HTTPStatus(answer_to(error)[0].status)
            return await self._show(action.page, replace(visit, problem=error), site, status)
        if isinstance(done, Visit):
            assert action.page is not None, "something is revealed on a page"
            return await self._show(action.page, done, site)
        return _redirect(done, site)

    async def _follow(self, visit: Visit, *, is_wanted: bool) -> Response:
        """Stream a page's live block.

        Raises:
            NotFoundError: There is no such page, or it does not follow anything.
            OverloadedError: Too many pages are open.
        """
        path, _, raw = visit.query.get("view", "").partition("?")
        page, ids = self._find("GET", path)
        if not isinstance(page, Page) or not page.is_live:
            raise NotFoundError("There is no such live page.")
        if self._live.is_full(visit.session):
            raise OverloadedError("Too many pages are open; this one does not follow by itself.")
        shown = replace(visit, path=path, ids=ids, query=texts_of(raw.encode()))
        refusal = _refusal(page, shown, {})
        if refusal is not None:
            return refusal

        async def render(now: Visit) -> str:
            context = self._context(page, now, await page.view(now))
            return self._templates.render_block(page.template, "live", context)

        # Before the answer begins, so that a page that is gone is told by its status.
        first: str | None = await render(shown)

        if not is_wanted:
            return Response(headers=NOT_KEPT, media_type="text/event-stream")

        async def next_block() -> str | None:
            nonlocal first
            block, first = first, None
            if block is not None:
                return block
            now = self._now(page, shown)
            try:
                return None if now is None else await render(now)
            except RequestError:
                return None  # what it showed is gone; the next stream is told so

        pushes = self._live.pushes(visit.session, next_block)
        return StreamingResponse(pushes, headers=NOT_KEPT, media_type="text/event-stream")

    def _now(self, page: Page, visit: Visit) -> Visit | None:
        """Return a visit by who the session belongs to now; None if they may not see the page."""
        found = find_session(self._services, visit.session)
        if found is None:
            return None
        now = replace(visit, user=found[1])
        return now if page.role is None or now.may(page.role) else None

    def _explain(self, error: Exception, visit: Visit) -> Response:
        """Return the page that says what went wrong."""
        status, message, headers = explained(error, path=visit.path)
        view = {
            "title": _TITLES.get(status, "Something is wrong"),
            "message": message,
            "request_id": visit.request_id,
        }
        html = self._templates.render("error.html", self._context(None, visit, view))
        return Response(html, status, headers={**NOT_KEPT, **headers}, media_type="text/html")


def _refusal(route: Route, visit: Visit, headers: Headers) -> Response | None:
    """Return where those go who are not signed in; None for those who may go on.

    Raises:
        PermissionDeniedError: The user's role does not include what is asked for.
    """
    if route.role is None or visit.may(route.role):
        return None
    if visit.user is not None:
        raise PermissionDeniedError(
            f"This needs the role {route.role}, and {visit.user.name} is {visit.user.role}. An "
            "admin can change that with `meterbell dashboard user role`."
        )
    is_whole = isinstance(route, Jump) or (isinstance(route, Page) and not route.is_part)
    if not is_whole or b"hx-request" in headers:
        text = "You are not signed in any more. Reload the page."
        return Response(text, HTTPStatus.UNAUTHORIZED, headers=NOT_KEPT, media_type="text/plain")
    to = visit.url(SIGN_IN.path, next=visit.here())
    return RedirectResponse(to, HTTPStatus.SEE_OTHER, headers=NOT_KEPT)


def _redirect(done: Done, site: Site) -> Response:
    to = done.to
    if done.notice:
        assert done.notice in NOTICES, done.notice
        to = f"{to}{'&' if '?' in to else '?'}notice={done.notice}"
    response = RedirectResponse(to, HTTPStatus.SEE_OTHER, headers=NOT_KEPT)
    if done.cookie is not None:
        response.headers.append("set-cookie", site.set_cookie(done.cookie))
    return response
