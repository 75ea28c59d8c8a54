"""The v2 API with the unmodified `stripe` package against a real server process."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import stripe

from meterbell.api.v2.sessions import Claims, read_token, sign
from meterbell.store import tables
from meterbell.store.sealing import SESSION_KEY, row
from tests.support.receiver import Received, WebhookReceiver
from tests.support.server import ServerProcess, client
from tests.support.vault import vault_of
from tests.support.waiting import wait_for

ERRORS = "v1.billing.meter.error_report_triggered"
NO_METER = "v1.billing.meter.no_meter_found"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("v2") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def sdk(server: ServerProcess) -> stripe.StripeClient:
    return server.client


@pytest.fixture(scope="module")
def customer(sdk: stripe.StripeClient) -> str:
    return sdk.v1.customers.create({}).id


def new_meter(sdk: stripe.StripeClient, name: str) -> str:
    return sdk.v1.billing.meters.create(
        {"display_name": name, "event_name": name, "default_aggregation": {"formula": "sum"}}
    ).id


def total(sdk: stripe.StripeClient, meter: str, customer: str) -> float:
    """Return all usage of a customer."""
    summaries = sdk.v1.billing.meters.event_summaries.list(
        meter, {"customer": customer, "start_time": 0, "end_time": 4070908800}
    )
    return sum(summary.aggregated_value for summary in summaries.data)


def usage(name: str, customer: str, value: str = "1", **more: Any) -> Any:  # noqa: ANN401
    return {
        "event_name": name,
        "payload": {"stripe_customer_id": customer, "value": value},
        **more,
    }


def stream(server: ServerProcess, token: str, events: list[Any], **options: str) -> None:
    """Send a stream request as Stripe's guide does: a client of its own for the token."""
    client(server.url, token).v2.billing.meter_event_stream.create({"events": events}, options)  # type: ignore[arg-type]


def open_session(server: ServerProcess) -> str:
    return server.client.v2.billing.meter_event_session.create().authentication_token


def thin_events(sdk: stripe.StripeClient, **filters: Any) -> list[Any]:  # noqa: ANN401
    return list(sdk.v2.core.events.list(filters).data)  # type: ignore[arg-type]


def wait_for_event(sdk: stripe.StripeClient, **filters: Any) -> Any:  # noqa: ANN401
    def look() -> Any:  # noqa: ANN401
        found = thin_events(sdk, **filters)
        return found[0] if found else None

    return wait_for(look, f"a thin event {filters}", timeout_seconds=30)


def test_usage_is_counted_and_given_back(sdk: stripe.StripeClient, customer: str) -> None:
    meter = new_meter(sdk, "single")

    event = sdk.v2.billing.meter_events.create(usage("single", customer, "2.5", identifier="first"))

    assert event.object == "v2.billing.meter_event"
    assert event.identifier == "first"
    assert event.payload["value"] == "2.5"
    assert total(sdk, meter, customer) == 2.5
    with pytest.raises(stripe.InvalidRequestError) as caught:
        sdk.v2.billing.meter_events.create(usage("single", customer, identifier="first"))
    assert caught.value.code == "duplicate_meter_event"


def test_c2_a_repeated_request_counts_once_and_gets_the_first_answer(
    sdk: stripe.StripeClient, customer: str
) -> None:
    meter = new_meter(sdk, "repeated")
    options: Any = {"idempotency_key": "once"}

    first = sdk.v2.billing.meter_events.create(usage("repeated", customer), options)
    second = sdk.v2.billing.meter_events.create(usage("repeated", customer), options)

    assert first.identifier == second.identifier
    assert total(sdk, meter, customer) == 1
    with pytest.raises(stripe.IdempotencyError):
        sdk.v2.billing.meter_events.create(usage("repeated", customer, "2"), options)


def test_a_cancelled_event_counts_no_more(sdk: stripe.StripeClient, customer: str) -> None:
    meter = new_meter(sdk, "cancelled")
    sdk.v2.billing.meter_events.create(usage("cancelled", customer, identifier="wrong"))

    adjustment = sdk.v2.billing.meter_event_adjustments.create(
        {"event_name": "cancelled", "type": "cancel", "cancel": {"identifier": "wrong"}}
    )

    assert adjustment.status == "complete"
    assert adjustment.cancel.identifier == "wrong"
    assert total(sdk, meter, customer) == 0
    with pytest.raises(stripe.InvalidRequestError) as caught:
        sdk.v2.billing.meter_event_adjustments.create(
            {"event_name": "cancelled", "type": "cancel", "cancel": {"identifier": "wrong"}}
        )
    assert caught.value.code == "invalid_cancel_configuration"


def test_a_stream_of_a_hundred_events_is_counted(
    server: ServerProcess, sdk: stripe.StripeClient, customer: str
) -> None:
    meter = new_meter(sdk, "hundred")
    session = sdk.v2.billing.meter_event_session.create()

    stream(server, session.authentication_token, [usage("hundred", customer)] * 100)

    assert total(sdk, meter, customer) == 100
    with pytest.raises(stripe.InvalidRequestError, match="at most 100 meter events"):
        stream(server, session.authentication_token, [usage("hundred", customer)] * 101)


