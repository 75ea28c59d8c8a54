"""Customer pages: whoever has a link sees one customer's usage, and nothing else.

There is no cookie and no session: in a frame on another site browsers would not send them. The
token in the path says everything, so it is the first thing that is looked at, and the only thing
that says whose page this is.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from http import HTTPStatus

from starlette.responses import RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from meterbell.api.errors import answer_to
from meterbell.api.http import ClientGoneError, Headers, headers_of, read_body, require_form
from meterbell.api.v1.customer_pages import KEY_PURPOSE, MOUNT
from meterbell.dashboard.accent import shades
from meterbell.dashboard.answers import (
    BODY_BYTES_MAX,
    NOT_KEPT,
    compressed,
    explained,
    security,
    texts_of,
    wrong_host,
)
from meterbell.dashboard.customer_alerts import archive_alert, set_alert
from meterbell.dashboard.customer_view import view_customer
from meterbell.dashboard.customer_visit import ACTOR, CustomerVisit
from meterbell.dashboard.session import find_site, require_own_site
from meterbell.dashboard.templates import Templates
from meterbell.errors import (
    MethodNotAllowedError,
    NotFoundError,
    RequestError,
    TooManyAttemptsError,
)
from meterbell.records import Customer
from meterbell.requestlog.per_second import PerSecond
from meterbell.services import Services
from meterbell.wire.form import parse_form
from meterbell.wire.page_tokens import PageClaims, read_page

_CHANGES: dict[str, tuple[Callable[[CustomerVisit], Awaitable[None]], str]] = {
    "": (set_alert, "set"),
    "archive": (archive_alert, "archived"),
}
"""What forms do, by where they are sent, with the notice that says so."""

PER_SECOND_MAX = 20
"""Requests for one customer's page that are answered in each second."""

_ENDED = "This link has ended. You get a new one where you got this one."
_UNKNOWN = "This link is not valid. You get a new one where you got this one."


class CustomerPages:
    """Pages for customers, over running services."""

    def __init__(self, services: Services, templates: Templates) -> None:
        """Prepare; the key of the links is made of the vault's first key."""
        self._services = services
        self._templates = templates
        self._key = services.vault.derive(KEY_PURPOSE)
        self._asked = PerSecond[tuple[bool, str]](PER_SECOND_MAX)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = headers_of(scope)
        claims = read_page(_parts(scope)[0], self._key)
        try:
            response = await self._answer(scope, receive, headers, claims)
        except ClientGoneError:
            return
        except Exception as error:  # noqa: BLE001 - told and logged there
            response = self._explain(error, claims)
        own = security(claims.frame_origins if claims is not None else ())
        response.headers.update({**own, **NOT_KEPT, "x-robots-tag": "noindex"})
        if b"gzip" in headers.get(b"accept-encoding", b""):
            response = compressed(response)
        await response(scope, receive, send)

    async def _answer(
        self, scope: Scope, receive: Receive, headers: Headers, claims: PageClaims | None
    ) -> Response:
        token, rest = _parts(scope)
        host = headers.get(b"host", b"").decode("latin-1")
        site = find_site(host, self._services.settings.public_url)
        if site is None:
            return wrong_host(host)
        client = scope.get("client")
        claims, customer = self._require_good(claims)
        visit = CustomerVisit(
            services=self._services,
            claims=claims,
            customer=customer,
            place=f"{MOUNT}/{token}",
            query=texts_of(scope["query_string"]),
            form={},
            address=client[0] if client else "",
            request_id=f"req_{self._services.ids.token(14)}",
        )
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        match method, rest:
            case "GET", "":
                return await self._show(visit)
            case "GET", "theme.css":
                return _theme(claims)
            case "POST", _ if rest in _CHANGES:
                require_own_site(headers, site)
                body = await read_body(receive, headers, bytes_max=BODY_BYTES_MAX)
                require_form(headers, body)
                return await self._change(replace(visit, form=parse_form(body)), rest)
            case _, _ if rest in ("", "theme.css", *_CHANGES):
                raise MethodNotAllowedError(
                    f"This page can't be asked for with {method[:10]}.",
                    allowed=["POST"] if rest in _CHANGES else ["GET", "HEAD"],
                )
        raise NotFoundError("There is no such page.")

    def _require_good(self, claims: PageClaims | None) -> tuple[PageClaims, Customer]:
        """Return what a link says, and its customer.

        Raises:
            NotFoundError: It is not one of ours, it has ended, or the customer was deleted.
            TooManyAttemptsError: The customer's page is asked for too often.
        """
        if claims is None:
            raise NotFoundError(_UNKNOWN)
        now_ms = self._services.clock.now_ms()
        # Whoever still has an ended link takes nothing from those whose link works.
        if now_ms >= claims.expires_at * 1000:
            raise NotFoundError(_ENDED)
        if not self._asked.allows((claims.livemode, claims.customer), now_ms):
            raise TooManyAttemptsError("This page is asked for too often. Try again in a moment.")
        objects = self._services.store.reader
        customer = objects.get(Customer, claims.customer, livemode=claims.livemode)
        if customer is None or customer.deleted:
            raise NotFoundError(_ENDED)
        return claims, customer

    async def _change(self, visit: CustomerVisit, what: str) -> Response:
        act, notice = _CHANGES[what]
        try:
            await act(visit)
        except RequestError as error:
            status = HTTPStatus(answer_to(error)[0].status)
            return await self._show(replace(visit, problem=error), status)
        return RedirectResponse(f"{visit.place}?notice={notice}", HTTPStatus.SEE_OTHER)

    async def _show(self, visit: CustomerVisit, status: HTTPStatus = HTTPStatus.OK) -> Response:
        context = {
            "visit": visit,
            "view": await view_customer(visit),
            "form_token": self._services.ids.token(22),
            "theme": visit.claims.theme,
            "theme_href": f"{visit.place}/theme.css" if visit.claims.accent else "",
        }
        html = self._templates.render("customer_page.html", context)
        return Response(html, status, media_type="text/html")

    def _explain(self, error: Exception, claims: PageClaims | None) -> Response:
        """Return the page that says what went wrong; nothing of the customer is on it."""
        status, message, headers = explained(error, path=ACTOR)
        context = {
            "message": message,
            "theme": claims.theme if claims is not None else "auto",
            "theme_href": "",
        }
        html = self._templates.render("customer_problem.html", context)
        return Response(html, status, headers=headers, media_type="text/html")


def _parts(scope: Scope) -> tuple[str, str]:
    """Return the token in a path, and what stands behind it."""
    token, _, rest = scope["path"].removeprefix(f"{MOUNT}/").partition("/")
    return token, rest


def _theme(claims: PageClaims) -> Response:
    """Return the colour of the customer's site, as it can be read on light and on dark."""
    rule = ""
    if claims.accent:
        light, dark = shades(claims.accent)
        rule = (
            f":root {{ --accent: light-dark({light}, {dark}); "
            "--on-accent: light-dark(#ffffff, #11142a); }\n"
        )
    return Response(rule, media_type="text/css")
