"""Secrets that are planted, by kind. Whoever adds a kind of secret adds a row to `PLANTS`.

Each row uses secrets as clients, people and attackers do, and yields them.
"""

import base64
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from urllib.parse import quote, urlencode, urlsplit

from meterbell.api.v1.stripecli import SUBSCRIBE_PATH
from meterbell.settings import Settings
from meterbell.store.objects import Objects
from meterbell.store.sealing import DIGEST_KEY, SESSION_KEY, read_fact
from meterbell.store.sql import Connection
from meterbell.vault import parse_keys
from meterbell.wire.stripecli import SUBPROTOCOL
from tests.contract.planting import (
    COOKIE,
    DESTINATIONS,
    FORM,
    HOOKS,
    IDS,
    SIGN_IN,
    TARGET,
    Answer,
    Body,
    Planting,
    destination_body,
    some_keys,
)
from tests.support.vault import vault_of

CHANNELS = "/v1/notification_channels"


def api_keys(planting: Planting) -> Iterator[str]:
    """Keys that work, made by the command line, and the one that the server was given."""
    yield planting.server.key
    for mode in ("test", "live"):
        for permission in ("all", "read", "ingest"):
            words = ("keys", "create", "--mode", mode, "--permission", permission, "--json")
            key = json.loads(planting.run(*words))["key"]
            status, _ = planting.send("GET", "/v1/customers", key=key)
            assert status == (403 if permission == "ingest" else 200)
            yield key


def unknown_api_keys(planting: Planting) -> Iterator[str]:
    """Keys that are sent and refused, in both forms of authentication, one of them mistyped."""
    for key in [*some_keys(3), some_keys(1)[0] + "_mistyped"]:
        basic = base64.b64encode(f"{key}:".encode()).decode()
        planting.refused("GET", "/v1/customers", Authorization=f"Bearer {key}")
        planting.refused("POST", "/v2/billing/meter_events", {}, Authorization=f"Basic {basic}")
        yield key
        yield basic


def webhook_secrets(planting: Planting) -> Iterator[str]:
    """Secrets of endpoints and destinations, deleted ones too."""
    for number in range(3):
        endpoint = planting.endpoint()
        if number == 0:
            planting.send("DELETE", f"{HOOKS}/{endpoint['id']}")
        yield endpoint["secret"]
        yield planting.destination()["webhook_endpoint"]["signing_secret"]


def rolled_secrets(planting: Planting) -> Iterator[str]:
    """Old and new secrets, through overlaps and without one."""
    endpoint, destination = planting.endpoint(), planting.destination()
    yield endpoint["secret"]
    yield destination["webhook_endpoint"]["signing_secret"]
    for seconds in (60, 3600, 0):
        path = f"{HOOKS}/{endpoint['id']}/roll_secret"
        yield planting.made(path, {"expire_in": seconds})["secret"]
        path = f"{DESTINATIONS}/{destination['id']}/roll_secret"
        rolled = planting.made(path, {"expire_in": seconds})
        yield rolled["webhook_endpoint"]["signing_secret"]


def session_tokens(planting: Planting) -> Iterator[str]:
    """Tokens of the stream: one that works, and one that was tampered with."""
    for number in range(3):
        token = planting.made("/v2/billing/meter_event_session", {})["authentication_token"]
        token = token[:-4] + "0000" if number == 0 else token
        body = {"events": [{"event_name": "nothing", "payload": {"a": "1"}}]}
        status, _ = planting.send("POST", "/v2/billing/meter_event_stream", body, key=token)
        assert status == (401 if number == 0 else 200)
        yield token


def customer_page_links(planting: Planting) -> Iterator[str]:
    """Links to customer pages: opened, asked for in the wrong place, and tampered with."""
    customer = planting.made("/v1/customers", {"name": "Ada"})["id"]
    path = urlsplit(planting.made("/v1/customer_pages", {"customer": customer})["url"]).path
    assert planting.ask("GET", path, headers={}).status == 200
    planting.refused("GET", f"/v1{path}")
    assert planting.ask("GET", f"{path}/alerts/{path}", headers={}).status == 404
    yield path.rpartition("/")[2]


def installation_secrets(planting: Planting) -> Iterator[str]:
    """What the installation signs and digests with, and the key that all is encrypted with."""
    data = planting.server.data
    with closing(Connection(data / "meterbell.db", readonly=True)) as connection:
        for name in (DIGEST_KEY, SESSION_KEY):
            secret = read_fact(Objects(connection), vault_of(data), name)
            assert secret is not None
            yield secret
    key_file = Settings(data=str(data)).key_file
    yield from (key.text for key in parse_keys(key_file.read_text(), where=str(key_file)))


