"""`meterbell logs`: requests as they come, and those that were kept."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import stripe

from meterbell.cli.logs import _line
from tests.cli.conftest import Run, clean_environment
from tests.support.server import ServerProcess
from tests.support.waiting import wait_for


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().split("\n")[:-1]]


def test_tail_shows_requests_as_they_come_reported_usage_included(
    server: ServerProcess, run: Run, tmp_path: Path
) -> None:
    """And requests that were kept are listed, and found by their ids, afterwards."""
    output, notes = tmp_path / "out", tmp_path / "notes"
    with output.open("wb") as out, notes.open("wb") as err:
        tail = subprocess.Popen(
            [sys.executable, "-m", "meterbell", "logs", "tail", "--json", "--path", "/v1/*"],
            env={**clean_environment(), "METERBELL_DATA": str(server.data)},
            stdout=out,
            stderr=err,
        )
    try:
        wait_for(lambda: "Watching" in notes.read_text(), notes.read_text)
        client = server.client
        client.raw_request("post", "/v1/customers", id="cus_tail")
        client.v1.billing.meters.create(
            {
                "display_name": "Tail",
                "event_name": "tail",
                "default_aggregation": {"formula": "sum"},
            }
        )
        payload = {"stripe_customer_id": "cus_tail", "value": "1"}
        client.v1.billing.meter_events.create({"event_name": "tail", "payload": payload})
        with pytest.raises(stripe.InvalidRequestError) as refused:
            client.v1.customers.retrieve("cus_nope")
        wait_for(lambda: len(lines_of(output)) >= 4, notes.read_text)
    finally:
        tail.send_signal(signal.SIGINT)
        status = tail.wait(20)
    request_id = refused.value.request_id or ""

    shown = [(line["method"], line["path"], line["status"]) for line in lines_of(output)]
    assert status == 130
    assert shown == [
        ("POST", "/v1/customers", 200),
        ("POST", "/v1/billing/meters", 200),
        ("POST", "/v1/billing/meter_events", 200),
        ("GET", "/v1/customers/cus_nope", 404),
    ]
    assert lines_of(output)[3]["id"] == request_id
    assert "more requests" not in notes.read_text()
    found = run("logs", "get", request_id, "--json").stdout
    assert json.loads(found)["error"]["message"] == "No such customer: 'cus_nope'"
    listed = run("logs", "list", "--status", "4xx", "--path", "/v1/customers/*").stdout
    assert "resource_missing" in listed
    assert request_id in listed
    assert "/v1/billing/meter_events" not in run("logs", "list").stdout


def test_an_unknown_request_is_refused_with_what_the_log_keeps(run: Run) -> None:
    done = run("logs", "get", "req_nope")

    assert done.returncode == 1
    assert "keeps requests of this mode for 30 days" in done.stderr


def test_a_request_is_one_line_and_what_was_wrong_another() -> None:
    entry = {
        "id": "req_1",
        "created": 1_767_225_600,
        "method": "GET",
        "path": "/v1/customers",
        "status": 429,
        "duration_us": 1234,
        "error": {"message": "Too many [requests]."},
        "skipped": 7,
    }

    first, *others = _line(entry).split("\n")

    assert "429[/]  GET /v1/customers  [dim]1.2 ms  req_1[/]" in first
    assert [line.strip() for line in others] == [
        "Too many \\[requests].",
        "[dim]7 more before it are not in the log.[/]",
    ]
    assert "\n" not in _line({**entry, "status": 200, "error": None, "skipped": 0})
