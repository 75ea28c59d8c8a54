"""Developers: keys are shown once and noted without them; requests and error reports are found."""

import re
from pathlib import Path
from typing import get_args

import pytest

from meterbell.dashboard.app import Dashboard
from meterbell.dashboard.pages.developer_errors import _HINTS
from meterbell.dashboard.snippets import snippets
from meterbell.engine.model import RefusalReason
from meterbell.folder import TEST_KEY_FILE, read_test_key
from meterbell.records import ApiKey, ApiKeyUse, AuditEntry
from meterbell.settings import Settings
from tests.builders import NOW
from tests.unit.api.running import LIVE_KEY, Api, running_api
from tests.unit.api.v2.streaming import report, stream, token
from tests.unit.dashboard.visiting import Shown, Visitor, let_in

PLACE = "/dashboard/test/developers"
KEY = re.compile(r"<code>((?:sk|rk)_(?:test|live)_\w{34})</code>")


def revealed(shown: Shown) -> str:
    """Return the key that a page shows."""
    assert shown.status == 200, shown.words
    found = KEY.search(shown.text)
    assert found is not None, shown.words
    return found[1]


def key_ids(api: Api) -> list[str]:
    return [key.id for key in api.services.store.reader.find(ApiKey) if not key.livemode]


async def create(admin: Visitor, **form: str) -> Shown:
    return await admin.post(PLACE, {"name": "laptop", "permission": "all", **form})


async def test_a_new_key_works_and_is_shown_this_once(api: Api, admin: Visitor) -> None:
    shown = await create(admin)

    key = revealed(shown)
    assert (await api.get("/v1/customers", key=key)).status == 200
    assert f"-u {key}:" in shown.text
    again = await admin.get(PLACE)
    assert key not in again.text
    assert f"sk_test_…{key[-4:]} laptop Everything Active" in again.words
    (entry,) = api.services.store.reader.find(AuditEntry)
    assert (entry.action, entry.actor, entry.object) == ("key.create", "ada", key_ids(api)[0])
    assert entry.details == {"permission": "all", "name": "laptop", "last4": key[-4:]}


async def test_a_restricted_key_may_only_what_was_chosen(api: Api, admin: Visitor) -> None:
    key = revealed(await create(admin, permission="read"))

    assert (await api.get("/v1/customers", key=key)).status == 200
    assert (await api.post("/v1/customers", key=key)).status == 403


@pytest.mark.parametrize(
    ("form", "problem"),
    [
        ({"permission": "everything"}, "Invalid permission"),
        ({"name": "x" * 101}, "must be at most 100 characters"),
        ({"name": "a\nb"}, "holds a control character"),
        ({"surprise": "1"}, "Received unknown parameter: surprise"),
    ],
)
async def test_a_key_that_cant_be_made_is_explained_at_the_form(
    api: Api, admin: Visitor, form: dict[str, str], problem: str
) -> None:
    shown = await create(admin, **form)

    assert shown.status == 400
    assert problem in shown.words
    assert key_ids(api) == []


async def test_a_rolled_key_works_for_another_day_beside_the_new_one(
    api: Api, admin: Visitor
) -> None:
    old = revealed(await create(admin))

    new = revealed(await admin.post(f"{PLACE}/keys/{key_ids(api)[0]}/roll"))

    assert new != old
    assert [(await api.get("/v1/customers", key=key)).status for key in (old, new)] == [200, 200]
    assert "Expiring" in (await admin.get(PLACE)).words
    api.clock.advance(seconds=24 * 3600)
    assert [(await api.get("/v1/customers", key=key)).status for key in (old, new)] == [401, 200]
    details = [entry.details for entry in api.services.store.reader.find(AuditEntry)]
    assert old not in str(details)
    assert new not in str(details)


async def test_a_revoked_key_is_refused_and_cant_be_rolled(api: Api, admin: Visitor) -> None:
    key = revealed(await create(admin))
    place = f"{PLACE}/keys/{key_ids(api)[0]}"

    done = await admin.post(f"{place}/revoke")
    refused = await admin.post(f"{place}/roll")

    assert (done.status, done.headers["location"]) == (303, f"{PLACE}?notice=key_revoked")
    assert (await api.get("/v1/customers", key=key)).status == 401
    assert refused.status == 400
    assert "is revoked, so it can't be rolled" in refused.words
    assert len(key_ids(api)) == 1


async def test_a_key_of_the_other_mode_is_neither_shown_nor_changed(
    api: Api, admin: Visitor
) -> None:
    for verb in ("roll", "revoke"):
        shown = await admin.post(f"{PLACE}/keys/key_{LIVE_KEY}/{verb}")
        assert shown.status == 404

    assert f"…{LIVE_KEY[-4:]}" not in (await admin.get(PLACE)).words
    assert (await api.get("/v1/customers", key=LIVE_KEY)).status == 200


async def test_the_local_test_key_follows_a_roll_and_a_revocation(
    tmp_path: Path, migrated: Path
) -> None:
    settings = Settings(data=str(tmp_path))
    async with running_api(tmp_path, migrated, settings=settings) as api:
        admin = await let_in(api.services, Visitor(Dashboard(api.services)), "ada", "admin")
        old = revealed(await create(admin))
        (tmp_path / TEST_KEY_FILE).write_text(old)

        new = revealed(await admin.post(f"{PLACE}/keys/{key_ids(api)[0]}/roll"))
        assert read_test_key(tmp_path) == new

        await admin.post(f"{PLACE}/keys/{key_ids(api)[1]}/revoke")
        assert read_test_key(tmp_path) is None


