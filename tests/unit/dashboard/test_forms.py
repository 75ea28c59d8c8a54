"""A form that is sent twice makes one thing, and both sendings are answered alike."""

import asyncio
import re

import pytest

from meterbell.engine.model import Meter
from meterbell.records import ApiKey, AuditEntry, IdempotentReply
from tests.support.dashboard import World
from tests.unit.api.running import Api
from tests.unit.dashboard.linked import Pages
from tests.unit.dashboard.visiting import Shown, Visitor

MOUNT = "/dashboard/test"
METER = {
    "display_name": "Calls",
    "event_name": "calls",
    "formula": "sum",
    "customer_key": "stripe_customer_id",
    "value_key": "value",
}
KEY = {"name": "laptop", "permission": "all"}
FORMS: dict[str, dict[str, str]] = {
    "/webhooks/new": {"url": "http://127.0.0.1:9010/", "events": "all"},
    "/webhooks/{webhooks}/secret": {"expire_in": "86400"},
    "/alerts/new": {"title": "Many", "gte": "7", "meter": "{meters}"},
    "/meters/new": METER,
    "/channels/new": {"name": "Support", "url": "slack://a/b/c", "tells": "all"},
    "/customers/{customers}/page": {"expires_in": "900"},
    "/developers": KEY,
    "/developers/keys/{keys}/roll": {},
}
"""Every form that makes something, and how it may be filled; `{…}` is a name in the world."""


def told(shown: Shown) -> tuple[int, str | None, str]:
    """Return what an answer says, without the tokens of forms, which are always new."""
    location = shown.headers.get("location")
    return shown.status, location, re.sub(r'name="csrf" value="\w+"', "", shown.text)


@pytest.mark.parametrize("path", FORMS)
async def test_a_form_sent_again_makes_one_thing_and_is_answered_alike(
    api: Api, admin: Visitor, world: World, path: str
) -> None:
    place = MOUNT + path.format_map(world)
    form = {name: text.format_map(world) for name, text in FORMS[path].items()}
    token = await admin.form_token()

    # Two at the same time, as by a double click, and one later.
    sent = await asyncio.gather(*(admin.post(place, form, csrf=token) for _ in range(2)))
    sent.append(await admin.post(place, form, csrf=token))

    assert sent[0].status in (200, 303), sent[0].words
    assert [told(shown) for shown in sent] == [told(sent[0])] * 3
    assert api.services.store.reader.count(AuditEntry) == 1


async def test_the_same_from_a_page_that_was_loaded_again_is_made_again(
    api: Api, admin: Visitor, world: World
) -> None:
    form = {"title": "Many", "gte": "7", "meter": world["meters"]}

    places = {(await admin.post(f"{MOUNT}/alerts/new", form)).headers["location"] for _ in "12"}

    assert len(places) == 2
    assert api.services.store.reader.count(AuditEntry) == 2


async def test_who_goes_back_and_types_something_else_makes_something_else(
    api: Api, admin: Visitor
) -> None:
    token = await admin.form_token()

    for event_name in ("calls", "seats"):
        form = {**METER, "event_name": event_name}
        assert (await admin.post(f"{MOUNT}/meters/new", form, csrf=token)).status == 303

    assert api.services.store.reader.count(Meter) == 2


async def test_a_form_that_failed_may_succeed_when_it_is_sent_again(
    api: Api, admin: Visitor, world: World
) -> None:
    token = await admin.form_token()
    form = {"title": "Many", "gte": "7", "meter": world["meters"]}
    status = f"/v1/billing/meters/{world['meters']}"
    await api.made(f"{status}/deactivate")

    refused = await admin.post(f"{MOUNT}/alerts/new", form, csrf=token)
    await api.made(f"{status}/reactivate")
    done = await admin.post(f"{MOUNT}/alerts/new", form, csrf=token)

    assert (refused.status, done.status) == (400, 303)


async def test_a_new_key_is_kept_in_no_way_that_the_server_can_read(
    api: Api, admin: Visitor
) -> None:
    shown = await admin.post(f"{MOUNT}/developers", KEY)

    key = re.search(r"sk_test_\w{34}", shown.text)
    assert key is not None
    (reply,) = api.services.store.reader.find(IdempotentReply)
    opened = api.services.vault.open(reply.body.decode(), about=f"idempotent_reply 0 {reply.key}")
    assert opened.startswith('{"key":"sealed:1:0000000000000000:')
    assert key[0] not in opened
    assert api.services.store.reader.find(ApiKey)[-1].last4 == key[0][-4:]


async def test_a_customers_form_sent_twice_sets_one_alert(pages: Pages) -> None:
    link = await pages.link()
    token = re.search(r'name="once" value="(\w+)"', (await pages.browser.get(link)).text)
    assert token is not None

    done = [await pages.set_alert(link, once=token[1]) for _ in range(2)]
    other = await pages.set_alert(await pages.link("cus_b"), once=token[1])

    assert [shown.headers["location"] for shown in done] == [f"{link}?notice=set"] * 2
    assert other.status == 303
    assert [own.customer for own in pages.own()] == ["cus_a", "cus_b"]
