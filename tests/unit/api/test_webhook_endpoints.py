"""Webhook endpoints: five calls, URLs, types of events, deletion; secrets have their own module."""

from pathlib import Path
from typing import Any

import pytest

from meterbell.delivery.egress import Egress
from meterbell.delivery.lookup import Lookup
from meterbell.records import Delivery
from tests.builders import NOW
from tests.support.url_forms import ADDRESSES, url_forms
from tests.unit.api.running import LIVE_KEY, Api, running_api

HOOKS = "/v1/webhook_endpoints"
URL = "http://127.0.0.1:9009/hook"


def params(**more: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"url": URL, "enabled_events": ["*"], **more}


async def test_an_endpoint_keeps_what_it_is_made_with_and_shows_its_secret_once(api: Api) -> None:
    made = await api.made(
        HOOKS,
        params(
            enabled_events=["customer.created", "billing.alert.triggered"],
            api_version="2026-10-28.endive",
            description="D",
            metadata={"a": "1"},
        ),
    )

    secret = made.pop("secret")
    assert secret.startswith("whsec_")
    assert made == {
        "id": made["id"],
        "object": "webhook_endpoint",
        "api_version": "2026-10-28.endive",
        "application": None,
        "created": NOW,
        "description": "D",
        "enabled_events": ["customer.created", "billing.alert.triggered"],
        "livemode": False,
        "metadata": {"a": "1"},
        "standard_webhooks": False,
        "status": "enabled",
        "url": URL,
    }
    assert made["id"].startswith("we_")
    assert await api.got(f"{HOOKS}/{made['id']}") == made
    assert (await api.got(HOOKS))["data"] == [made]
    assert await api.made(f"{HOOKS}/{made['id']}") == made


BAD_URLS = [
    ("", "cannot be unset"),
    ("/hook", "http:// or https://"),
    ("example.com", "http:// or https://"),
    ("ftp://example.com/", "http:// or https://"),
    ("file:///etc/passwd", "http:// or https://"),
    ("javascript:alert(1)", "http:// or https://"),
    ("http://", "names a host"),
    ("http:///path", "names a host"),
    ("http://:80/", "names a host"),
    ("http://[::1/", "names a host"),
    ("http://example.com:99999/", "names a host"),
    ("http://example.com:port/", "names a host"),
    ("http://user@example.com/", "user name or password"),
    ("http://user:pass@example.com/", "user name or password"),
    ("http://:pass@example.com/", "user name or password"),
    ("http://exa mple.com/", "blanks"),
    ("http://example.com/\nX: y", "blanks"),
    ("http://example.com/\u00e4", "blanks"),
    ("http://example.com/" + "a" * 5000, "at most 5000 characters"),
]


@pytest.mark.parametrize(("url", "words"), BAD_URLS, ids=[url[:40] for url, _ in BAD_URLS])
async def test_urls_that_cannot_be_posted_to(api: Api, url: str, words: str) -> None:
    endpoint = (await api.made(HOOKS, params()))["id"]

    for path in (HOOKS, f"{HOOKS}/{endpoint}"):
        reply = await api.post(path, {"url": url} | (params(url=url) if path == HOOKS else {}))
        assert (reply.status, reply.error["param"]) == (400, "url")
        assert words in reply.error["message"]


@pytest.mark.parametrize("url", [URL, "https://example.com:8443/a?b=c", "http://[::1]:9009/"])
async def test_urls_that_can(api: Api, url: str) -> None:
    assert (await api.made(HOOKS, params(url=url)))["url"] == url


async def test_d4_an_endpoint_that_may_not_be_reached_is_refused(
    tmp_path: Path, migrated: Path
) -> None:
    """In all its spellings, when it is created and when it is changed, in both modes."""
    forms = url_forms(9009)
    async with running_api(tmp_path, migrated, egress=Egress(), lookup=Lookup(resolve_form)) as api:
        endpoint = (await api.made(HOOKS, params(url="https://example.com/")))["id"]
        for form in forms:
            for path, key in ((HOOKS, None), (HOOKS, LIVE_KEY), (f"{HOOKS}/{endpoint}", None)):
                reply = await api.post(path, params(url=form), key=key)
                # No parameter is looked at in a form with a NUL in it.
                param = None if "\x00" in form else "url"
                assert (reply.status, reply.error.get("param")) == (400, param), form

        assert len((await api.got(HOOKS))["data"]) == 1
        assert (await api.got(f"{HOOKS}/{endpoint}"))["url"] == "https://example.com/"


def resolve_form(name: str, *_: object, **__: object) -> list[tuple[Any, ...]]:
    """Find the addresses of the names among the forms, and a public one for all others."""
    return [(0, 0, 0, "", (address, 0)) for address in ADDRESSES.get(name, ["8.8.8.8"])]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://10.1.2.3/", "10.1.2.3 is not public: private use (RFC 1918)"),
        ("http://mixed.example/", "10.0.0.1 is not public"),
        ("http://example.com:22/", "port 22 belongs to another service"),
    ],
)
async def test_d4_a_refusal_says_what_is_wrong_and_which_setting_helps(
    api: Api, url: str, words: str
) -> None:
    reply = await api.post(HOOKS, params(url=url))

    assert (reply.status, reply.error["param"]) == (400, "url")
    assert words in reply.error["message"]
    assert "egress_allow" in reply.error["message"]


