"""A notice that is in flight when the server ends, in either way, is sent after the next start."""

import json
import threading
from pathlib import Path

import pytest

from tests.support.receiver import Received, Reply, WebhookReceiver
from tests.support.server import ServerProcess


def triggering(server: ServerProcess, url: str) -> None:
    """Make a channel, and let an alert trigger."""
    client = server.client
    body = "{event.id} {customer.id} {value}"
    client.raw_request("post", "/v1/notification_channels", name="Chat", url=url, body=body)
    client.raw_request("post", "/v1/customers", id="cus_1")
    meter = client.v1.billing.meters.create(
        {"display_name": "x", "event_name": "x", "default_aggregation": {"formula": "sum"}}
    )
    client.v1.billing.alerts.create(
        {
            "alert_type": "usage_threshold",
            "title": "Used up",
            "usage_threshold": {"meter": meter.id, "gte": 2, "recurrence": "one_time"},
        }
    )
    payload = {"stripe_customer_id": "cus_1", "value": "3"}
    client.v1.billing.meter_events.create({"event_name": "x", "payload": payload})


@pytest.mark.deep
@pytest.mark.parametrize("end", ["kill", "stop"])
def test_d1_a_notice_in_flight_when_the_server_ends_is_sent_after_the_next_start(
    tmp_path: Path, end: str
) -> None:
    is_over = threading.Event()

    def respond(_request: Received) -> Reply:
        assert is_over.wait(60)
        return Reply()

    with ServerProcess(tmp_path / "data") as server, WebhookReceiver() as chat:
        chat.respond = respond
        triggering(server, f"json://{chat.url.split('/')[2]}/PlantedToken")
        chat.wait_for(1)
        getattr(server, end)()
        is_over.set()
        server.start()
        first, again = (json.loads(one.body)["message"] for one in chat.wait_for(2))

        assert server.stop() == 0

    assert first == again
    assert first.endswith("cus_1 3")
    assert "PlantedToken" not in server.output
    assert len(chat.received) == 2
