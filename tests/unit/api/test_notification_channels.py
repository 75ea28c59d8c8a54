"""Notification channels over HTTP: what they take, what they show, and what they never show."""

from pathlib import Path
from typing import Any

import pytest

from meterbell.api.v1.notification_channels import CHANNELS_MAX
from meterbell.channel import NotificationChannel
from meterbell.delivery.outcome import Outcome
from meterbell.records import Delivery
from meterbell.wire.template import BODY_DEFAULT, TITLE_DEFAULT
from tests.unit.api.running import LIVE_KEY, Api, Reply

PATH = "/v1/notification_channels"
URL = "slack://Planted/Planted/Planted"


def contents(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file())


async def create(api: Api, **more: Any) -> Reply:  # noqa: ANN401
    return await api.post(PATH, {"name": "Sales", "url": URL, **more})


async def test_a_channel_is_made_and_shown_without_its_url(api: Api) -> None:
    made = (await create(api)).body

    assert made == {
        "id": made["id"],
        "object": "notification_channel",
        "alerts": None,
        "body": BODY_DEFAULT,
        "created": api.clock.now_ms() // 1000,
        "livemode": False,
        "name": "Sales",
        "service": "Slack",
        "status": "enabled",
        "title": TITLE_DEFAULT,
        "url": "slack://****",
    }
    assert made["id"].startswith("nc_")
    assert await api.got(f"{PATH}/{made['id']}") == made
    assert (await api.got(PATH))["data"] == [made]
    assert (await api.got(PATH, key=LIVE_KEY))["data"] == []


async def test_d5_the_url_of_a_channel_is_encrypted(api: Api, tmp_path: Path) -> None:
    await create(api)
    (channel,) = api.services.store.reader.find(NotificationChannel)

    files = contents(tmp_path)
    about = f"notification_channel {channel.id}"
    assert api.services.vault.open(channel.url, about=about) == URL
    assert b"Planted" not in files


