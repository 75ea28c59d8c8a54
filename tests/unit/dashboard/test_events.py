"""The feed of meter events and the lists of events: bounded, filtered, and true."""

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from starlette.types import Message

from meterbell.dashboard.app import Dashboard
from meterbell.dashboard.pages import events
from meterbell.insight import back, feed
from meterbell.records import AuditEntry, Delivery, Event
from tests.support.virtual_time import run_virtually
from tests.unit.api.running import Api, running_api, usage
from tests.unit.dashboard.hooks import URL, endpoint_of
from tests.unit.dashboard.visiting import HOST, Shown, Visitor, let_in

FEED = "/dashboard/test/events"
TOLD = "/dashboard/test/events/told"
DAY = 24 * 3600
_LINE = re.compile(r"/meter-events/(\d+)\"")


def shown_events(page: Shown) -> list[int]:
    """Return the places in commit order of the meter events on a page."""
    return [int(number) for number in _LINE.findall(page.text)]


def link(page: Shown, rel: str) -> str:
    """Return where a link to another page of a list leads; empty if there is none."""
    found = re.search(rf'rel="{rel}" href="([^"]*)"', page.text)
    return found[1].replace("&amp;", "&") if found else ""


async def all_pages(visitor: Visitor, place: str) -> list[Shown]:
    """Follow a list to its end."""
    pages = [await visitor.get(place)]
    while following := link(pages[-1], "next"):
        pages.append(await visitor.get(following))
    return pages


async def use(api: Api, count: int, *, customer: str = "cus_a", name: str = "requests") -> None:
    """Report usage so many times."""
    for _ in range(count):
        await api.made("/v1/billing/meter_events", usage(customer=customer, name=name))


async def test_the_feed_shows_every_meter_event_once_newest_first(
    api: Api, viewer: Visitor
) -> None:
    await api.meter()
    await api.customer()
    await use(api, 58)

    first = await viewer.get(FEED)
    await use(api, 3)  # what comes meanwhile moves nothing
    second = await viewer.get(link(first, "next"))
    third = await viewer.get(link(second, "next"))

    pages = [shown_events(page) for page in (first, second, third)]
    assert [len(page) for page in pages] == [25, 25, 8]
    assert [place for page in pages for place in page] == list(range(58, 0, -1))
    assert link(third, "next") == ""
    assert "Looked at" not in third.words
    assert shown_events(await viewer.get(link(third, "prev"))) == list(range(61, 36, -1))


async def test_many_meter_events_of_one_commit_are_told_apart(api: Api, viewer: Visitor) -> None:
    await api.meter()
    await api.customer()
    await asyncio.gather(*(use(api, 1) for _ in range(60)))

    pages = await all_pages(viewer, FEED)

    assert [place for page in pages for place in shown_events(page)] == list(range(60, 0, -1))


async def test_the_feed_is_filtered_by_meter_customer_and_identifier(
    api: Api, viewer: Visitor
) -> None:
    requests, tokens = await api.meter(), await api.meter("tokens")
    for customer in ("cus_a", "cus_b"):
        await api.customer(customer)
        for name in ("requests", "tokens"):
            await api.made(
                "/v1/billing/meter_events",
                usage(customer=customer, name=name) | {"identifier": f"{customer}-{name}"},
            )

    async def found(query: str) -> list[int]:
        return shown_events(await viewer.get(f"{FEED}?{query}"))

    assert await found(f"meter={requests}") == [3, 1]
    assert await found("customer=cus_b") == [4, 3]
    assert await found(f"meter={tokens}&customer=cus_a") == [2]
    assert await found("identifier=cus_b-tokens") == [4]
    assert await found(f"identifier=cus_b-tokens&meter={requests}") == []
    assert await found("identifier=none") == []
    assert await found("meter=mtr_none") == []
    none = await viewer.get(f"{FEED}?customer=cus_none")
    assert "No meter event is like that" in none.words


async def test_the_other_modes_meter_events_are_not_shown(api: Api, viewer: Visitor) -> None:
    await api.meter(key="sk_live_unit_tests")
    await api.customer(key="sk_live_unit_tests")
    live = usage() | {"identifier": "live"}
    await api.made("/v1/billing/meter_events", live, key="sk_live_unit_tests")

    assert shown_events(await viewer.get(FEED)) == []
    assert shown_events(await viewer.get(f"{FEED}?identifier=live")) == []
    assert (await viewer.get("/dashboard/test/meter-events/1")).status == 404
    assert shown_events(await viewer.get("/dashboard/events")) == [1]


