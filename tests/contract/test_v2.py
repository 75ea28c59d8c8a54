"""The v2 API with the unmodified `stripe` package against a real server process."""

from collections.abc import Iterator

import pytest
import stripe

from tests.support.server import ServerProcess


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("v2") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def client(server: ServerProcess) -> stripe.StripeClient:
    return server.client


@pytest.fixture(scope="module")
def customer(client: stripe.StripeClient) -> str:
    return client.v1.customers.create({}).id


@pytest.fixture(scope="module")
def meter(client: stripe.StripeClient) -> str:
    return new_meter(client, "requests")


def new_meter(client: stripe.StripeClient, name: str) -> str:
    return client.v1.billing.meters.create(
        {
            "display_name": name,
            "event_name": name,
            "default_aggregation": {"formula": "sum"},
        }
    ).id


def total(client: stripe.StripeClient, meter: str, customer: str) -> float:
    """Return all usage of a customer."""
    summaries = client.v1.billing.meters.event_summaries.list(
        meter, {"customer": customer, "start_time": 0, "end_time": 4070908800}
    )
    return sum(summary.aggregated_value for summary in summaries.data)


def test_usage_is_counted_and_given_back(
    client: stripe.StripeClient, meter: str, customer: str
) -> None:
    before = total(client, meter, customer)

    event = client.v2.billing.meter_events.create(
        {
            "event_name": "requests",
            "identifier": "first",
            "payload": {"stripe_customer_id": customer, "value": "2.5"},
        }
    )

    assert event.object == "v2.billing.meter_event"
    assert event.identifier == "first"
    assert event.payload["value"] == "2.5"
    assert total(client, meter, customer) == before + 2.5
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v2.billing.meter_events.create(
            {
                "event_name": "requests",
                "identifier": "first",
                "payload": {"stripe_customer_id": customer, "value": "2.5"},
            }
        )
    assert caught.value.code == "duplicate_meter_event"
