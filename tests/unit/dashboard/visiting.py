"""A browser without a browser: cookies, forms and headers, straight into the application."""

import asyncio
import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from starlette.types import Message

from meterbell.dashboard import accounts
from meterbell.dashboard.app import Dashboard
from meterbell.dashboard.passwords import hash_password
from meterbell.ledger.transaction import Transaction
from meterbell.records import DashboardUser, Role
from meterbell.services import Services
from meterbell.store.dashboard_tables import dashboard_user

HOST = "127.0.0.1:4242"
PASSWORD = "correct horse battery"
_FIELD = re.compile(r'name="csrf" value="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Shown:
    """An answer; `cookies` are the `Set-Cookie` headers."""

    status: int
    headers: dict[str, str]
    cookies: list[str]
    raw: bytes

    @property
    def text(self) -> str:
        """The page's source."""
        return self.raw.decode()

    @property
    def words(self) -> str:
        """What a reader sees, without tags."""
        return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", self.text)).split())


@dataclass
class Visitor:
    """One browser.

    Attributes:
        cookies: By name, as the last answer set them.
        address: Where it comes from.
    """

    dashboard: Dashboard
    host: str = HOST
    address: str = "127.0.0.1"
    cookies: dict[str, str] = field(default_factory=dict)

    async def get(self, path: str, **headers: str) -> Shown:
        """Ask for a page."""
        return await self._send("GET", path, b"", headers)

    async def post(
        self,
        path: str,
        form: Mapping[str, str] | None = None,
        *,
        csrf: str | None = None,
        **headers: str,
    ) -> Shown:
        """Send a form as a page of ours would, with a token from the sign-in page by default."""
        token = await self.form_token() if csrf is None else csrf
        body = urlencode({"csrf": token, **(form or {})}).encode()
        sent = {"content_type": "application/x-www-form-urlencoded", **headers}
        return await self._send("POST", path, body, sent)

    async def form_token(self) -> str:
        """Return the token of a form made for this browser."""
        page = await self.get("/dashboard/sign-in")
        match = _FIELD.search(page.text)
        assert match is not None, page.text
        return match[1]

    async def sign_in(self, name: str, password: str = PASSWORD, **form: str) -> Shown:
        """Send the form for signing in."""
        return await self.post("/dashboard/sign-in", {"name": name, "password": password, **form})

    async def _send(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Shown:
        path, _, query = path.partition("?")
        sent = {"host": self.host, **{k.replace("_", "-"): v for k, v in headers.items()}}
        if self.cookies:
            sent["cookie"] = "; ".join(f"{name}={text}" for name, text in self.cookies.items())
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "headers": [(k.encode(), v.encode("latin-1")) for k, v in sent.items() if v],
            "client": (self.address, 1),
        }
        incoming: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        outgoing: list[Message] = []

        async def receive() -> Message:
            return incoming.pop(0) if incoming else await asyncio.Future()

        async def send(message: Message) -> None:
            await asyncio.sleep(0)
            outgoing.append(message)

        await self.dashboard(scope, receive, send)
        start, *rest = outgoing
        raw = [(k.decode(), v.decode("latin-1")) for k, v in start["headers"]]
        cookies = [value for name, value in raw if name == "set-cookie"]
        for cookie in cookies:
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        return Shown(start["status"], dict(raw), cookies, b"".join(m["body"] for m in rest))


async def add_user(
    services: Services, name: str, role: Role, *, password: str | None = None
) -> DashboardUser:
    """Store a user; the password's hash is a quick one."""

    def command(changes: Transaction) -> DashboardUser:
        user = accounts.add_user(changes, name, role=role, password=None)
        if password is not None:
            stored = hash_password(password, salt="salt", cost=16)
            changes.objects.update(DashboardUser, dashboard_user.c.id == user.id, password=stored)
        return user

    return await services.committer.execute(command)


async def let_in(services: Services, visitor: Visitor, name: str, role: Role) -> Visitor:
    """Give a browser a session of a new user, without the form."""
    user = await add_user(services, name, role)
    token = accounts.new_token(services.ids)

    def command(changes: Transaction) -> None:
        accounts.open_session(changes, user, token)

    await services.committer.execute(command)
    visitor.cookies["meterbell_session"] = token
    return visitor
