"""Attempts of channels, by the process that makes them, against servers of this machine."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs
from xml.etree import ElementTree as ET

from meterbell.delivery.channels.notifier import Notifier
from meterbell.delivery.outcome import READ_BYTES_MAX, Outcome
from meterbell.settings import Settings
from tests.support.mail import MailServer
from tests.support.receiver import Reply, WebhookReceiver

TITLE, BODY = "Used up: <Ada> ü", "{not} ${HOME} *a* & <b>\n:smile:"


@asynccontextmanager
async def notifying(**settings: Any) -> AsyncIterator[Notifier]:  # noqa: ANN401
    notifier = Notifier(Settings(**settings))
    try:
        yield notifier
    finally:
        await notifier.close()


async def send(notifier: Notifier, url: str, *, livemode: bool = False) -> Outcome:
    return await notifier.send(url, livemode=livemode, title=TITLE, body=BODY)


def local(receiver: WebhookReceiver, scheme: str, path: str = "") -> str:
    return f"{scheme}://{receiver.url.split('/')[2]}/{path}"


async def test_notices_arrive_as_they_are_written_whatever_the_service() -> None:
    with MailServer() as mail, WebhookReceiver() as receiver:
        async with notifying() as notifier:
            address = f"mailto://127.0.0.1:{mail.port}/?from=a@example.com&to=b@example.com"
            urls = [
                address,
                local(receiver, "json"),
                local(receiver, "xml"),
                local(receiver, "form"),
                local(receiver, "mmost", "3ccdd113474722377935511fc85d3dd4"),
                local(receiver, "fluxer", "4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js"),
            ]
            outcomes = [await send(notifier, url) for url in urls]
    bodies = [one.body.decode() for one in receiver.received]
    as_json, as_xml, as_form, as_slack, as_discord = bodies

    assert [outcome.text for outcome in outcomes] == ["succeeded"] * len(urls)
    (message,) = mail.messages
    assert (message["subject"], message["to"]) == (TITLE, "b@example.com")
    assert message.get_content().strip().replace("\r", "") == BODY
    facts = json.loads(as_json)
    assert (facts["title"], facts["message"], facts["type"]) == (TITLE, BODY, "warning")
    texts = [node.text for node in ET.fromstring(as_xml).iter() if node.tag == "Message"]
    assert texts == [BODY]
    assert parse_qs(as_form)["message"] == [BODY]
    for text in (json.loads(as_slack)["text"], json.loads(as_discord)["content"]):
        assert TITLE in text
        assert BODY in text


async def test_what_went_wrong_is_told_as_it_was_heard() -> None:
    with MailServer() as mail, WebhookReceiver() as receiver:
        async with notifying(webhook_timeout_seconds=2) as notifier:
            mail.refusal = "550 no such user"
            address = f"mailto://127.0.0.1:{mail.port}/?from=a@example.com&to=b@example.com"
            refused = await send(notifier, address)
            answers = {
                503: Reply(503, b"busy", {"Retry-After": "77"}),
                302: Reply(302, b"", {"Location": receiver.url}),
                404: Reply(404, b"x" * 2 * READ_BYTES_MAX),
            }
            heard = {}
            for status, answer in answers.items():
                receiver.respond = lambda _request, answer=answer: answer
                heard[status] = await send(notifier, local(receiver, "json"))
            nobody = await send(notifier, "json://does-not-exist.invalid/")
        url = local(receiver, "json")
    async with notifying(webhook_timeout_seconds=2) as notifier:
        closed = await send(notifier, url)

    assert refused == Outcome("status_550", 550, None, b"no such user")
    assert heard[503] == Outcome("status_503", 503, "77", b"busy")
    assert (heard[302].text, len(receiver.received)) == ("redirect", 3), "it was not followed"
    assert (heard[404].text, len(heard[404].response)) == ("status_404", 64 * 1024)
    assert nobody.text == "dns_error"
    assert closed.text == "connection_refused"


async def test_an_answer_that_quotes_the_request_is_kept_without_its_secrets() -> None:
    """Many servers quote the path in their 404, and some the headers."""
    with WebhookReceiver() as receiver:
        receiver.respond = lambda request: Reply(
            404, f"Cannot POST {request.path} for {request.headers['authorization']}".encode()
        )
        host = receiver.url.split("/")[2]
        async with notifying() as notifier:
            heard = await send(notifier, f"json://ada:PlantedOne@{host}/hooks/PlantedTwo/b")

    assert heard.response == b"Cannot POST /****/****/b for Basic ****"


async def test_what_a_service_has_no_room_for_is_left_out() -> None:
    with WebhookReceiver() as receiver:
        url = local(receiver, "fluxer", "4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js")
        async with notifying() as notifier:
            outcome = await notifier.send(url, livemode=False, title="t", body="b" * 4000)

    assert outcome.text == "succeeded"
    (sent,) = receiver.received
    assert 1000 < len(json.loads(sent.body)["content"]) <= 2000


async def test_d2_a_server_that_hangs_holds_up_no_other_and_ends_at_its_deadline() -> None:
    """In a body that never ends the status decides; without an answer it is a timeout."""
    writers: list[asyncio.StreamWriter] = []

    async def hang(_reader: object, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        if writer.get_extra_info("sockname")[1] == ports[1]:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx")

    servers = [await asyncio.start_server(hang, "127.0.0.1", 0) for _ in range(2)]
    ports = [server.sockets[0].getsockname()[1] for server in servers]
    with WebhookReceiver() as receiver:
        async with notifying(webhook_timeout_seconds=2) as notifier:
            await notifier.check("json://127.0.0.1:9999", livemode=False)
            hanging = [
                asyncio.create_task(send(notifier, f"json://127.0.0.1:{port}/"))
                for port in (ports[0], ports[0], ports[0], ports[1])
            ]
            quick = await send(notifier, local(receiver, "json"))
            is_first = not any(task.done() for task in hanging)
            outcomes = await asyncio.gather(*hanging)
    for writer in writers:
        writer.close()
    for server in servers:
        server.close()

    assert (quick.text, is_first) == ("succeeded", True)
    assert [outcome.text for outcome in outcomes] == ["timeout"] * 3 + ["succeeded"]


async def test_d4_a_notice_never_goes_where_the_policy_denies() -> None:
    """Neither when the channel is made, nor at an attempt: a server off loopback denies itself."""
    with MailServer() as mail, WebhookReceiver() as receiver:
        port = receiver.url.split(":")[2].split("/")[0]
        urls = [
            f"json://127.0.0.1:{port}/",
            f"json://localhost:{port}/",
            f"json://2130706433:{port}/",
            f"json://0x7f.1:{port}/",
            f"json://[::1]:{port}/",
            "jsons://169.254.169.254/latest",
            "jsons://10.0.0.1/",
            "jsons://example.com:22/",
            f"mailto://127.0.0.1:{mail.port}/?from=a@example.com&to=b@example.com",
        ]
        async with notifying(host="0.0.0.0") as notifier:
            checked = {url: (await notifier.check(url, livemode=False)).refusal for url in urls}
            outcomes = {url: (await send(notifier, url)).text for url in urls}

    assert [url for url, refusal in checked.items() if refusal is None] == []
    assert set(outcomes.values()) <= {"address_denied", "bad_url", "dns_error"}
    assert receiver.received == []
    assert mail.messages == []


async def test_d4_exceptions_are_named_by_a_setting_and_live_mode_is_encrypted() -> None:
    with WebhookReceiver() as receiver:
        url = local(receiver, "json")
        async with notifying(host="0.0.0.0", egress_allow="127.0.0.1") as notifier:
            allowed = await send(notifier, url)
            plain = await notifier.check(url, livemode=True)
            mail = await notifier.check("mailto://a:b@example.com", livemode=True)
            weak = "mailtos://a:b@example.com?mode=insecure"
            insecure = await notifier.check(weak, livemode=True)

    assert allowed.text == "succeeded"
    assert plain.refusal == "a channel in live mode is encrypted: use jsons://."
    assert mail.refusal == "a channel in live mode is encrypted: use mailtos://."
    assert insecure.refusal == "a channel in live mode is encrypted: leave out mode=insecure."


async def test_a_url_that_makes_no_sense_is_refused_with_the_reason() -> None:
    reasons = {
        "slack://x": "missing or malformed",
        "https://example.com/hook": "use json:// or jsons://",
        "exec://x": "none that meterbell knows",
        "xoxbTokenThatSomebodyPasted": "no URL of a service",
        "xoxbTokenThatSomebodyPasted://x": "no URL of a service",
        "not a url": "no URL of a service",
        "syslog://": "own machine",
        "jsons://example.com:65536/": "ports are numbers from 1 to 65535",
        "jsons://example.com:0/": "ports are numbers from 1 to 65535",
        "jsons://example.com/?port=65536": "ports are numbers from 1 to 65535",
        "jsons://example.com/?port=web": "ports are numbers from 1 to 65535",
        "matrixs://a:b@example.com:70000/#room": "ports are numbers from 1 to 65535",
        "mailtos://a:b@example.com:70000/": "ports are numbers from 1 to 65535",
        "jsons://example.com/?verify=no": "certificates are always verified",
        "workflows://example.com:443/a/b/?template=/etc/passwd": "no files of the server",
    }
    async with notifying() as notifier:
        told = {url: (await notifier.check(url, livemode=False)).refusal for url in reasons}

    assert [url for url, reason in reasons.items() if reason not in (told[url] or "")] == []
    assert "Token" not in str(list(told.values())), "it may be a secret"


async def test_the_last_port_that_there_is_may_be_used() -> None:
    async with notifying() as notifier:
        checked = await notifier.check("json://127.0.0.1:65535/", livemode=False)

    assert checked.refusal is None


# Services with a fixed address over https: only where that leads is changed, below everything else.
FIXED = """
import json, sys
from urllib.parse import urlsplit
import requests
from meterbell.delivery.channels import attempt
from meterbell.delivery.channels.jobs import Job

