"""The main story, through a real server process with the unmodified `stripe` package.

Meter, alert at 100 for any customer, 99 events, the 100th, and everything that must not happen.
"""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import stripe

from tests.support.receiver import WebhookReceiver
from tests.support.server import ServerProcess
from tests.support.waiting import wait_for


class Story:
    """One meter, and a webhook endpoint that is told of triggers.

    Each test has customers and a meter of its own, so nothing depends on another test.
    """

    def __init__(self, server: ServerProcess, receiver: WebhookReceiver, name: str) -> None:
        self.client = server.client
        self.name = name
        self._receiver = receiver
        endpoint = self.client.v1.webhook_endpoints.create(
            {
                "url": f"{receiver.url}/{name}",
                "enabled_events": ["billing.alert.triggered"],
            }
        )
        self.secret = str(endpoint.secret)
        self.meter = self.client.v1.billing.meters.create(
            {
                "display_name": "API requests",
                "event_name": name,
                "default_aggregation": {"formula": "sum"},
                "customer_mapping": {
                    "type": "by_id",
                    "event_payload_key": "stripe_customer_id",
                },
                "value_settings": {"event_payload_key": "value"},
            }
        ).id

    def customer(self, name: str) -> str:
        return self.client.v1.customers.create({"name": name}).id

    def alert(self, gte: int, *, customer: str | None = None) -> stripe.billing.Alert:
        threshold: dict[str, Any] = {"meter": self.meter, "gte": gte, "recurrence": "one_time"}
        if customer is not None:
            threshold["filters"] = [{"type": "customer", "customer": customer}]
        return self.client.v1.billing.alerts.create(
            {
                "alert_type": "usage_threshold",
                "title": f"At {gte}",
                "usage_threshold": threshold,  # type: ignore[typeddict-item]
            }
        )

    def use(self, customer: str, times: int) -> None:
        """Report `times` single events of value 1, several at once."""

        def one(_number: int) -> None:
            self.client.v1.billing.meter_events.create(
                {
                    "event_name": self.name,
                    "payload": {"stripe_customer_id": customer, "value": "1"},
                }
            )

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(one, range(times)))

    def told(self) -> list[stripe.Event]:
        """Return what the endpoint has received, each verified by the SDK."""
        return [
            stripe.Webhook.construct_event(r.body, r.signature, self.secret)
            for r in self._receiver.received
            if r.path.endswith(f"/{self.name}")
        ]

    def settled(self) -> list[stripe.Event]:
        """Return what was received once no delivery is pending any more."""

        def nothing_pending() -> bool:
            events = self.client.v1.events.list({"type": "billing.alert.triggered"})
            return all(event.pending_webhooks == 0 for event in events.data)

        wait_for(nothing_pending, "end of all deliveries")
        return self.told()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("story") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as running:
        yield running


def test_a3_a4_the_hundredth_event_triggers_once_for_each_customer(
    server: ServerProcess, receiver: WebhookReceiver
) -> None:
    story = Story(server, receiver, "hundred")
    first, second = story.customer("first"), story.customer("second")
    alert = story.alert(100)

    story.use(first, 99)
    assert story.settled() == []

    story.use(first, 1)
    (event,) = wait_for(story.told, "webhook")
    fact = event.data.object
    assert event.type == "billing.alert.triggered"
    assert (fact["alert"]["id"], fact["customer"], fact["value"]) == (alert.id, first, 100)
    assert fact["value_decimal"] == "100"
    assert isinstance(fact["value"], int)

    story.use(first, 1000)
    assert len(story.settled()) == 1

    story.use(second, 100)
    wait_for(lambda: len(story.told()) == 2, "second customer's webhook")
    assert story.settled()[1].data.object["customer"] == second


def test_a2_an_alert_created_later_ignores_earlier_usage(
    server: ServerProcess, receiver: WebhookReceiver
) -> None:
    story = Story(server, receiver, "later")
    customer = story.customer("a")
    story.use(customer, 50)
    story.alert(40)

    story.use(customer, 39)
    assert story.settled() == []

    story.use(customer, 1)
    (event,) = wait_for(story.told, "webhook")
    assert event.data.object["value"] == 40