async def test_a_channel_is_changed_and_put_back(api: Api) -> None:
    await api.meter()
    alert = await api.alert((await api.got("/v1/billing/meters"))["data"][0]["id"])
    channel = (await create(api)).body["id"]

    changed = await api.made(
        f"{PATH}/{channel}",
        {
            "name": "On-call",
            "alerts": [alert],
            "title": "{value}",
            "body": "{mode}",
            "disabled": "true",
        },
    )
    back = await api.made(
        f"{PATH}/{channel}",
        {"url": "mailto://x", "alerts": "", "title": "", "body": "", "disabled": "false"},
    )

    picked = {name: changed[name] for name in ("name", "alerts", "title", "body", "status")}
    assert picked == {
        "name": "On-call",
        "alerts": [alert],
        "title": "{value}",
        "body": "{mode}",
        "status": "disabled",
    }
    assert (back["alerts"], back["title"], back["body"]) == (None, TITLE_DEFAULT, BODY_DEFAULT)
    assert (back["name"], back["status"]) == ("On-call", "enabled")


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"name": ""}, "name"),
        ({"url": ""}, "url"),
        ({"body": "{nothing}"}, "body"),
        ({"title": "{"}, "title"),
        ({"title": "two\nlines"}, "title"),
        ({"alerts": ["alrt_nope"]}, "alerts[0]"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_what_is_not_acceptable_is_refused_by_name(
    api: Api, params: dict[str, Any], param: str
) -> None:
    reply = await create(api, **params)

    assert (reply.status, reply.error["param"]) == (400, param)
    assert (await api.got(PATH))["data"] == []


async def test_a_url_that_can_not_be_used_is_refused_with_the_reason(api: Api) -> None:
    channel = (await create(api)).body["id"]
    api.notifier.refusal = "10.0.0.1 is not public."

    for reply in (await create(api), await api.post(f"{PATH}/{channel}", {"url": URL})):
        assert (reply.status, reply.error["param"]) == (400, "url")
        assert reply.error["message"] == "Invalid URL: 10.0.0.1 is not public."


async def test_there_are_only_so_many_channels(api: Api) -> None:
    for _ in range(CHANNELS_MAX):
        assert (await create(api)).status == 200

    refused = await create(api)

    assert refused.status == 400
    assert f"maximum of {CHANNELS_MAX}" in refused.error["message"]
    assert (await create(api, name="Live")).status == 400
    assert (await api.post(PATH, {"name": "Live", "url": URL}, key=LIVE_KEY)).status == 200


async def test_a_test_sends_a_notice_and_tells_what_came_of_it(api: Api) -> None:
    channel = (await create(api, body="{customer.name}: {value} ({mode})")).body["id"]
    good = await api.made(f"{PATH}/{channel}/test")
    api.notifier.outcome = Outcome("status_404", 404, None, b"no such webhook")
    bad = await api.made(f"{PATH}/{channel}/test")

    assert api.notifier.sent[0] == (URL, "Test from meterbell", "A test customer: 100 (test)")
    assert (good["succeeded"], good["outcome"], good["channel"]) == (True, "succeeded", channel)
    assert (bad["succeeded"], bad["status_code"]) == (False, 404)
    assert bad["response"] == "no such webhook"


async def test_what_is_not_there_is_not_found(api: Api) -> None:
    for method, path in (
        ("GET", f"{PATH}/nc_nope"),
        ("POST", f"{PATH}/nc_nope"),
        ("DELETE", f"{PATH}/nc_nope"),
        ("POST", f"{PATH}/nc_nope/test"),
    ):
        reply = await api.send(method, path)
        assert (reply.status, reply.error["code"]) == (404, "resource_missing")


async def trigger(api: Api, gte: int) -> str:
    """Make an alert that triggers at the next usage, and return its id."""
    return await api.alert((await api.got("/v1/billing/meters"))["data"][0]["id"], gte)


def deliveries(api: Api) -> dict[str, int]:
    """Return how many deliveries each channel has."""
    found = api.services.store.reader.find(Delivery)
    return {one.endpoint: sum(o.endpoint == one.endpoint for o in found) for one in found}


async def test_a5_a_trigger_is_for_the_channels_that_want_its_alert_once(api: Api) -> None:
    """And no other event is, nor a disabled channel."""
    await api.meter()
    await api.customer()
    first, second = await trigger(api, 1), await trigger(api, 1)
    every = (await create(api)).body["id"]
    one = (await create(api, alerts=[first])).body["id"]
    resting = (await create(api)).body["id"]
    await api.made(f"{PATH}/{resting}", {"disabled": "true"})

    for _ in range(3):
        await api.use()

    assert second
    assert deliveries(api) == {every: 2, one: 1}
    events = await api.events(type="billing.alert.triggered")
    assert [event["pending_webhooks"] for event in events] == [0, 0], "a channel is no webhook"


async def test_deleting_a_channel_gives_up_what_was_not_sent(api: Api) -> None:
    await api.meter()
    await api.customer()
    await trigger(api, 1)
    channel = (await create(api)).body["id"]
    await api.use()

    reply = await api.send("DELETE", f"{PATH}/{channel}")

    assert reply.body == {"id": channel, "object": "notification_channel", "deleted": True}
    (delivery,) = api.services.store.reader.find(Delivery)
    assert (delivery.status, delivery.next_attempt_at_ms) == ("canceled", None)


async def test_what_a_channel_was_sent_is_listed_and_sent_again_as_for_endpoints(api: Api) -> None:
    await api.meter()
    await api.customer()
    await trigger(api, 1)
    channel = (await create(api)).body["id"]
    await api.use()
    ours = f"/meterbell/webhook_endpoints/{channel}"

    (listed,) = (await api.got(f"{ours}/deliveries"))["data"]
    health = await api.got(f"{ours}/health")
    (event,) = await api.events(type="billing.alert.triggered")
    again = await api.made(f"{ours}/resend", {"event": event["id"]})
    one = await api.got(f"{ours}/deliveries/{again['id']}")
    every = await api.made(f"{ours}/resend_failed", {"since": 0})

    assert (listed["event"], listed["status"]) == (event["id"], "pending")
    assert (health["webhook_endpoint"], health["deliveries"]["pending"]) == (channel, 1)
    assert (again["id"], again["resent"] is None, one["attempts"]) == (listed["id"], False, [])
    assert every["resent"] == 0


async def test_a_channel_is_sent_triggers_only(api: Api) -> None:
    await api.customer()
    channel = (await create(api)).body["id"]
    (event,) = await api.events(type="customer.created")
    ours = f"/meterbell/webhook_endpoints/{channel}"

    refused = await api.post(f"{ours}/resend", {"event": event["id"]})
    pinged = await api.post(f"{ours}/ping")
    await api.made(f"{PATH}/{channel}", {"disabled": "true"})
    disabled = await api.post(f"{ours}/resend_failed", {"since": 0})

    assert (refused.status, refused.error["param"]) == (400, "event")
    assert "billing.alert.triggered events only" in refused.error["message"]
    assert "/test" in pinged.error["message"]
    assert "disabled=false" in disabled.error["message"]