def passwords_in_urls(planting: Planting) -> Iterator[str]:
    """Endpoints may not have user names and passwords in their URLs."""
    endpoint, destination = planting.endpoint()["id"], planting.destination()["id"]
    for scheme in ("http", "ftp"):
        words = [f"hunter2{IDS.token(30)}" for _ in range(4)]
        urls = [f"{scheme}://user:{word}@127.0.0.1:9009/" for word in words]
        planting.refused("POST", HOOKS, {"url": urls[0], "enabled_events[]": "*"})
        planting.refused("POST", f"{HOOKS}/{endpoint}", {"url": urls[1]})
        planting.refused("POST", DESTINATIONS, destination_body(urls[2]))
        changes = {"webhook_endpoint": {"url": urls[3]}}
        planting.refused("POST", f"{DESTINATIONS}/{destination}", changes)
        yield from words


def secrets_in_bodies(planting: Planting) -> Iterator[str]:
    """Secrets in the wrong place of requests that fail, and whose answers may quote them."""
    endpoint = planting.endpoint()["id"]
    bodies: list[tuple[str, Callable[[str], Body]]] = [
        (f"{HOOKS}/{endpoint}", lambda secret: {"secret": secret}),
        (HOOKS, lambda secret: {"url": TARGET, "enabled_events[]": secret}),
        (HOOKS, lambda secret: {"url": secret, "enabled_events[]": "*"}),
        ("/v1/customers", lambda secret: {secret: "x"}),
        ("/v1/billing/meter_events", lambda secret: {"event_name": secret, "payload[a]": "b"}),
        (DESTINATIONS, destination_body),
        (DESTINATIONS, str.encode),
    ]
    for (path, body), key in zip(bodies, some_keys(len(bodies)), strict=True):
        for secret in (key, f"whsec_{IDS.token(44)}"):
            planting.refused("POST", path, body(secret))
            yield secret


def secrets_in_addresses(planting: Planting) -> Iterator[str]:
    """Secrets in paths and queries of requests that fail."""
    for key, secret in zip(some_keys(3), (f"whsec_{IDS.token(44)}" for _ in range(3)), strict=True):
        planting.refused("GET", f"/v1/customers/{secret}")
        planting.refused("POST", f"{HOOKS}/{quote(key)}/roll_secret", {})
        planting.refused("GET", f"/v1/nothing/{key}?api_key={secret}")
        planting.refused("GET", f"/v1/customers?api_key={key}")
        planting.refused("POST", f"/v2/nothing/{secret}?{key}", {})
        yield key
        yield secret


def secrets_in_headers(planting: Planting) -> Iterator[str]:
    """Secrets in headers of requests that fail and of some that don't."""
    for header in ("Idempotency_Key", "Stripe_Account", "Stripe_Version", "X_Api_Key", "Cookie"):
        (key,) = some_keys(1)
        planting.refused("POST", "/v1/customers", {"nothing": "x"}, **{header: key})
        if header != "Idempotency_Key":  # which events show, as Stripe's do
            planting.made("/v1/customers", {"name": "Ada"}, **{header: key})
        yield key


def listener_secrets(planting: Planting) -> Iterator[str]:
    """What listeners prove themselves with, what is signed with for them, where they forward to."""
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(b"0" * 16).decode(),
        "Sec-WebSocket-Protocol": SUBPROTOCOL,
    }
    for number in range(2):
        password, query = IDS.token(40), IDS.token(40)
        session = planting.made(
            "/v1/stripecli/sessions",
            {
                "device_name": "dev",
                "websocket_features[]": "webhooks",
                "forward_to_url": f"http://user:{password}@127.0.0.1:9009/hook?token={query}",
            },
        )
        token = session["websocket_id"]
        if number == 1:
            token = token[:-4] + "0000"
        answer = planting.ask("GET", SUBSCRIBE_PATH, headers=upgrade | {"Websocket-Id": token})
        assert (answer.status == 101) is (number == 0)
        planting.ask("GET", f"{SUBSCRIBE_PATH}?websocket_id={token}", headers=upgrade)
        yield from (token, password, query, session["secret"])


def dashboard_secrets(planting: Planting) -> Iterator[str]:
    """Passwords, right and wrong ones; one-time links, used twice; cookies of sessions."""
    password, wrong = f"hunter2{IDS.token(33)}", f"hunter3{IDS.token(33)}"
    planting.run("dashboard", "user", "add", "ada", "--password-stdin", typed=password)
    refused, stranger = planting.post_form(SIGN_IN, name="ada", password=wrong)
    answer, visitor = planting.post_form(SIGN_IN, name="ada", password=password)
    assert (refused.status, answer.status) == (401, 303)
    yield from (wrong, password, session_of(answer))
    yield from (cookie.partition("=")[2] for cookie in (stranger, visitor))
    link = json.loads(planting.run("dashboard", "link", "ada", "--json"))["url"]
    path, _, token = link.partition("/dashboard/")[2].partition("?token=")
    for status in (303, 401):
        answer, _ = planting.post_form(f"/dashboard/{path}?token={token}", token=token)
        assert answer.status == status
        if status == 303:
            yield session_of(answer)
    yield token
    changed = f"hunter4{IDS.token(33)}"
    planting.run("dashboard", "user", "passwd", "ada", "--password-stdin", typed=changed)
    yield changed
    # What belongs to no session, and a form that none of our pages showed.
    strange, forged = IDS.token(43), IDS.token(32)
    planting.ask(
        "GET", f"/dashboard/test/{strange}", headers={"Cookie": f"meterbell_session={strange}"}
    )
    body = urlencode({"csrf": forged, "name": "ada", "password": strange}).encode()
    answer = planting.ask("POST", SIGN_IN, body, headers={"Content-Type": FORM})
    assert answer.status == 403
    yield from (strange, forged)


