"""A long list of bad v2 requests: each gets its 4xx in the v2 shape and a message that helps."""

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.bad_inputs_v2 import BAD, Bad
from tests.support.server import ServerProcess

TYPES = {"idempotency_error", "temporary_session_expired"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("bad") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def made(server: ServerProcess) -> dict[str, str]:
    """Make what the requests refer to and return ids and a token."""
    client = server.client
    meters = [
        client.v1.billing.meters.create(
            {
                "display_name": name,
                "event_name": name,
                "default_aggregation": {"formula": "sum"},
            }
        ).id
        for name in ("requests", "archived")
    ]
    client.v1.billing.meters.deactivate(meters[1])
    customer = client.v1.customers.create({}).id
    client.v2.billing.meter_events.create(
        {
            "event_name": "requests",
            "identifier": "known",
            "payload": {"stripe_customer_id": customer, "value": "1"},
        }
    )
    destination = client.v2.core.event_destinations.create(
        {
            "name": "D",
            "type": "webhook_endpoint",
            "event_payload": "thin",
            "enabled_events": ["*"],
            "webhook_endpoint": {"url": "http://127.0.0.1:9009/"},
        }
    )
    hook = client.v1.webhook_endpoints.create(
        {"url": "http://127.0.0.1:9009/", "enabled_events": ["*"]}
    )
    return {
        "customer": customer,
        "meter": meters[0],
        "destination": destination.id,
        "hook": hook.id,
        "token": client.v2.billing.meter_event_session.create().authentication_token,
    }


def fill(text: str, made: dict[str, str]) -> str:
    for name, object_id in made.items():
        text = text.replace("{" + name + "}", object_id)
    return text


def send(server: ServerProcess, bad: Bad, made: dict[str, str]) -> tuple[int, dict[str, Any]]:
    """Send a request as written; return status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    headers = {"Authorization": f"Bearer {server.key}"}
    if bad.method == "POST":
        headers["Content-Type"] = "application/json"
    headers |= {name: fill(text, made) for name, text in bad.headers.items()}
    if not headers["Authorization"]:
        del headers["Authorization"]
    body = fill(bad.body, made).encode() if isinstance(bad.body, str) else bad.body
    try:
        connection.request(bad.method, fill(bad.path, made), body or None, headers)
        answer = connection.getresponse()
        assert answer.headers["Request-Id"].startswith("req_")
        assert answer.headers["Content-Type"].startswith("application/json")
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


@pytest.mark.parametrize("bad", BAD, ids=[bad.name for bad in BAD])
def test_bad_input_is_refused_with_a_helpful_message(
    server: ServerProcess, made: dict[str, str], bad: Bad
) -> None:
    status, body = send(server, bad, made)

    error = body["error"]
    assert (status, error["code"]) == (bad.status, bad.code), error
    if bad.path.startswith("/v2/"):
        assert error.get("type", "idempotency_error") in TYPES
    assert len(error["message"]) > 10
    assert fill(bad.words, made).lower() in error["message"].lower()
    if bad.param is not None:
        assert error["param"] == bad.param, error


def test_the_list_is_long_and_has_no_name_twice() -> None:
    assert len(BAD) >= 100
    assert len({bad.name for bad in BAD}) == len(BAD)


def test_the_server_survived_all_of_it(server: ServerProcess, made: dict[str, str]) -> None:
    assert server.client.v1.customers.retrieve(made["customer"]).id == made["customer"]