real, (here, *urls) = requests.adapters.HTTPAdapter.send, sys.argv[1:]

def send(own, request, **more):
    to = urlsplit(request.url)
    request.url = f"{here}/{to.scheme}/{to.netloc}{to.path}"
    return real(own, request, **more)

requests.adapters.HTTPAdapter.send = send
for url in urls:
    done = attempt.send(Job(1, "send", 5.0, url, True, "Used up", "Ada has reached 100"))
    print(json.dumps([done.outcome, done.status_code, done.retry_after, done.response.decode()]))
"""
SERVICES = {
    "https/hooks.slack.com/services/T1JJ3T3L2/": Reply(200, b"ok"),
    "https/prod-1.westeurope.logic.azure.com:443/workflows/WorkflowId/": Reply(202),
    "https/discord.com/api/webhooks/4174216298/": Reply(204),
    "https/events.pagerduty.com/v2/enqueue": Reply(202, b'{"status":"success"}'),
}
FIXED_URLS = [
    "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ",
    "workflows://prod-1.westeurope.logic.azure.com:443/WorkflowId/Signature",
    "https://discord.com/api/webhooks/4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js",
    "pagerduty://IntegrationKey00000000000000000000@ApiKey",
]


def send_fixed(receiver: WebhookReceiver, *urls: str) -> list[Any]:
    """Send notices to services whose address leads to a receiver; return what came of them."""
    here = "http://" + receiver.url.split("/")[2]
    command = [sys.executable, "-c", FIXED, here, *urls]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_slack_teams_discord_and_pagerduty_take_what_they_are_sent() -> None:
    """As they answer themselves; whether they show it well, nobody here can tell."""
    with WebhookReceiver() as receiver:
        receiver.respond = lambda request: next(
            (reply for path, reply in SERVICES.items() if request.path.startswith(f"/{path}")),
            Reply(404),
        )
        outcomes = [outcome for outcome, *_ in send_fixed(receiver, *FIXED_URLS)]
    slack, teams, discord, pagerduty = (json.loads(one.body) for one in receiver.received)

    assert outcomes == ["succeeded"] * len(FIXED_URLS)
    assert (slack["attachments"][0]["title"], slack["mrkdwn"]) == ("Used up", False)
    card = teams["attachments"][0]
    assert card["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert [block["text"] for block in card["content"]["body"]] == [
        "Used up", "Ada has reached 100",
    ]  # fmt: skip
    assert discord["content"] == "Used up\r\nAda has reached 100"
    assert (pagerduty["event_action"], pagerduty["routing_key"]) == (
        "trigger", "IntegrationKey00000000000000000000",
    )  # fmt: skip
    assert pagerduty["payload"]["severity"] == "warning"
    assert "Ada has reached 100" in pagerduty["payload"]["summary"]


def test_what_those_services_refuse_is_told_as_they_say_it() -> None:
    with WebhookReceiver() as receiver:
        slow, gone = Reply(429, b"slow", {"Retry-After": "30"}), Reply(404, b"no_service")
        receiver.respond = lambda request: slow if "discord" in request.path else gone
        slack, discord = send_fixed(receiver, FIXED_URLS[0], FIXED_URLS[2])

    assert slack == ["status_404", 404, None, "no_service"]
    assert discord == ["status_429", 429, "30", "slow"]
