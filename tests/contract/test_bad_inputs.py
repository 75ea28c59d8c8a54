"""A long list of bad requests: each gets its 4xx, the right param and a message that helps."""

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.bad_inputs import BAD, Bad
from tests.support.server import ServerProcess


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("bad") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def made(server: ServerProcess) -> dict[str, str]:
    """Make one of each object and return their ids."""
    client = server.client.v1
    meter = client.billing.meters.create(
        {
            "display_name": "Requests",
            "event_name": "requests",
            "default_aggregation": {"formula": "sum"},
        }
    ).id

    def alert() -> str:
        return client.billing.alerts.create(
            {
                "alert_type": "usage_threshold",
                "title": "T",
                "usage_threshold": {"meter": meter, "gte": 5, "recurrence": "one_time"},
            }
        ).id

    archived = alert()
    client.billing.alerts.archive(archived)
    endpoint = client.webhook_endpoints.create(
        {"url": "http://127.0.0.1:9009/", "enabled_events": ["*"]}
    )
    return {
        "customer": client.customers.create({}).id,
        "meter": meter,
        "alert": alert(),
        "archived": archived,
        "endpoint": endpoint.id,
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
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    headers |= bad.headers
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
    assert status == bad.status, error
    assert error["type"] in {"invalid_request_error", "idempotency_error"}
    assert len(error["message"]) > 10
    assert fill(bad.words, made).lower() in error["message"].lower()
    if bad.param is not None:
        assert error["param"] == bad.param, error


def test_the_list_is_long_and_has_no_name_twice() -> None:
    assert len(BAD) >= 150
    assert len({bad.name for bad in BAD}) == len(BAD)


def test_the_server_survived_all_of_it(server: ServerProcess, made: dict[str, str]) -> None:
    assert server.client.v1.customers.retrieve(made["customer"]).id == made["customer"]
