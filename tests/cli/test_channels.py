"""`meterbell channels`, and the story from an alert to the people it tells."""

import json
from pathlib import Path

from tests.cli.conftest import Run
from tests.support.mail import MailServer
from tests.support.receiver import WebhookReceiver
from tests.support.server import ServerProcess


def made(run: Run, *arguments: str | Path) -> str:
    """Make a channel and return its id."""
    done = run("channels", "create", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    return str(json.loads(done.stdout)["id"])


def test_an_alert_tells_people_once_by_mail_and_chat(server: ServerProcess, run: Run) -> None:
    client = server.client
    client.raw_request("post", "/v1/customers", id="cus_ada", name="Ada <b>")
    meter = client.v1.billing.meters.create(
        {
            "display_name": "Tokens",
            "event_name": "told",
            "default_aggregation": {"formula": "sum"},
        }
    )
    alert = client.v1.billing.alerts.create(
        {
            "alert_type": "usage_threshold",
            "title": "Used up",
            "usage_threshold": {"meter": meter.id, "gte": 2, "recurrence": "one_time"},
        }
    )
    with MailServer() as mail, WebhookReceiver() as chat:
        address = f"mailto://127.0.0.1:{mail.port}/?from=a@example.com&to=b@example.com"
        body = "{customer.name} is at {value} of {meter.name}"
        by_mail = made(run, "--name", "Sales", "--url", address)
        by_chat = made(
            run, "--name", "Chat", "--url", f"json://{chat.url.split('/')[2]}/PlantedToken",
            "--alert", alert.id, "--title", "{{{alert.title}}}", "--body", body,
        )  # fmt: skip
        resting = made(run, "--name", "Rest", "--url", address)
        assert run("channels", "update", resting, "--disable").returncode == 0
        for _ in range(4):
            payload = {"stripe_customer_id": "cus_ada", "value": "1.5"}
            client.v1.billing.meter_events.create({"event_name": "told", "payload": payload})
        (message,) = mail.wait_for(1)
        (notice,) = chat.wait_for(1)
        tested = run("channels", "test", by_chat)
        mail.refusal = "550 no such user"
        refused = run("channels", "test", by_mail)
        listed = run("channels", "list").stdout

        assert (len(mail.messages), len(chat.received)) == (1, 2), "once, and the test"
    assert message["subject"] == "Used up"
    text = message.get_content().strip()
    assert text.startswith("Ada <b> has reached 3 on Tokens, 20")
    assert text.endswith("UTC (alert at 2, test mode).")
    facts = json.loads(notice.body)
    assert (facts["title"], facts["message"]) == ("{Used up}", "Ada <b> is at 3 of Tokens")
    assert (tested.returncode, tested.stdout.startswith("Sent, in ")) == (0, True)
    assert (refused.returncode, refused.stderr) == (
        1,
        "error: The notice was not sent (status_550): no such user\n",
    )
    assert "PlantedToken" not in listed
    assert [by_chat in listed, "disabled" in listed, alert.id in listed] == [True] * 3
    assert run("channels", "delete", by_chat).stdout == f"Deleted {by_chat}.\n"
    assert run("channels", "get", by_chat).returncode == 1
    changed = run("channels", "update", by_mail, "--all-alerts", "--title", "", "--json").stdout
    assert json.loads(changed)["title"] == "{alert.title}"


def test_a_channel_that_can_not_be_used_is_refused_with_the_reason(run: Run) -> None:
    for url, reason in (
        ("jsons://10.0.0.1/", "10.0.0.1 is not public"),
        ("dbus://", "dbus:// can't be used"),
        ("slack://x", "missing or malformed"),
    ):
        done = run("channels", "create", "--name", "x", "--url", url)
        assert done.returncode == 1
        assert reason in done.stderr