async def test_a_name_without_an_address_is_taken_for_each_attempt_decides(api: Api) -> None:
    made = await api.made(HOOKS, params(url="https://unknown.example/"), key=LIVE_KEY)

    assert made["url"] == "https://unknown.example/"


async def test_a_repeated_request_gets_the_first_answer_wherever_the_name_leads_now(
    tmp_path: Path, migrated: Path
) -> None:
    addresses = iter(["8.8.8.8", "10.0.0.1", "10.0.0.1"])

    def resolve(*_: object, **__: object) -> list[tuple[Any, ...]]:
        return [(0, 0, 0, "", (next(addresses), 0))]

    async with running_api(tmp_path, migrated, lookup=Lookup(resolve)) as api:
        headers = {"Idempotency-Key": "a"}
        first = await api.post(HOOKS, params(url="https://a.example/"), headers=headers)
        again = await api.post(HOOKS, params(url="https://a.example/"), headers=headers)
        other = await api.post(HOOKS, params(url="https://a.example/"))

    assert (first.status, again.status, other.status) == (200, 200, 400)
    assert again.raw == first.raw


async def test_live_mode_needs_https(api: Api) -> None:
    reply = await api.post(HOOKS, params(), key=LIVE_KEY)

    assert (reply.status, reply.error["param"]) == (400, "url")
    assert "https" in reply.error["message"]
    live = await api.made(HOOKS, params(url="https://example.com/"), key=LIVE_KEY)
    assert live["livemode"] is True


@pytest.mark.parametrize(
    ("names", "param"),
    [
        (["nope"], "enabled_events[0]"),
        (["*", "nope"], "enabled_events[1]"),
        (["billing.*"], "enabled_events[0]"),
        ([""], "enabled_events[0]"),
        ("*", "enabled_events"),
        (None, "enabled_events"),
    ],
)
async def test_types_of_events_are_exact(api: Api, names: object, param: str) -> None:
    reply = await api.post(HOOKS, params(enabled_events=names))

    assert (reply.status, reply.error["param"]) == (400, param)


async def test_a_type_named_twice_is_kept_once(api: Api) -> None:
    made = await api.made(HOOKS, params(enabled_events=["customer.created", "customer.created"]))

    assert made["enabled_events"] == ["customer.created"]


@pytest.mark.parametrize("version", ["1999-01-01", "latest", "2026-09-30.previews"])
async def test_versions_are_known_ones(api: Api, version: str) -> None:
    reply = await api.post(HOOKS, params(api_version=version))

    assert (reply.status, reply.error["param"]) == (400, "api_version")


async def test_an_endpoint_is_changed(api: Api) -> None:
    made = await api.made(HOOKS, params(description="D", metadata={"a": "1", "b": "2"}))
    path = f"{HOOKS}/{made['id']}"

    changed = await api.made(
        path,
        {
            "url": "http://127.0.0.1:9009/other",
            "enabled_events": ["customer.created"],
            "description": "",
            "metadata": {"b": "", "c": "3"},
            "disabled": "true",
        },
    )

    assert changed["url"] == "http://127.0.0.1:9009/other"
    assert changed["enabled_events"] == ["customer.created"]
    assert changed["description"] is None
    assert changed["metadata"] == {"a": "1", "c": "3"}
    assert changed["status"] == "disabled"
    assert (await api.made(path, {"disabled": "false"}))["status"] == "enabled"
    assert (await api.got(path))["metadata"] == {"a": "1", "c": "3"}


async def deliveries(api: Api) -> list[tuple[str, bool]]:
    """Return status and whether it is due, of all deliveries."""
    return [
        (d.status, d.next_attempt_at_ms is not None)
        for d in api.services.store.reader.find(Delivery)
    ]


async def test_only_enabled_endpoints_are_told_and_only_what_they_asked_for(api: Api) -> None:
    await api.made(HOOKS, params(enabled_events=["billing.meter.created"]))
    endpoint = (await api.made(HOOKS, params()))["id"]
    await api.customer("cus_a")
    assert len(await deliveries(api)) == 1

    await api.made(f"{HOOKS}/{endpoint}", {"disabled": "true"})
    await api.customer("cus_b")
    assert len(await deliveries(api)) == 1

    await api.meter()
    assert len(await deliveries(api)) == 2


async def test_deleting_an_endpoint_gives_up_what_was_not_delivered(api: Api) -> None:
    endpoint = (await api.made(HOOKS, params()))["id"]
    await api.customer()
    assert await deliveries(api) == [("pending", True)]

    deleted = (await api.send("DELETE", f"{HOOKS}/{endpoint}")).body

    assert deleted == {"id": endpoint, "object": "webhook_endpoint", "deleted": True}
    assert await deliveries(api) == [("canceled", False)]
    assert (await api.get(f"{HOOKS}/{endpoint}")).status == 404
    assert (await api.send("DELETE", f"{HOOKS}/{endpoint}")).status == 404


async def test_a_mode_has_sixteen_endpoints_at_most(api: Api) -> None:
    made = [(await api.made(HOOKS, params()))["id"] for _ in range(16)]

    reply = await api.post(HOOKS, params())

    assert reply.status == 400
    assert "maximum of 16 webhook endpoints" in reply.error["message"]
    assert (await api.post(HOOKS, params(url="https://a.b/"), key=LIVE_KEY)).status == 200
    await api.send("DELETE", f"{HOOKS}/{made[0]}")
    assert (await api.post(HOOKS, params())).status == 200
