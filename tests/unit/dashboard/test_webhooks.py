"""Pages about webhooks: what they say, what their buttons do, and what they keep to themselves."""

import re

import pytest

from meterbell.records import (
    AuditEntry,
    Delivery,
    Event,
    ThinEvent,
    WebhookEndpoint,
)
from meterbell.store.endpoint_secrets import secrets_of
from tests.builders import NOW
from tests.support.vault import TEST_VAULT
from tests.unit.api.running import Api
from tests.unit.dashboard.hooks import HARM, LIST, URL, attempt, endpoint_of
from tests.unit.dashboard.visiting import Visitor

SECRET = re.compile(r"whsec_\w+")
NOW_MS = NOW * 1000


def form(**changes: str) -> dict[str, str]:
    """Return what a browser sends for a new endpoint that listens to triggers."""
    filled = {"url": URL, "description": "Ours", "events": "chosen"}
    return filled | {"enabled_events[]": "billing.alert.triggered"} | changes


async def destination_of(api: Api) -> str:
    """Make an event destination with thin payloads and return its id."""
    body = {
        "name": "Thin",
        "type": "webhook_endpoint",
        "event_payload": "thin",
        "enabled_events": ["v1.billing.meter.no_meter_found"],
        "webhook_endpoint": {"url": URL},
    }
    return str((await api.json("/v2/core/event_destinations", body)).body["id"])


def stored(api: Api, endpoint: str) -> WebhookEndpoint:
    """Return an endpoint as it is stored."""
    found = api.services.store.reader.get(WebhookEndpoint, endpoint, livemode=False)
    assert found is not None
    return found


def secrets(api: Api, endpoint: str) -> list[str]:
    """Return what an endpoint's events are signed with."""
    now_ms = api.clock.now_ms()
    return list(secrets_of(TEST_VAULT, stored(api, endpoint), now_ms=now_ms))


def audit(api: Api) -> list[tuple[str, str | None]]:
    """Return what was changed, and of what."""
    found = api.services.store.reader.find(AuditEntry)
    return [(entry.action, entry.object) for entry in found]


async def test_an_endpoint_is_added_and_its_secret_shown_once(api: Api, editor: Visitor) -> None:
    shown = await editor.post(f"{LIST}/new", form())

    (endpoint,) = api.services.store.reader.find(WebhookEndpoint)
    (secret,) = secrets(api, endpoint.id)
    assert shown.status == 200
    assert set(SECRET.findall(shown.text)) == {secret}
    assert (endpoint.url, endpoint.description, endpoint.livemode) == (URL, "Ours", False)
    assert endpoint.enabled_events == ["billing.alert.triggered"]
    for page in (LIST, f"{LIST}/{endpoint.id}", f"{LIST}/{endpoint.id}/edit"):
        assert secret not in (await editor.get(page)).text
    assert audit(api) == [("webhook_endpoint.create", endpoint.id)]
    assert secret not in repr(api.services.store.reader.find(AuditEntry))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"url": " "}, "Say where events are posted"),
        ({"url": "nonsense"}, "Invalid URL: "),
        ({"enabled_events[]": "no.such"}, "no.such is no type of event"),
        ({"enabled_events[]": ""}, "enabled_events"),
        ({"description": "x" * 5001}, "at most 5000 characters"),
    ],
)
async def test_what_is_wrong_with_an_endpoint_is_told_and_nothing_is_lost(
    api: Api, editor: Visitor, changes: dict[str, str], problem: str
) -> None:
    shown = await editor.post(f"{LIST}/new", form(**changes))

    assert shown.status == 400
    assert problem in shown.words
    assert f'value="{form(**changes)["url"]}"' in shown.text
    assert audit(api) == []