def test_a6_deactivate_activate_and_archive(
    server: ServerProcess, receiver: WebhookReceiver
) -> None:
    story = Story(server, receiver, "lifecycle")
    customer = story.customer("a")
    alerts = story.client.v1.billing.alerts
    paused, archived = story.alert(5), story.alert(6)
    assert alerts.deactivate(paused.id).status == "inactive"
    assert alerts.archive(archived.id).status == "archived"

    story.use(customer, 10)
    assert story.settled() == []

    assert alerts.activate(paused.id).status == "active"
    assert story.settled() == []
    story.use(customer, 1)
    (event,) = wait_for(story.told, "webhook")
    assert event.data.object["alert"]["id"] == paused.id
    assert event.data.object["value"] == 11
    assert [a.id for a in alerts.list({"meter": story.meter})] == [paused.id]
    assert alerts.retrieve(archived.id).status == "archived"
    with pytest.raises(stripe.InvalidRequestError, match="archived"):
        alerts.activate(archived.id)


def test_a7_the_26th_alert_of_a_scope_is_refused(
    server: ServerProcess, receiver: WebhookReceiver
) -> None:
    story = Story(server, receiver, "limit")
    customer = story.customer("a")
    made = [story.alert(number) for number in range(1, 26)]
    story.client.v1.billing.alerts.deactivate(made[0].id)

    with pytest.raises(stripe.InvalidRequestError, match="25"):
        story.alert(26)

    story.alert(26, customer=customer)
    story.client.v1.billing.alerts.archive(made[0].id)
    story.alert(27)


def test_c2_a_repeated_identifier_is_refused_and_a_repeated_request_replayed(
    server: ServerProcess, receiver: WebhookReceiver
) -> None:
    story = Story(server, receiver, "repeat")
    customer = story.customer("a")
    usage: Any = {
        "event_name": "repeat",
        "identifier": "once",
        "payload": {"stripe_customer_id": customer, "value": "7"},
    }
    create = story.client.v1.billing.meter_events.create
    first = create(usage, {"idempotency_key": "key-1"})

    again = create(usage, {"idempotency_key": "key-1"})
    with pytest.raises(stripe.InvalidRequestError, match="already exists with identifier once"):
        create(usage, {"idempotency_key": "key-2"})
    with pytest.raises(stripe.IdempotencyError):
        create(usage | {"identifier": "other"}, {"idempotency_key": "key-1"})

    assert again.to_dict() == first.to_dict()
    summaries = story.client.v1.billing.meters.event_summaries.list(
        story.meter, {"customer": customer, "start_time": 0, "end_time": 4_070_908_800}
    )
    assert [s.aggregated_value for s in summaries.data] == [7]


def test_c3_a_million_tenths_would_be_exact_so_ten_are_one(
    server: ServerProcess, receiver: WebhookReceiver
) -> None:
    story = Story(server, receiver, "tenths")
    customer = story.customer("a")
    story.alert(1)
    for number in range(10):
        assert story.settled() == [], f"after {number} tenths"
        story.client.v1.billing.meter_events.create(
            {
                "event_name": "tenths",
                "payload": {"stripe_customer_id": customer, "value": "0.1"},
            }
        )

    (event,) = wait_for(story.told, "webhook")
    assert event.data.object["value_decimal"] == "1"


def test_the_sdk_pages_through_lists_by_itself(
    server: ServerProcess, receiver: WebhookReceiver
) -> None:
    story = Story(server, receiver, "pages")
    for number in range(7):
        story.alert(number + 1)

    listed = list(
        story.client.v1.billing.alerts.list({"meter": story.meter, "limit": 3}).auto_paging_iter()
    )

    assert [a.usage_threshold.gte for a in listed if a.usage_threshold] == [7, 6, 5, 4, 3, 2, 1]


def test_everything_survives_a_restart(
    tmp_path: Path,
) -> None:
    with WebhookReceiver() as receiver, ServerProcess(tmp_path / "data") as server:
        story = Story(server, receiver, "restart")
        customer = story.customer("a")
        story.alert(10)
        story.use(customer, 9)
        server.restart()
        assert story.settled() == []

        story.use(customer, 1)
        (event,) = wait_for(story.told, "webhook")
        server.restart()
        story.use(customer, 20)

        assert [e.id for e in story.settled()] == [event.id]
        assert json.loads(receiver.received[0].body)["data"]["object"]["value"] == 10