async def test_a_page_looks_at_only_so_much_and_says_so(
    api: Api, viewer: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "EVENTS_MAX", 8)
    monkeypatch.setattr(back, "_ROWS_AT_ONCE", 4)
    await api.meter()
    for customer, count in (("cus_rare", 1), ("cus_a", 18)):
        await api.customer(customer)
        await use(api, count, customer=customer)

    pages = await all_pages(viewer, f"{FEED}?customer=cus_rare")

    assert [shown_events(page) for page in pages] == [[], [], [1]]
    for page in pages[:2]:
        assert "None of these so far" in page.words
        assert "Looked at 8 meter events, back to" in page.words
        assert "Look further back" in page.words
    assert "Looked at" not in pages[2].words


@pytest.mark.parametrize("before", ["0", "1", "99", "-1", "x", "9" * 30])
async def test_any_place_in_the_address_is_answered(api: Api, viewer: Visitor, before: str) -> None:
    await api.meter()
    await api.customer()
    await use(api, 2)

    shown = await viewer.get(f"{FEED}?before={before}")

    assert shown.status == 200
    assert len(shown_events(shown)) == (0 if before in ("0", "1") else 2)


async def test_a_meter_event_tells_which_alert_it_triggered(api: Api, viewer: Visitor) -> None:
    meter = await api.meter()
    await api.customer()
    alert = await api.alert(meter, 2)
    await use(api, 3)

    pages = [await viewer.get(f"/dashboard/test/meter-events/{place}") for place in (2, 3, 4)]

    assert [alert in page.text for page in pages] == [False, True, False]
    assert "Used up 2" in pages[1].words
    assert '<span class="json-key">&#34;stripe_customer_id&#34;</span>' in pages[1].text
    for wrong in ("1", "5", "x", "-2", "9" * 30):
        assert (await viewer.get(f"/dashboard/test/meter-events/{wrong}")).status == 404


async def test_c6_a_meter_event_is_cancelled_once(api: Api, editor: Visitor) -> None:
    await api.meter()
    await api.customer()
    await api.use(identifier="one")
    place = "/dashboard/test/meter-events/1"

    done = await editor.post(f"{place}/cancel")
    again = await editor.post(f"{place}/cancel")

    assert done.headers["location"] == f"{place}?notice=meter_event_cancelled"
    assert again.status == 400
    assert "was cancelled before" in again.words
    assert "Cancel this meter event" not in (await editor.get(place)).words
    assert "Cancelled" in (await editor.get(FEED)).words
    assert api.services.state.cancelled == {1}
    (entry,) = api.services.store.reader.find(AuditEntry)
    assert (entry.action, entry.object) == ("meter_event.cancel", "one")


async def test_c2_an_old_meter_event_is_not_taken_for_one_that_has_its_identifier_now(
    api: Api, visitor: Visitor
) -> None:
    await api.meter()
    await api.customer()
    await api.use(identifier="again")
    api.clock.advance(seconds=36 * DAY)
    await api.use(identifier="again")
    editor = await let_in(api.services, visitor, "eddy", "editor")
    old, new = (f"/dashboard/test/meter-events/{place}" for place in (1, 2))

    refused = await editor.post(f"{old}/cancel")

    assert refused.status == 400
    assert "too old to be cancelled" in refused.words
    assert api.services.state.cancelled == set()
    offers = ["Cancel this" in (await editor.get(place)).words for place in (old, new)]
    assert offers == [False, True]


