"""The official Stripe CLI, unmodified, against a running server. Issue: it must lose nothing."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import stripe

from tests.support.receiver import WebhookReceiver
from tests.support.server import ServerProcess
from tests.support.stripe_cli import StripeCli
from tests.support.waiting import wait_for

EVENTS = 200
RESET = 'msg="Resetting the connection"'
METER = (
    *("--display-name", "Tokens", "--event-name", "tok", "--default-aggregation.formula", "sum"),
    *("--customer-mapping.type", "by_id"),
    *("--customer-mapping.event-payload-key", "stripe_customer_id"),
    *("--value-settings.event-payload-key", "value"),
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server of one test's own, to which the CLI connects anew every two seconds."""
    socket = ["--unix-socket", str(tmp_path / "s")]
    module = "tests.support.quick_resets"
    with ServerProcess(tmp_path / "data", arguments=socket, module=module) as running:
        yield running


def ids(receiver: WebhookReceiver, event_type: str) -> list[str]:
    """Return the objects that events of a type told of, in order of arrival."""
    told = [json.loads(request.body) for request in receiver.received]
    return [event["data"]["object"]["id"] for event in told if event["type"] == event_type]


def create_customers(server: ServerProcess, first: int, last: int) -> None:
    for number in range(first, last):
        server.client.raw_request("post", "/v1/customers", id=f"cus_{number}")


def listeners(server: ServerProcess) -> list[dict[str, Any]]:
    answer = server.client.raw_request("get", "/meterbell/listeners")
    data: list[dict[str, Any]] = json.loads(answer.body)["data"]
    return data


def test_d1_nothing_is_lost_over_resets_and_a_restart(
    server: ServerProcess, tmp_path: Path
) -> None:
    cli = StripeCli(server, tmp_path)
    with (
        WebhookReceiver() as receiver,
        cli.running(
            "listen",
            *("listen", "--log-level", "debug", "--skip-update", "--all-snapshot"),
            *("--forward-to", receiver.url),
        ) as listen,
        cli.running("tail", "logs", "tail", "--filter-status-code-type", "4XX") as tail,
    ):
        secret = cli.run("listen", "--print-secret").strip()
        for resets in range(3):
            create_customers(server, 40 * resets, 40 * (resets + 1))
            listen.wait_for(RESET, resets + 1)
        create_customers(server, 120, 160)
        server.restart()
        with ThreadPoolExecutor() as pool:
            # The CLI asks again only ten seconds after it was refused.
            creating = pool.submit(create_customers, server, 160, EVENTS)
            alert = triggered(cli)
            creating.result()
        received = receiver.wait_for(EVENTS + 3, timeout_seconds=40)
        resend(cli, server, receiver, alert)
        cli.run("get", "/v1/nope")
        tail.wait_for("[404] GET /v1/nope", 1)

    assert sorted(ids(receiver, "customer.created")) == sorted(
        ["cus_ada", *(f"cus_{number}" for number in range(EVENTS))]
    ), "each of them once"
    for request in received:
        stripe.Webhook.construct_event(request.body, request.signature, secret)
    assert "[200]" not in tail.output
    wait_for(
        lambda: {one["status"] for one in listeners(server)} <= {"ended", "away"},
        lambda: f"end of all listeners: {listeners(server)}",
    )


def triggered(cli: StripeCli) -> str:
    """Have an alert triggered with commands of the CLI alone; return the alert's id."""
    meter = json.loads(cli.run("billing", "meters", "create", *METER))
    alert = json.loads(
        cli.run(
            *("billing", "alerts", "create", "--alert-type", "usage_threshold", "--title", "Big"),
            *("--usage-threshold.gte", "100", "--usage-threshold.meter", meter["id"]),
            *("--usage-threshold.recurrence", "one_time"),
        )
    )
    cli.run("customers", "create", "-d", "id=cus_ada")
    cli.run(
        *("billing", "meter_events", "create", "--event-name", "tok"),
        *("-d", "payload[stripe_customer_id]=cus_ada", "-d", "payload[value]=120"),
    )
    return str(alert["id"])


def resend(cli: StripeCli, server: ServerProcess, receiver: WebhookReceiver, alert: str) -> None:
    """Have the triggered alert told once more, and wait for it."""
    (event,) = server.client.v1.events.list({"type": "billing.alert.triggered"}).data
    assert event.data.object["alert"]["id"] == alert
    before = [request for request in receiver.received if event.id.encode() in request.body]
    assert len(before) == 1

    cli.run("events", "resend", event.id)
    receiver.wait_for(EVENTS + 4)

    again = [request for request in receiver.received if event.id.encode() in request.body]
    assert [request.body for request in again] == [before[0].body] * 2