def session_of(answer: Answer) -> str:
    """Return the token of the session that an answer begins."""
    found = COOKIE.search(answer.headers["set-cookie"])
    assert found is not None
    return found[1]


def channel_urls(planting: Planting) -> Iterator[str]:
    """What stands in the URLs of notification channels: good ones that fail, and refused ones."""
    for number in range(2):
        user, password, place = (IDS.token(40) for _ in range(3))
        url = f"json://{user}:{password}@127.0.0.1:9009/{place}"
        made = planting.made(CHANNELS, {"name": "N", "url": url})
        changed = f"{place[:-4]}{number:04}x"
        planting.made(f"{CHANNELS}/{made['id']}", {"url": url.replace(place, changed)})
        tested = planting.made(f"{CHANNELS}/{made['id']}/test", {})
        assert tested["outcome"] == "connection_refused"
        if number == 0:
            planting.send("DELETE", f"{CHANNELS}/{made['id']}")
        yield from (user, password, place)
    refused = [IDS.token(40) for _ in range(5)]
    for url in (
        f"nosuchservice://{refused[0]}@127.0.0.1",
        f"slack://{refused[1]}",
        f"json://user:{refused[2]}@10.0.0.1/",
        f"https://user:{refused[3]}@127.0.0.1",
        refused[4],
    ):
        planting.refused("POST", CHANNELS, {"name": "N", "url": url})
    yield from refused


def secrets_in_broken_requests(planting: Planting) -> Iterator[str]:
    """Secrets in requests that are hardly any: what a debug log is most likely to show."""
    host = f"Host: {urlsplit(planting.server.url).netloc}\r\n"
    forms: list[Callable[[str], str]] = [
        lambda key: f"{key}\r\n\r\n",
        lambda key: f"{key} / HTTP/1.1\r\n{host}\r\n",
        lambda key: f"GET /{key} HTTP/9.9\r\n{host}\r\n",
        lambda key: f"GET / HTTP/1.1\r\nAuthorization Bearer {key}\r\n\r\n",
        lambda key: f"GET /v1/events HTTP/1.1\r\nHost: {key}\r\n\r\n",
        lambda key: f"GET /v1/events HTTP/1.1\r\n{host}X: {key * 2000}\r\n\r\n",
        lambda key: f"GET /v1/{key * 2000} HTTP/1.1\r\n{host}\r\n",
        lambda key: f"POST /v1/customers HTTP/1.1\r\n{host}Content-Length: {key}\r\n\r\n",
        lambda key: (
            f"POST /v1/customers HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\n{key}\r\n"
        ),
        lambda key: (
            f"POST /v1/customers HTTP/1.1\r\n{host}Content-Type: {key}\r\n"
            f"Content-Length: 400\r\n\r\nname={key}"
        ),
    ]
    for form, key in zip(forms, some_keys(len(forms)), strict=True):
        planting.throw(form(key).encode())
        yield key
    for kind, body in (("text/plain", b"name=%s"), (FORM, b"name=%s&name[a]=%%ff&\xff")):
        (key,) = some_keys(1)
        authorization = f"Bearer {planting.server.key}"
        headers = {"Authorization": authorization, "Content-Type": kind}
        answer = planting.ask("POST", "/v1/customers", body % key.encode(), headers=headers)
        assert 400 <= answer.status < 500
        yield key


def secrets_in_requests_that_break_something(planting: Planting) -> Iterator[str]:
    """Secrets in requests of which the log tells with a traceback: their table is missing."""
    database = sqlite3.connect(planting.server.data / "meterbell.db", isolation_level=None)
    with closing(database):
        database.execute("ALTER TABLE customer RENAME TO customer_away")
        try:
            for key in some_keys(2):
                status, _ = planting.send("GET", f"/v1/customers?email={key}")
                assert status == 500
                status, _ = planting.send("POST", "/v1/customers", {"email": key, "name": key})
                assert status == 500
                yield key
        finally:
            database.execute("ALTER TABLE customer_away RENAME TO customer")


PLANTS: list[Callable[[Planting], Iterator[str]]] = [
    api_keys,
    unknown_api_keys,
    webhook_secrets,
    rolled_secrets,
    session_tokens,
    customer_page_links,
    installation_secrets,
    passwords_in_urls,
    secrets_in_bodies,
    secrets_in_addresses,
    secrets_in_headers,
    listener_secrets,
    dashboard_secrets,
    channel_urls,
    secrets_in_broken_requests,
    secrets_in_requests_that_break_something,
]
