"""Messages of the Stripe CLI."""

import json

import pytest

from meterbell.wire.stripecli import EventAck, WebhookResponse, bare_address, parse_told


def test_what_the_cli_tells_is_understood() -> None:
    ack = {"type": "event_ack", "event_id": "evt_1", "webhook_conversation_id": "w1"}
    response = {
        "type": "webhook_response",
        "webhook_id": "we_listener",
        "notification_id": "evt_1",
        "forward_url": "http://localhost:1/",
        "status": 500,
        "http_headers": {"A": "b"},
        "body": "no",
        "request_body": "{}",
    }

    assert parse_told(json.dumps(ack)) == EventAck("evt_1", "w1")
    assert parse_told(json.dumps(response).encode()) == WebhookResponse(
        "http://localhost:1/", 500, "", "evt_1", "no"
    )


@pytest.mark.parametrize(
    "message",
    [
        "",
        "{",
        "[]",
        "null",
        '{"type": "something_new"}',
        '{"event_id": "evt_1"}',
        '{"type": "event_ack"}',
        '{"type": "event_ack", "event_id": 1}',
        '{"type": "webhook_response", "status": "200", "forward_url": "x"}',
        b"\xff\xfe",
    ],
)
def test_what_is_of_no_interest_is_ignored(message: str | bytes) -> None:
    assert parse_told(message) is None


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("4242", "4242"),
        ("localhost:3000/hook", "localhost:3000/hook"),
        ("http://localhost:3000/hook?token=x#y", "http://localhost:3000/hook"),
        ("https://me:secret@host/hook", "https://host/hook"),
        ("me:secret@host/hook", "host/hook"),
        ("http://host/a@b", "http://host/a@b"),
    ],
)
def test_addresses_are_kept_without_what_may_be_secret(given: str, shown: str) -> None:
    assert bare_address(given) == shown
