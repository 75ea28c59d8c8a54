"""Pages about channels: what they show to whom, what their forms do, and that no URL is shown."""

import pytest

from meterbell.channel import NotificationChannel
from meterbell.delivery.outcome import Outcome
from meterbell.ledger.deliveries import disable
from meterbell.ledger.transaction import Transaction
from meterbell.records import Attempt, AuditEntry, Delivery, EndpointHealth
from meterbell.wire.template import BODY_DEFAULT, TITLE_DEFAULT
from tests.builders import NOW
from tests.unit.api.running import Api
from tests.unit.dashboard.visiting import Visitor

HERE = "/dashboard/test/channels"
NEW = {
    "name": "Sales",
    "url": "slack://PlantedA/PlantedB/PlantedC",
    "tells": "all",
    "title": TITLE_DEFAULT,
    "body": BODY_DEFAULT,
}


async def add_channel(api: Api) -> str:
    """Make a channel and return its id."""
    given = {"name": "Sales <b>", "url": NEW["url"]}
    return str((await api.made("/v1/notification_channels", given))["id"])


def channels(api: Api) -> list[NotificationChannel]:
    return api.services.store.reader.find(NotificationChannel)


async def add_attempts(api: Api, *outcomes: tuple[str, int | None, bytes]) -> None:
    """Note what came of the only delivery there is."""
    (delivery,) = api.services.store.reader.find(Delivery)

    def command(transaction: Transaction) -> None:
        for number, (outcome, status_code, response) in enumerate(outcomes, start=1):
            transaction.objects.insert(
                Attempt(
                    delivery=delivery.number,
                    attempt=number,
                    started_at_ms=NOW * 1000,
                    duration_ms=12,
                    outcome=outcome,
                    status_code=status_code,
                    response=response,
                )
            )

    await api.services.committer.execute(command)


async def test_a_new_channel_is_made_and_its_url_is_in_no_page_and_no_log(
    api: Api, editor: Visitor
) -> None:
    made = await editor.post(f"{HERE}/new", NEW)
    (channel,) = channels(api)
    shown = await editor.get(f"{HERE}/{channel.id}")
    listed = await editor.get(HERE)

    assert made.headers["location"] == f"{HERE}/{channel.id}?notice=channel_created"
    assert (channel.name, channel.alerts, channel.title, channel.body) == (
        "Sales", None, None, None,
    )  # fmt: skip
    (entry,) = api.services.store.reader.find(AuditEntry)
    assert (entry.action, entry.object) == ("channel.create", channel.id)
    assert entry.details["url"] == "****"
    for text in (made.text, shown.text, listed.text, str(entry)):
        assert "Planted" not in text
    assert "slack://****" in shown.words
    assert "Sales Enabled Slack slack://**** All alerts None yet" in listed.words


async def test_a_new_channel_may_tell_of_some_alerts(api: Api, editor: Visitor) -> None:
    meter = await api.meter()
    first, second = await api.alert(meter, 1), await api.alert(meter, 2)

    await editor.post(f"{HERE}/new", NEW | {"tells": "some", "alerts[1]": first})

    (channel,) = channels(api)
    assert channel.alerts == [first]
    shown = await editor.get(f"{HERE}/{channel.id}")
    assert f'value="{first}" checked' in shown.text
    assert f'value="{second}">' in shown.text


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"name": " "}, "Give the channel a name."),
        ({"url": ""}, "Say where notices go."),
        ({"tells": "some"}, "Choose at least one alert, or all of them."),
        ({"tells": "some", "alerts": "x"}, "Choose at least one alert, or all of them."),
        ({"tells": "some", "alerts[0]": "alrt_x"}, "No such billing alert: 'alrt_x'"),
        ({"title": "{nope}"}, "{nope} is no placeholder"),
        ({"body": "{"}, "a single { stands in body"),
        ({"body": "x" * 2001}, "at most 2000 characters"),
    ],
)
async def test_what_is_wrong_is_told_and_nothing_is_lost(
    api: Api, editor: Visitor, changes: dict[str, str], problem: str
) -> None:
    shown = await editor.post(f"{HERE}/new", NEW | changes)

    assert shown.status == 400
    assert problem in shown.words
    assert 'value="all"' in shown.text
    assert channels(api) == []


async def test_a_url_that_can_not_be_used_is_refused_with_the_reason(
    api: Api, editor: Visitor
) -> None:
    api.notifier.refusal = "10.0.0.1 is not public."

    shown = await editor.post(f"{HERE}/new", NEW)

    assert (shown.status, channels(api)) == (400, [])
    assert "Invalid URL: 10.0.0.1 is not public." in shown.words


async def test_words_are_previewed_and_changed(api: Api, editor: Visitor) -> None:
    channel = await add_channel(api)
    query = "title=%7Bvalue%7D+%3Cb%3E&body=%7Bcustomer.name%7D"
    preview = await editor.get(f"{HERE}/preview?{query}")
    broken = await editor.get(f"{HERE}/preview?title=%7Bx%7D&body=")
    saved = await editor.post(
        f"{HERE}/{channel}/words", {"title": TITLE_DEFAULT, "body": "{mode}\r\n{value}"}
    )

    assert "<strong>100 &lt;b&gt;</strong><p>A test customer</p>" in preview.text
    assert "{x} is no placeholder" in broken.words
    assert saved.headers["location"].endswith("notice=channel_words_changed")
    (found,) = channels(api)
    assert (found.title, found.body) == (None, "{mode}\n{value}")