async def test_when_a_key_was_used_last_outlives_a_restart(tmp_path: Path, migrated: Path) -> None:
    async with running_api(tmp_path, migrated) as api:
        assert (await api.get("/v1/customers", key=LIVE_KEY)).status == 200
        assert api.services.requests.keys.last_ms() == {f"key_{LIVE_KEY}": NOW * 1000}
        await api.services.requests.keys.flush()
        assert api.services.store.reader.count(ApiKeyUse) == 1
        assert api.services.requests.keys.last_ms() == {f"key_{LIVE_KEY}": NOW * 1000}


async def test_those_who_are_no_admins_see_keys_and_change_none(viewer: Visitor) -> None:
    shown = await viewer.get(PLACE)

    assert "Admins create, roll and revoke keys" in shown.words
    assert "Settings in force" not in shown.words
    assert "Create a key" not in shown.words


async def test_settings_are_shown_without_secrets(api: Api, admin: Visitor) -> None:
    shown = await admin.get(PLACE)

    assert "alerts_per_scope 25" in shown.words
    assert "test_key set, not shown" in shown.words
    assert str(api.services.settings.test_key) not in shown.text


@pytest.mark.parametrize(
    ("settings", "url", "node"),
    [
        (Settings(host="0.0.0.0", port=99), "http://127.0.0.1:99", "port: 99"),
        (Settings(host="::1", port=99), "http://[::1]:99", 'host: "::1"'),
        (Settings(public_url="https://m.example"), "https://m.example", "port: 443"),
    ],
)
def test_snippets_have_the_servers_own_address(settings: Settings, url: str, node: str) -> None:
    texts = [text for group in snippets(settings, "sk_test_x") for _, text in group.by_language]

    assert f"curl {url}/v1/billing/meter_events -u sk_test_x:" in texts[0]
    assert f'"{url}"' in texts[1]
    assert node in texts[2]


async def logged(api: Api) -> dict[str, str]:
    """Make some requests; return their ids."""
    replies = {
        "made": await api.post("/v1/customers", {"id": "cus_a"}),
        "refused": await api.post("/v1/customers", {"nonsense": "1"}),
        "none": await api.get("/v1/billing/meters/mtr_none"),
        "live": await api.get("/v1/billing/alerts/alrt_none", key=LIVE_KEY),
    }
    await api.services.requests.flush()
    return {name: reply.headers["request-id"] for name, reply in replies.items()}


FILTERS: list[tuple[str, set[str]]] = [
    ("", {"made", "refused", "none"}),
    ("?failed=yes", {"refused", "none"}),
    ("?method=GET", {"none"}),
    ("?method=TRACE", {"made", "refused", "none"}),
    ("?path=/v1/cust", {"made", "refused"}),
    ("?path=/v1/cust*&failed=yes&method=POST", {"refused"}),
    ("?path=%27%3B--", set()),
    ("?after=x&before=-1", {"made", "refused", "none"}),
]


async def test_requests_are_filtered(api: Api, viewer: Visitor) -> None:
    ids = await logged(api)
    for query, found in FILTERS:
        shown = await viewer.get(f"{PLACE}/requests{query}")

        assert shown.status == 200
        told = {name for name, request_id in ids.items() if request_id in shown.words}
        assert told == found, query


async def test_requests_come_in_pages(api: Api, viewer: Visitor) -> None:
    for number in range(30):
        await api.post("/v1/customers", {"id": f"cus_{number}"})
    await api.services.requests.flush()

    first = await viewer.get(f"{PLACE}/requests")
    older = re.search(r'rel="next" href="([^"]+)"', first.text)
    assert older is not None
    second = await viewer.get(older[1].replace("&amp;", "&"))

    assert [page.text.count(">/v1/customers</a>") for page in (first, second)] == [25, 5]
    assert 'rel="prev"' in second.text


async def test_a_request_tells_what_was_wrong(api: Api, viewer: Visitor) -> None:
    ids = await logged(api)

    shown = await viewer.get(f"{PLACE}/requests/{ids['refused']}")

    assert "POST /v1/customers" in shown.words
    assert "Received unknown parameter: nonsense" in shown.words
    assert "parameter_unknown" in shown.words
    assert (await viewer.get(f"{PLACE}/requests/{ids['live']}")).status == 404


async def test_error_reports_tell_reasons_and_samples(api: Api, viewer: Visitor) -> None:
    await api.meter()
    await api.customer()
    bad = {"event_name": "requests", "payload": {"stripe_customer_id": "cus_a", "value": "<b>x"}}
    await stream(api, await token(api), [bad, {**bad, "event_name": "unknown"}])
    await report(api)

    shown = await viewer.get(f"{PLACE}/errors")

    assert "1 meter event not counted: requests" in shown.words
    assert "meter_event_invalid_value 1 time. Send the value as a plain decimal" in shown.words
    assert "1 meter event not counted: no meter" in shown.words
    assert "<b>x" not in shown.text
    assert "Everything was counted" in (await viewer.get("/dashboard/developers/errors")).words


def test_every_reason_has_a_hint() -> None:
    assert set(_HINTS) == set(get_args(RefusalReason))