def test_thin_events_and_the_latest_version_through_a_socket_file(
    server: ServerProcess, tmp_path: Path
) -> None:
    cli = StripeCli(server, tmp_path, unix_socket=tmp_path / "s")
    assert (tmp_path / "s").stat().st_mode & 0o777 == 0o600
    with (
        WebhookReceiver() as thin,
        WebhookReceiver() as latest,
        cli.running("thin", "listen", "--skip-update", "--all-thin", "--forward-to", thin.url),
        cli.running(
            "latest",
            *("listen", "--skip-update", "--latest", "--events", "customer.created"),
            *("--forward-to", latest.url),
        ),
    ):
        secret = cli.run("listen", "--print-secret").strip()
        trigger(cli, tmp_path)
        server.client.v2.core.event_destinations.create(
            {
                "name": "Thin",
                "type": "webhook_endpoint",
                "enabled_events": ["*"],
                "event_payload": "thin",
                "webhook_endpoint": {"url": "http://127.0.0.1:9009/"},
            }
        )
        (destination,) = server.client.v2.core.event_destinations.list().data
        ping = server.client.v2.core.event_destinations.ping(destination.id)
        (told,) = thin.wait_for(1)
        (first,) = latest.wait_for(1)

    assert json.loads(told.body)["id"] == ping.id
    server.client.parse_event_notification(told.body, told.signature, secret)
    event = stripe.Webhook.construct_event(first.body, first.signature, secret)
    assert event.type == "customer.created", "and not the meter's, which was filtered"


def trigger(cli: StripeCli, folder: Path) -> None:
    """Make events happen from a fixture, which refers back to what it made."""
    fixture = {
        "_meta": {"template_version": 0},
        "fixtures": [
            {
                "name": "meter",
                "path": "/v1/billing/meters",
                "method": "post",
                "params": {
                    "display_name": "Calls",
                    "event_name": "calls",
                    "default_aggregation": {"formula": "sum"},
                },
            },
            {
                "name": "customer",
                "path": "/v1/customers",
                "method": "post",
                "params": {"name": "${meter:id}"},
            },
        ],
    }
    file = folder / "story.json"
    file.write_text(json.dumps(fixture))
    assert "Trigger succeeded" in cli.run("trigger", str(file))


def test_resource_commands_reach_what_is_served(server: ServerProcess, tmp_path: Path) -> None:
    cli = StripeCli(server, tmp_path)
    meter = json.loads(cli.run("billing", "meters", "create", *METER))["id"]
    cli.run("post", "/v1/customers", "-d", "id=cus_1")

    for command, expected in (
        (["customers", "retrieve", "cus_1"], "cus_1"),
        (["customers", "update", "cus_1", "--name", "Ada"], '"name":"Ada"'),
        (["customers", "list", "--limit", "1"], "cus_1"),
        (["billing", "meters", "update", meter, "--display-name", "Words"], "Words"),
        (["billing", "meters", "deactivate", meter], "inactive"),
        (["billing", "meters", "reactivate", meter], '"active"'),
        (["billing", "meters", "list"], meter),
        (["billing", "alerts", "list"], '"data":[]'),
        (["events", "list", "--limit", "1"], "evt_"),
        (["webhook_endpoints", "list"], '"data":[]'),
        (["get", "/v1/billing/meters", "-d", "limit=1"], meter),
        (["v2", "core", "event_destinations", "list"], '"data":[]'),
        (["customers", "delete", "cus_1", "--confirm"], '"deleted":true'),
    ):
        assert expected in cli.run(*command).replace('": ', '":'), command


def test_what_the_server_refuses_ends_the_cli_at_once(
    server: ServerProcess, tmp_path: Path
) -> None:
    cli = StripeCli(server, tmp_path)

    with pytest.raises(AssertionError, match="there is no filter_ip_address here"):
        cli.run("logs", "tail", "--filter-ip-address", "1.2.3.4")
    with pytest.raises(AssertionError, match="Invalid API Key provided"):
        StripeCli(server, tmp_path, key="sk_test_nobody_knows").run("listen", "--print-secret")
