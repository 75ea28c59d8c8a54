"""Keys, meters, alerts, customers, events, trigger: as tables and as JSON."""

import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from meterbell.clock import SystemClock
from tests.cli.conftest import Run, meterbell
from tests.support.receiver import WebhookReceiver
from tests.support.server import ServerProcess
from tests.support.waiting import wait_for


def data_of(run: Run, *arguments: str) -> Any:  # noqa: ANN401 - JSON
    """Return what a command prints with --json."""
    done = run(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_meters(run: Run) -> None:
    made = data_of(run, "meters", "create", "--event-name", "seats", "--formula", "last")
    off = data_of(run, "meters", "deactivate", made["id"])
    inactive = data_of(run, "meters", "list", "--status", "inactive")
    on = data_of(run, "meters", "reactivate", made["id"])
    shown = run("meters", "get", made["id"])

    assert made["object"] == "billing.meter"
    assert [found["id"] for found in inactive["data"]] == [made["id"]]
    assert (off["status"], on["status"]) == ("inactive", "active")
    assert all(word in shown.stdout for word in (made["id"], "seats", "last", "active"))


def test_alerts(run: Run) -> None:
    meter = data_of(run, "meters", "create", "--event-name", "tokens")["id"]
    data_of(run, "customers", "create", "--id", "cus_alerts")
    made = data_of(
        run, "alerts", "create", "--meter", meter, "--gte", "5", "--customer", "cus_alerts",
        "--title", "Five [bold]", "--baseline", "lifetime", "--evaluate-on-create",
    )  # fmt: skip
    statuses = [
        data_of(run, "alerts", action, made["id"])["status"]
        for action in ("deactivate", "activate")
    ]
    listed = run("alerts", "list", "--meter", meter)
    archived = data_of(run, "alerts", "archive", made["id"])
    after = run("alerts", "list", "--meter", meter)

    assert statuses == ["inactive", "active"]
    assert "cus_alerts" in listed.stdout
    assert "Five [bold]" in listed.stdout, "a title is text, not markup"
    assert archived["status"] == "archived"
    assert data_of(run, "alerts", "get", made["id"])["status"] == "archived"
    assert (after.stdout, after.returncode) == ("", 0)
    assert "No alerts" in after.stderr


def test_alerts_are_explained(run: Run) -> None:
    fired = data_of(run, "trigger", "billing.alert.triggered")
    ask = ("alerts", "explain", fired["alert"], "--customer")

    found = data_of(run, *ask, fired["customer"])
    told, unknown = run(*ask, fired["customer"]), run(*ask, "cus_[none]")

    assert found["trigger"]["event"] == fired["event"]
    assert told.stdout.startswith("Triggered at 1 on ")
    assert "for no webhook endpoint" in told.stderr
    assert "no customer cus_[none] in test mode" in unknown.stdout


def test_alerts_are_tried_out(run: Run) -> None:
    fired = data_of(run, "trigger", "billing.alert.triggered")
    ask = ("alerts", "dry-run", "--meter", fired["meter"], "--gte")

    found = data_of(run, *ask, "1", "--customer", fired["customer"], "--days", "2")
    told, none = run(*ask, "1"), run(*ask, "1000000")

    assert [item["customer"] for item in found["triggered"]] == [fired["customer"]]
    assert "it would have triggered for" in told.stdout
    assert found["triggered"][0]["meter_event"]["identifier"] in told.stdout
    assert "triggered for 0 of" in none.stdout
    assert "nearest below" in none.stdout


def test_customers(run: Run) -> None:
    data_of(run, "customers", "create", "--id", "cus_ada", "--name", "Ada", "--email", "a@b.test")
    found = run("customers", "list", "--email", "a@b.test")
    deleted = run("customers", "delete", "cus_ada")

    assert all(word in found.stdout for word in ("cus_ada", "Ada", "a@b.test"))
    assert deleted.stdout == "Deleted cus_ada.\n"
    assert "(deleted)" in run("customers", "get", "cus_ada").stdout


def test_a_link_to_a_customers_page(run: Run) -> None:
    data_of(run, "customers", "create", "--id", "cus_linked")
    words = ("customers", "page", "cus_linked", "--expire-in", "2h", "--allow-alerts")
    told = run(*words, "--theme", "dark", "--accent", "#3145c4", "--frame-origin", "https://a.test")
    refused = run(*words, "--frame-origin", "https://a.test/x")
    too_long = run("customers", "page", "cus_linked", "--expire-in", "2d")

    url, end = told.stdout.splitlines()
    assert "/customer/page_tok_" in url
    assert end.startswith("Whoever has it sees the page, until ")
    made = data_of(run, *words)
    assert (made["customer"], made["allow_alerts"]) == ("cus_linked", True)
    assert "an origin is scheme, host" in refused.stderr
    assert "up to 24 hours" in too_long.stderr


def test_lists_say_how_to_go_on(run: Run) -> None:
    for number in range(3):
        data_of(run, "customers", "create", "--id", f"cus_page{number}")

    first = run("customers", "list", "--limit", "2")
    second = run("customers", "list", "--limit", "1", "--starting-after", "cus_page1")

    assert "--starting-after cus_page1" in first.stderr
    assert "cus_page0" in second.stdout


def test_trigger_makes_a_real_event(run: Run) -> None:
    first = data_of(run, "trigger", "billing.alert.triggered")
    again = run("trigger", "billing.alert.triggered")
    event = data_of(run, "events", "get", first["event"])
    listed = run("events", "list", "--type", "billing.alert.triggered")

    assert event["data"]["object"]["alert"]["id"] == first["alert"]
    assert event["data"]["object"]["value"] == 1
    assert f"Reused meter {first['meter']}" in again.stdout
    assert f"{first['customer']} reached 1" in listed.stdout


@pytest.mark.parametrize("event_type", ["customer.created", "customer.updated", "customer.deleted"])
def test_trigger_knows_customers_too(run: Run, event_type: str) -> None:
    made = data_of(run, "trigger", event_type)

    assert data_of(run, "events", "get", made["event"])["type"] == event_type
    assert event_type in run("trigger", "--list").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["alerts", "get", "alrt_none"], "No such billing alert: 'alrt_none'"),
        (["alerts", "create", "--meter", "mtr_none", "--gte", "5"], "No such billing meter"),
        (["meters", "create", "--event-name", ""], "display_name"),
        (["events", "get", "evt_none"], "No such event"),
        (["customers", "get", "a b?"], "No such customer: 'a b?'"),
        (["meters", "get", ".."], "The id is empty"),
    ],
    ids=str,
)
def test_refusals_are_one_line(run: Run, arguments: list[str], message: str) -> None:
    done = run(*arguments)

    assert (done.returncode, done.stdout) == (2 if "empty" in message else 1, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_server_that_is_away_is_said_so() -> None:
    done = meterbell("alerts", "list", "--api-base", "http://127.0.0.1:9", "--api-key", "sk_test_x")

    assert done.returncode == 1
    assert done.stderr.startswith("error: Can't reach the server at http://127.0.0.1:9: connection")
    assert done.stderr.count("\n") == 1


def test_keys_work_while_the_server_runs(run: Run, server: ServerProcess) -> None:
    made = data_of(run, "keys", "create", "--permission", "read", "--name", "spy")

    def lists(key: str) -> bool:
        return (
            meterbell("meters", "list", "--api-key", key, "--api-base", server.url).returncode == 0
        )

    assert made["key"].startswith("rk_test_")
    assert lists(made["key"])
    rolled = data_of(run, "keys", "roll", made["id"], "--expire-in", "1h")
    assert lists(made["key"]), "the old key goes on working for an hour"
    assert lists(rolled["key"])
    data_of(run, "keys", "revoke", rolled["id"])
    wait_for(lambda: not lists(rolled["key"]), "refusal of the revoked key")
    statuses = {key["id"]: key["status"] for key in data_of(run, "keys", "list")}
    assert (statuses[made["id"]], statuses[rolled["id"]]) == ("expiring", "revoked")
    table = run("keys", "list").stdout
    assert made["last4"] in table
    assert made["key"] not in table


@pytest.mark.parametrize("action", ["roll", "revoke"])
def test_an_unknown_key_is_named(run: Run, action: str) -> None:
    done = run("keys", action, "mk_none")

    assert done.returncode == 1
    assert "No key is called mk_none" in done.stderr


def test_a_rolled_key_is_not_rolled_again(run: Run) -> None:
    made = data_of(run, "keys", "create", "--mode", "live")
    data_of(run, "keys", "roll", made["id"], "--expire-in", "0")

    done = run("keys", "roll", made["id"])

    assert made["key"].startswith("sk_live_")
    assert done.returncode == 1
    assert "is expired" in done.stderr


def test_keys_need_a_data_folder(tmp_path: object) -> None:
    done = meterbell("keys", "list", "--data", f"{tmp_path}/none")

    assert done.returncode == 1
    assert "There is no up-to-date database" in done.stderr


def test_webhook_endpoints_from_creation_to_sending_again(run: Run) -> None:
    with WebhookReceiver(status=500) as receiver:
        made = run("webhooks", "create", receiver.url, "--events", "customer.created")
        (endpoint,) = (one["id"] for one in data_of(run, "webhooks", "list")["data"])
        run("customers", "create", "--id", "cus_webhooks")
        receiver.wait_for(1)
        ((event, delivery),) = (
            (one["event"], one["id"])
            for one in data_of(run, "webhooks", "deliveries", endpoint)["data"]
        )
        receiver.status = 200
        again = run("webhooks", "resend", endpoint, event)
        ping = run("webhooks", "ping", endpoint)
        receiver.wait_for(3)
        none = data_of(run, "webhooks", "resend-failed", endpoint, "--since", "1h")
        shown = run("webhooks", "deliveries", endpoint, "--delivery", delivery)
        health = run("webhooks", "get", endpoint)
        off = data_of(run, "webhooks", "disable", endpoint)
        refused = run("webhooks", "resend", endpoint, event)
        on = data_of(run, "webhooks", "enable", endpoint)
        bad = run("webhooks", "resend-failed", endpoint, "--since", "soon")

    assert "whsec_" in made.stdout
    assert delivery in again.stdout
    assert "dlv_" in ping.stdout
    assert none == {"resent": 0}
    assert "status_500" in shown.stdout
    assert "closed" in health.stdout
    assert (off["status"], on["status"]) == ("disabled", "enabled")
    assert (refused.returncode, "Enable it first" in refused.stderr) == (1, True)
    assert (bad.returncode, "no duration" in bad.stderr) == (2, True)


def test_very_many_failed_deliveries_are_sent_again_by_one_command(
    run: Run, server: ServerProcess
) -> None:
    """Their events are missing, so that each fails again at once: that does not go on for ever."""
    endpoint = data_of(run, "webhooks", "create", "http://127.0.0.1:9009/")["id"]
    with closing(sqlite3.connect(server.data / "meterbell.db")) as database, database:
        database.executemany(
            "INSERT INTO delivery (event, endpoint, livemode, created_ms, status, attempts)"
            " VALUES (?, ?, 0, ?, 'failed', 4)",
            [(f"evt_none{number}", endpoint, SystemClock().now_ms()) for number in range(450)],
        )

    assert data_of(run, "webhooks", "resend-failed", endpoint, "--since", "1d") == {"resent": 450}
