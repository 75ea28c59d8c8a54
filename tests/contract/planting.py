"""A server that secrets are sent to, in all the ways in which clients, people and attackers do."""

import http.client
import json
import re
import socket
from collections.abc import Mapping
from contextlib import closing
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from typer.testing import CliRunner

from meterbell.cli.main import app
from meterbell.ids import RandomIds
from meterbell.keys import generate_key
from tests.support.server import ServerProcess

HOOKS, DESTINATIONS = "/v1/webhook_endpoints", "/v2/core/event_destinations"
SIGN_IN = "/dashboard/sign-in"
FORM = "application/x-www-form-urlencoded"
COOKIE = re.compile(r"meterbell_session=(\w*)")
FORM_TOKEN = re.compile(rb'name="csrf" value="(\w+)"')
# Nobody listens there, so each delivery fails and is logged.
TARGET = "http://127.0.0.1:9009/hook"
IDS = RandomIds()
Body = bytes | dict[str, Any]


class Answer(NamedTuple):
    """What came back, as it is."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


class Planting:
    """A server that logs everything, and requests to it, good and bad."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server

    def send(
        self,
        method: str,
        path: str,
        body: Body = b"",
        *,
        key: str | None = None,
        **headers: str,
    ) -> tuple[int, Any]:
        """Send a request; a dictionary goes as a form to v1 and as JSON to v2."""
        if isinstance(body, bytes):
            raw = body
        elif path.startswith("/v2"):
            raw = json.dumps(body).encode()
        else:
            raw = urlencode(body, doseq=True).encode()
        kind = "application/json" if path.startswith("/v2") else FORM
        sent = {"Authorization": f"Bearer {key or self.server.key}", "Content-Type": kind}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        answer = self.ask(method, path, raw, headers=sent)
        return answer.status, json.loads(answer.body)

    def ask(
        self, method: str, path: str, body: bytes = b"", *, headers: Mapping[str, str]
    ) -> Answer:
        """Send a request as it is, without a key."""
        address = urlsplit(self.server.url)
        connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=20)
        with closing(connection):
            connection.request(method, path, body, headers=dict(headers))
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())

    def throw(self, raw: bytes) -> bytes:
        """Send bytes that are no proper request, and return what comes back."""
        address = urlsplit(self.server.url)
        with socket.create_connection((address.hostname, address.port), timeout=20) as sock:
            sock.sendall(raw)
            sock.shutdown(socket.SHUT_WR)
            return b"".join(iter(partial(sock.recv, 65_536), b""))

    def run(self, *words: str, typed: str = "") -> str:
        """Run a command on the data folder, and return what it prints."""
        done = CliRunner().invoke(app, [*words, "--data", str(self.server.data)], input=typed)
        assert done.exit_code == 0, done.output
        return done.stdout

    def post_form(self, path: str, cookie: str = "", **fields: str) -> tuple[Answer, str]:
        """Fill in a form of the dashboard, and return the answer and the cookie there was."""
        page = self.ask("GET", path, headers={"Cookie": cookie})
        given = COOKIE.search(page.headers.get("set-cookie", ""))
        cookie = given[0] if given is not None else cookie
        token = FORM_TOKEN.search(page.body)
        assert token is not None, page.body
        body = urlencode({"csrf": token[1].decode(), **fields}).encode()
        headers = {"Cookie": cookie, "Content-Type": FORM}
        return self.ask("POST", urlsplit(path).path, body, headers=headers), cookie

    def made(self, path: str, body: Body, **more: str) -> Any:  # noqa: ANN401
        """Send a POST that must succeed, with an Idempotency-Key as the SDKs do."""
        status, answer = self.send("POST", path, body, Idempotency_Key=IDS.token(20), **more)
        assert status == 200, answer
        return answer

    def refused(self, method: str, path: str, body: Body = b"", **more: str) -> None:
        """Send a request that must be refused, once without and once with an Idempotency-Key."""
        for headers in ({}, {"Idempotency_Key": IDS.token(20)}):
            status, _ = self.send(method, path, body, **(headers | more))
            assert 400 <= status < 500, (status, method, path)

    def endpoint(self) -> Any:  # noqa: ANN401
        """Make a webhook endpoint."""
        return self.made(HOOKS, {"url": TARGET, "enabled_events[]": "*"})

    def destination(self) -> Any:  # noqa: ANN401
        """Make a destination that shows its secret."""
        body = destination_body(TARGET)
        return self.made(DESTINATIONS, body | {"include": ["webhook_endpoint.signing_secret"]})


def destination_body(url: str) -> dict[str, Any]:
    return {
        "name": "D",
        "type": "webhook_endpoint",
        "event_payload": "snapshot",
        "enabled_events": ["*"],
        "webhook_endpoint": {"url": url},
    }


def some_keys(count: int) -> list[str]:
    """Return keys that no server knows."""
    return [generate_key(IDS, livemode=n % 2 == 0, restricted=n % 3 == 0) for n in range(count)]