def test_c2_a_retried_stream_counts_once_and_is_no_error(
    server: ServerProcess, sdk: stripe.StripeClient, customer: str
) -> None:
    meter = new_meter(sdk, "retried")
    token = open_session(server)
    events = [usage("retried", customer) for _ in range(3)]

    for _ in range(2):
        stream(server, token, events, idempotency_key="stream")
    stream(server, token, events, idempotency_key="another stream")

    assert total(sdk, meter, customer) == 6
    assert open_windows(server.data, meter) == 0


def open_windows(data: Path, meter: str) -> int:
    """Return how many errors of a meter wait to be reported."""
    with closing(sqlite3.connect(f"file:{data}/meterbell.db?mode=ro", uri=True)) as connection:
        rows = connection.execute("SELECT count(*) FROM error_window WHERE meter = ?", (meter,))
        return int(rows.fetchone()[0])


def secret_of(data: Path) -> str:
    """Return what an installation signs its tokens with."""
    with closing(sqlite3.connect(f"file:{data}/meterbell.db?mode=ro", uri=True)) as connection:
        rows = connection.execute("SELECT value FROM meta WHERE key = ?", (SESSION_KEY,))
        return vault_of(data).open(rows.fetchone()[0], about=row(tables.meta, SESSION_KEY))


def test_an_expired_session_is_replaced_as_the_guide_says(
    server: ServerProcess, sdk: stripe.StripeClient, customer: str
) -> None:
    meter = new_meter(sdk, "expiring")
    token = open_session(server)
    secret = secret_of(server.data)
    claims = read_token(token, secret=secret)
    assert claims is not None
    assert 14 * 60 < claims.expires_at_ms / 1000 - now() <= 15 * 60
    expired = sign(Claims(claims.livemode, int(now() * 1000) - 1, claims.key_id), secret=secret)

    with pytest.raises(stripe.TemporarySessionExpiredError) as caught:
        stream(server, expired, [usage("expiring", customer)])
    stream(server, open_session(server), [usage("expiring", customer)])

    assert caught.value.http_status == 401
    assert caught.value.error is not None
    assert caught.value.error.code == "billing_meter_event_session_expired"
    assert total(sdk, meter, customer) == 1


def now() -> float:
    return time.time()  # noqa: TID251 - the client's own clock