async def test_a_test_is_sent_and_what_came_of_it_is_told(api: Api, editor: Visitor) -> None:
    channel = await add_channel(api)
    good = await editor.post(f"{HERE}/{channel}/test")
    api.notifier.outcome = Outcome("status_404", 404, None, b"no_service <b>")
    bad = await editor.post(f"{HERE}/{channel}/test")

    assert good.headers["location"] == f"{HERE}/{channel}?notice=channel_tested"
    assert api.notifier.sent[0][1] == "Test from meterbell"
    assert bad.status == 400
    assert "The test was not sent: Answered 404. The answer was: no_service &lt;b&gt;" in bad.text
    entries = api.services.store.reader.find(AuditEntry)
    assert [(entry.action, entry.details) for entry in entries] == [
        ("channel.test", {"outcome": "succeeded"}),
        ("channel.test", {"outcome": "status_404"}),
    ]


async def test_a_channel_is_disabled_enabled_changed_and_deleted(api: Api, editor: Visitor) -> None:
    channel = await add_channel(api)
    await editor.post(f"{HERE}/{channel}/disable")
    disabled = await editor.get(HERE)
    assert channels(api)[0].status == "disabled"
    await editor.post(f"{HERE}/{channel}/enable")
    before = channels(api)[0].url
    await editor.post(f"{HERE}/{channel}/settings", {"name": "New", "url": "", "tells": "all"})
    kept = channels(api)[0].url
    await editor.post(f"{HERE}/{channel}/settings", {"name": "New", "url": "slack://x"})
    (changed,) = channels(api)
    deleted = await editor.post(f"{HERE}/{channel}/delete")

    assert "Disabled" in disabled.words
    assert (changed.name, changed.status, kept) == ("New", "enabled", before)
    assert changed.url != before
    assert deleted.headers["location"] == f"{HERE}?notice=channel_deleted"
    assert channels(api) == []
    actions = [entry.action for entry in api.services.store.reader.find(AuditEntry)]
    assert actions == [
        f"channel.{verb}" for verb in ("disable", "enable", "update", "update", "delete")
    ]


async def test_notices_are_shown_with_their_attempts(api: Api, viewer: Visitor) -> None:
    channel = await add_channel(api)
    await api.customer("cus_a")
    await api.alert(await api.meter(), 10)
    await api.use("12.5")
    waiting = await viewer.get(HERE)
    await add_attempts(api, ("status_500", 500, b"<i>oops"), ("succeeded", 200, b"ok"))
    shown = await viewer.get(f"{HERE}/{channel}")
    listed = await viewer.get(HERE)
    (delivery,) = api.services.store.reader.find(Delivery)
    event = (await api.events(type="billing.alert.triggered"))[0]["data"]["object"]
    why = await viewer.get(f"/dashboard/test/alerts/{event['alert']['id']}?customer=cus_a")

    assert delivery.endpoint == channel
    assert f'<a href="{HERE}/{channel}">' in why.text
    assert "Sales <b>" in why.words
    assert "All alerts Waiting" in waiting.words
    assert "Used up cus_a 12.5" in shown.words
    assert "2 attempts: Delivered" in shown.words
    assert '<pre tabindex="0">&lt;i&gt;oops</pre>' in shown.text
    assert shown.words.index("Delivered") < shown.words.index("Answered 500"), "the latest first"
    assert "Delivered 2026-01-01" in listed.words


async def test_what_failed_is_sent_again(api: Api, editor: Visitor) -> None:
    channel = await add_channel(api)
    await api.customer("cus_a")
    await api.alert(await api.meter(), 10)
    await api.use("12.5")

    def command(transaction: Transaction) -> None:
        transaction.objects.update(Delivery, status="failed", next_attempt_at_ms=None)

    before = await editor.get(f"{HERE}/{channel}")
    await api.services.committer.execute(command)
    after = await editor.get(f"{HERE}/{channel}")
    done = await editor.post(f"{HERE}/{channel}/resend-failed", {"period": "3600"})

    assert "Send again what failed" not in before.words
    assert "Send again what failed" in after.words
    assert done.headers["location"] == f"{HERE}/{channel}?notice=failed_resent"
    assert [one.status for one in api.services.store.reader.find(Delivery)] == ["pending"]


async def test_a_viewer_sees_no_url_and_no_form(api: Api, viewer: Visitor) -> None:
    channel = await add_channel(api)
    for shown in (await viewer.get(HERE), await viewer.get(f"{HERE}/{channel}")):
        assert "slack://" not in shown.text
        assert "Sales &lt;b&gt;" in shown.text
        assert "/channels/" not in "".join(
            part for part in shown.text.split("<form")[1:] if "sign-out" not in part[:200]
        )
    assert "A test customer has reached 100" in (await viewer.get(f"{HERE}/{channel}")).words


async def test_a_channel_that_was_given_up_says_so(api: Api, viewer: Visitor) -> None:
    channel = await add_channel(api)

    def command(transaction: Transaction) -> None:
        (found,) = transaction.objects.find(NotificationChannel)
        transaction.objects.put(EndpointHealth(endpoint=channel, failures=12))
        disable(transaction, found, reason="failing")

    await api.services.committer.execute(command)

    shown = await viewer.get(f"{HERE}/{channel}")
    overview = await viewer.get("/dashboard/test")
    assert "It did nothing but fail for five days." in shown.words
    assert "Failing webhooks and channels 1" in overview.words
    assert f'<a href="{HERE}/{channel}">' in overview.text


async def test_an_id_leads_to_its_channel(api: Api, viewer: Visitor) -> None:
    channel = await add_channel(api)

    found = await viewer.get(f"/dashboard/test/search?q={channel}")

    assert found.headers["location"] == f"{HERE}/{channel}"