async def test_an_endpoint_without_events_is_asked_for_some(api: Api, editor: Visitor) -> None:
    shown = await editor.post(f"{LIST}/new", {"url": URL, "events": "chosen"})

    assert (shown.status, audit(api)) == (400, [])
    assert "Choose at least one event" in shown.words


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://mixed.example/hook", "10.0.0.1"),  # its name has this address too
        ("http://169.254.169.254/latest/meta-data", "169.254.169.254"),
    ],
)
async def test_d4_the_egress_policy_sees_where_a_name_leads_for_pages_too(
    api: Api, editor: Visitor, url: str, reason: str
) -> None:
    endpoint = await endpoint_of(api)

    added = await editor.post(f"{LIST}/new", form(url=url))
    changed = await editor.post(f"{LIST}/{endpoint}/edit", form(url=url))

    for shown in (added, changed):
        assert shown.status == 400
        assert "Invalid URL" in shown.words
        assert reason in shown.words
        assert f'value="{url}"' in shown.text
    assert [one.url for one in api.services.store.reader.find(WebhookEndpoint)] == [URL]
    assert audit(api) == []


async def test_d4_the_policy_is_the_same_for_destinations(api: Api, editor: Visitor) -> None:
    endpoint = await destination_of(api)
    changes = {"url": "https://mixed.example/", "events": "all"}

    shown = await editor.post(f"{LIST}/{endpoint}/edit", changes)

    assert shown.status == 400
    assert "10.0.0.1" in shown.words
    assert stored(api, endpoint).url == URL


@pytest.mark.parametrize("kind", ["endpoint", "destination"])
async def test_an_endpoint_is_changed_switched_and_deleted(
    api: Api, editor: Visitor, kind: str
) -> None:
    endpoint = await (endpoint_of(api) if kind == "endpoint" else destination_of(api))
    place = f"{LIST}/{endpoint}"
    changes = {"url": f"{URL}/2", "events": "all", "description": ""}

    done = [await editor.post(f"{place}/edit", changes)]
    after = stored(api, endpoint)
    done += [await editor.post(f"{place}/disable")]
    disabled = await editor.get(place)
    done += [await editor.post(f"{place}/enable"), await editor.post(f"{place}/delete")]

    assert (after.url, after.enabled_events, after.description) == (f"{URL}/2", ["*"], None)
    assert "Disabled Somebody disabled it." in disabled.words
    assert [shown.headers["location"].rpartition("=")[2] for shown in done] == [
        "webhook_changed",
        "webhook_disabled",
        "webhook_enabled",
        "webhook_deleted",
    ]
    assert api.services.store.reader.find(WebhookEndpoint) == []
    verbs = ("update", "disable", "enable", "delete")
    assert audit(api) == [(f"webhook_endpoint.{verb}", endpoint) for verb in verbs]
    assert (await editor.get(place)).status == 404


@pytest.mark.parametrize("kind", ["endpoint", "destination"])
async def test_d5_a_rolled_secret_shows_once_and_both_sign_for_a_while(
    api: Api, editor: Visitor, kind: str
) -> None:
    endpoint = await (endpoint_of(api) if kind == "endpoint" else destination_of(api))
    (old,) = secrets(api, endpoint)

    shown = await editor.post(f"{LIST}/{endpoint}/secret", {"expire_in": "3600"})

    (new,) = set(SECRET.findall(shown.text))
    assert secrets(api, endpoint) == [new, old]
    api.clock.advance(seconds=3601)
    assert secrets(api, endpoint) == [new]
    assert audit(api) == [("webhook_endpoint.roll_secret", endpoint)]
    assert new not in repr(api.services.store.reader.find(AuditEntry))
    assert new not in (await editor.get(f"{LIST}/{endpoint}/secret")).text


async def test_an_overlap_is_one_of_those_that_are_offered(api: Api, editor: Visitor) -> None:
    endpoint = await endpoint_of(api)

    shown = await editor.post(f"{LIST}/{endpoint}/secret", {"expire_in": "-1"})

    assert shown.status == 400
    assert "Choose how long" in shown.words
    assert audit(api) == []