def test_a_session_lives_through_a_restart(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data") as server:
        meter = new_meter(server.client, "requests")
        customer = server.client.v1.customers.create({}).id
        token = open_session(server)
        server.restart()

        stream(server, token, [usage("requests", customer)])

        assert total(server.client, meter, customer) == 1


@pytest.mark.parametrize("token", ["sk_test_meterbell0000000000000000", "mes_tok_x.y", "x"])
def test_a_stream_takes_only_tokens(server: ServerProcess, customer: str, token: str) -> None:
    with pytest.raises(stripe.AuthenticationError):
        stream(server, token, [usage("single", customer)])


def test_a_token_is_no_api_key(server: ServerProcess) -> None:
    with pytest.raises(stripe.AuthenticationError):
        client(server.url, open_session(server)).v1.customers.list()


def test_half_a_batch_is_committed_and_its_duplicates_are_reported(
    server: ServerProcess, sdk: stripe.StripeClient, customer: str
) -> None:
    meter = new_meter(sdk, "half")
    token = open_session(server)
    known = [usage("half", customer, identifier=f"half-{n}") for n in range(50)]
    stream(server, token, known)

    stream(
        server,
        token,
        [*known, *(usage("half", customer, identifier=f"half-{n}") for n in range(50, 100))],
    )

    assert total(sdk, meter, customer) == 100
    event = wait_for_event(sdk, types=[ERRORS], object_id=meter)
    assert event.data.reason.error_count == 50
    (kind,) = event.data.reason.error_types
    assert (kind.code, kind.error_count) == ("duplicate_meter_event", 50)
    assert [sample.request.identifier for sample in kind.sample_errors] == [
        f"half-{n}" for n in range(10)
    ]


def destination(
    sdk: stripe.StripeClient, url: str, payload: str = "thin", events: list[str] | None = None
) -> Any:  # noqa: ANN401
    return sdk.v2.core.event_destinations.create(
        {
            "name": "Errors",
            "type": "webhook_endpoint",
            "event_payload": payload,  # type: ignore[typeddict-item]
            "enabled_events": events or [ERRORS, NO_METER],
            "webhook_endpoint": {"url": url},
            "include": ["webhook_endpoint.signing_secret"],
        }
    )


def notifications(
    sdk: stripe.StripeClient, secret: str, received: list[Received]
) -> list[stripe.v2.core.EventNotification]:
    return [sdk.parse_event_notification(one.body, one.signature, secret) for one in received]


def test_errors_arrive_at_a_thin_destination(
    server: ServerProcess, sdk: stripe.StripeClient, customer: str
) -> None:
    meter = new_meter(sdk, "reported")
    with WebhookReceiver() as receiver:
        made = destination(sdk, receiver.url)
        token = open_session(server)
        stream(
            server,
            token,
            [
                usage("reported", customer, identifier="good"),
                usage("reported", "cus_unknown", identifier="nobody"),
                usage("reported", customer, "many", identifier="many"),
                usage("nowhere", customer, identifier="lost"),
            ],
        )

        told = notifications(sdk, made.webhook_endpoint.signing_secret, receiver.wait_for(2))
        sdk.v2.core.event_destinations.delete(made.id)

    by_type: dict[str, Any] = {notification.type: notification for notification in told}
    assert set(by_type) == {ERRORS, NO_METER}
    assert total(sdk, meter, customer) == 1
    report = by_type[ERRORS]
    assert isinstance(report, stripe.events.V1BillingMeterErrorReportTriggeredEventNotification)
    assert report.fetch_related_object().id == meter
    event = report.fetch_event()
    assert event.data.developer_message_summary == "There are 2 invalid events"
    assert {kind.code for kind in event.data.reason.error_types} == {
        "meter_event_customer_not_found",
        "meter_event_invalid_value",
    }
    assert event.fetch_related_object().id == meter
    lost = by_type[NO_METER].fetch_event()
    (kind,) = lost.data.reason.error_types
    assert kind.code == "no_meter"
    assert kind.sample_errors[0].request.identifier == "lost"
    assert kind.sample_errors[0].error_message == (
        "No meter was found matching event_name nowhere."
    )
    for one in receiver.received:
        assert b'"data"' not in one.body
        assert b'"changes"' not in one.body


def test_a_snapshot_destination_receives_the_events_of_v1(sdk: stripe.StripeClient) -> None:
    with WebhookReceiver() as receiver:
        made = destination(sdk, receiver.url, "snapshot", ["billing.meter.created"])

        meter = new_meter(sdk, "snapshot")

        (one,) = receiver.wait_for(1)
        event = sdk.construct_event(one.body, one.signature, made.webhook_endpoint.signing_secret)
        sdk.v2.core.event_destinations.delete(made.id)
    assert event.type == "billing.meter.created"
    assert event.data.object["id"] == meter


def test_a_ping_arrives_and_leads_to_its_destination(sdk: stripe.StripeClient) -> None:
    with WebhookReceiver() as receiver:
        made = destination(sdk, receiver.url)

        event = sdk.v2.core.event_destinations.ping(made.id)

        (notification,) = notifications(
            sdk, made.webhook_endpoint.signing_secret, receiver.wait_for(1)
        )
        assert notification.id == event.id
        assert notification.type == "v2.core.event_destination.ping"
        assert notification.reason is not None
        assert notification.fetch_related_object().id == made.id  # type: ignore[attr-defined]
        sdk.v2.core.event_destinations.delete(made.id)


def test_a_destination_is_changed_disabled_enabled_and_deleted(sdk: stripe.StripeClient) -> None:
    service = sdk.v2.core.event_destinations
    made = destination(sdk, "http://127.0.0.1:9009/hook")
    assert made.webhook_endpoint.url is None
    assert made.webhook_endpoint.signing_secret.startswith("whsec_")

    changed = service.update(
        made.id,
        {
            "name": "Others",
            "metadata": {"tier": "gold"},
            "webhook_endpoint": {"url": "http://127.0.0.1:9009/other"},
            "include": ["webhook_endpoint.url"],
        },
    )
    assert changed.name == "Others"
    assert changed.webhook_endpoint is not None
    assert changed.webhook_endpoint.url == "http://127.0.0.1:9009/other"
    emptied = service.update(made.id, {"metadata": {"tier": None}}).metadata
    assert emptied is not None
    assert emptied.to_dict() == {}
    disabled = service.disable(made.id)
    assert (disabled.status, disabled.status_details is None) == ("disabled", False)
    with pytest.raises(stripe.InvalidRequestError, match="is disabled"):
        service.ping(made.id)
    assert service.enable(made.id).status == "enabled"
    found = service.retrieve(made.id)
    assert found.webhook_endpoint is not None
    assert found.webhook_endpoint.signing_secret is None
    assert made.id in [one.id for one in service.list().auto_paging_iter()]
    assert service.delete(made.id).id == made.id
    with pytest.raises(stripe.InvalidRequestError) as caught:
        service.retrieve(made.id)
    assert (caught.value.http_status, caught.value.code) == (404, "not_found")


def test_pages_of_events_follow_each_other(sdk: stripe.StripeClient) -> None:
    made = destination(sdk, "http://127.0.0.1:9009/hook")
    sent = [sdk.v2.core.event_destinations.ping(made.id).id for _ in range(5)]

    first = sdk.v2.core.events.list({"object_id": made.id, "limit": 2})

    assert [event.id for event in first.auto_paging_iter()] == sent[::-1]
    sdk.v2.core.event_destinations.delete(made.id)