async def test_events_are_listed_by_type_and_page_by_page(
    api: Api, viewer: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    await api.meter()
    for number in range(28):
        await api.customer(f"cus_{number}")

    pages = await all_pages(viewer, TOLD)
    created = await all_pages(viewer, f"{TOLD}?type=billing.meter.created")
    monkeypatch.setattr(events, "EVENTS_MAX", 10)
    short = await all_pages(viewer, f"{TOLD}?type=billing.meter.created")

    assert [page.text.count("/events/evt_") for page in pages] == [25, 4]
    assert [page.text.count("/events/evt_") for page in created] == [1]
    assert [page.text.count("/events/evt_") for page in short] == [0, 0, 1]
    assert "Looked at 10 events of both modes" in short[0].words


async def test_an_event_is_shown_and_sent_again_to_any_endpoint(api: Api, editor: Visitor) -> None:
    first = await endpoint_of(api)
    await api.customer()
    second = await endpoint_of(api, url=f"{URL}/second")
    (event,) = api.services.store.reader.find(Event)
    place = f"/dashboard/test/events/{event.id}"

    shown = await editor.get(place)
    again = await editor.post(f"{place}/resend", {"endpoint": first})
    elsewhere = await editor.post(f"{place}/resend", {"endpoint": second})
    nowhere = await editor.post(f"{place}/resend", {"endpoint": "we_none"})

    assert "Send it elsewhere" in shown.words
    assert '<span class="json-string">&#34;customer.created&#34;</span>' in shown.text
    assert [page.headers["location"].partition("?")[0] for page in (again, elsewhere)] == [
        "/dashboard/test/deliveries/dlv_1",
        "/dashboard/test/deliveries/dlv_2",
    ]
    assert nowhere.status == 404
    found = api.services.store.reader.find(Delivery)
    assert [delivery.endpoint for delivery in found] == [first, second]
    assert "Send it elsewhere" not in (await editor.get(place)).words
    search = await editor.get(f"/dashboard/test/search?q={event.id}")
    assert search.headers["location"] == place


async def test_what_a_channel_was_told_leads_there_and_is_sent_again(
    api: Api, editor: Visitor
) -> None:
    given = {"name": "Billing team", "url": "jsons://8.8.8.8/hook"}
    channel = (await api.made("/v1/notification_channels", given))["id"]
    alert = await api.alert(await api.meter(), 1)
    await api.customer()
    await use(api, 1)
    (delivery,) = api.services.store.reader.find(Delivery)
    place = f"/dashboard/test/deliveries/dlv_{delivery.number}"

    for page in (place, f"/dashboard/test/events/{delivery.event}"):
        shown = await editor.get(page)
        assert f'href="/dashboard/test/channels/{channel}">Billing team</a>' in shown.text
    why = await editor.get(f"/dashboard/test/alerts/{alert}?customer=cus_a")
    assert "/dashboard/test/meter-events/2" in why.text
    again = await editor.post(f"{place}/resend")
    assert again.headers["location"] == f"{place}?notice=delivery_resent"
    await api.send("DELETE", f"/v1/notification_channels/{channel}")
    gone = await editor.get(place)
    assert "What it was for is deleted" in gone.words
    assert "Send now" not in gone.words


def test_a_live_feed_is_pushed_four_times_a_second_at_most_whatever_comes(
    tmp_path: Path, migrated: Path
) -> None:
    seconds, a_second = 3, 60

    async def story() -> tuple[Sequence[bytes], float]:
        async with running_api(tmp_path, migrated) as api:
            await api.meter()
            await api.customer()
            visitor = Visitor(Dashboard(api.services))
            await let_in(api.services, visitor, "vera", "viewer")
            pushes: list[bytes] = []
            following = asyncio.create_task(follow(visitor, "/events", pushes))
            loop = asyncio.get_running_loop()
            begun = loop.time()
            for _ in range(seconds * a_second):
                await api.use()
                await asyncio.sleep(1 / a_second)
            took = loop.time() - begun
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            return pushes, took

    pushes, took = run_virtually(story())

    assert took == pytest.approx(seconds)
    assert 2 * seconds <= len(pushes) <= 4 * took + 1
    assert b"/meter-events/" in pushes[-1]


async def follow(visitor: Visitor, view: str, pushes: list[bytes]) -> None:
    """Follow a page as a browser does, and note what is pushed."""
    cookies = "; ".join(f"{name}={text}" for name, text in visitor.cookies.items())
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "method": "GET",
        "path": "/dashboard/test/live",
        "query_string": f"view={view}".encode(),
        "headers": [(b"host", HOST.encode()), (b"cookie", cookies.encode())],
        "client": ("127.0.0.1", 1),
    }

    async def receive() -> Message:
        return await asyncio.Future()

    async def send(message: Message) -> None:
        if body := message.get("body"):
            pushes.append(body)

    await visitor.dashboard(scope, receive, send)