@pytest.mark.parametrize("kind", ["endpoint", "destination"])
async def test_a_test_event_goes_to_one_endpoint_whatever_it_listens_to(
    api: Api, editor: Visitor, kind: str
) -> None:
    await endpoint_of(api, url=f"{URL}/other")
    is_plain = kind == "endpoint"
    made = endpoint_of(api, events="customer.created") if is_plain else destination_of(api)
    endpoint = await made

    shown = await editor.post(f"{LIST}/{endpoint}/test")

    (delivery,) = api.services.store.reader.find(Delivery)
    assert delivery.endpoint == endpoint
    objects = api.services.store.reader
    events: list[Event | ThinEvent] = [*objects.find(Event), *objects.find(ThinEvent)]
    (event,) = events
    kind = "meterbell.webhook_endpoint" if is_plain else "v2.core.event_destination"
    assert (event.id, event.type) == (delivery.event, f"{kind}.ping")
    to = shown.headers["location"]
    assert to == "/dashboard/test/deliveries/dlv_1?notice=test_event_sent"
    assert f"{kind}.ping" in (await editor.get(to)).words
    assert audit(api) == [("webhook_endpoint.ping", endpoint)]


async def test_a_disabled_endpoint_gets_no_test_event(api: Api, editor: Visitor) -> None:
    endpoint = await endpoint_of(api)
    await editor.post(f"{LIST}/{endpoint}/disable")

    shown = await editor.post(f"{LIST}/{endpoint}/test")

    assert shown.status == 400
    assert "is disabled. Enable it first" in shown.words


async def test_deliveries_are_told_by_state_and_page_by_page(api: Api, viewer: Visitor) -> None:
    endpoint = await endpoint_of(api)
    for number in range(30):
        await api.customer(f"cus_{number}")
    await attempt(api, *range(1, 28))
    await attempt(api, 28, outcome="succeeded")
    place = f"{LIST}/{endpoint}"

    first = await viewer.get(f"{place}?state=failed")
    link = first.text.rpartition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
    second = await viewer.get(link)
    delivered = await viewer.get(f"{place}?state=delivered")

    assert "All 30 Delivered 1 Pending 2 Failed 27" in first.words
    assert [page.text.count("/deliveries/dlv_") for page in (first, second, delivered)] == [
        25,
        2,
        1,
    ]
    assert "Answered 500" in first.words
    assert 'rel="next"' not in second.text
    assert "Resend" not in first.words


async def test_a_delivery_shows_its_attempts_with_answers_as_text(
    api: Api, editor: Visitor
) -> None:
    await endpoint_of(api)
    await api.customer("cus_a")
    await attempt(api, 1)

    shown = await editor.get("/dashboard/test/deliveries/dlv_1")

    assert "<script>alert" not in shown.text
    assert "1 " in shown.words
    assert f"Answered 500 12 ms Show the answer to attempt 1 {HARM}" in shown.words
    assert "Stripe-Signature: t=…,v1=…" in shown.words
    assert '<span class="json-string">&#34;customer.created&#34;</span>' in shown.text
    for wrong in ("dlv_2", "dlv_x", "1"):
        assert (await editor.get(f"/dashboard/test/deliveries/{wrong}")).status == 404


async def test_one_or_all_that_failed_are_sent_again(api: Api, editor: Visitor) -> None:
    endpoint = await endpoint_of(api)
    for number in range(4):
        await api.customer(f"cus_{number}")
        api.clock.advance(seconds=1800)
    await attempt(api, 1, 2, 3, 4)

    def pending() -> list[int]:
        found = api.services.store.reader.fetch_all(Delivery, status="pending")
        return [delivery.number for delivery in found]

    one = await editor.post("/dashboard/test/deliveries/dlv_1/resend")
    assert one.headers["location"] == "/dashboard/test/deliveries/dlv_1?notice=delivery_resent"
    assert pending() == [1]
    some = await editor.post(f"{LIST}/{endpoint}/resend-failed", {"period": "3600"})
    assert some.headers["location"] == f"{LIST}/{endpoint}?notice=failed_resent"
    assert pending() == [1, 3, 4]
    wrong = await editor.post(f"{LIST}/{endpoint}/resend-failed", {"period": "7"})
    assert (wrong.status, pending()) == (400, [1, 3, 4])
    assert audit(api) == [
        ("delivery.resend", "dlv_1"),
        ("delivery.resend_failed", endpoint),
    ]
