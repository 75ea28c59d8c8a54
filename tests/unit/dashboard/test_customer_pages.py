"""A link shows one customer its own usage and alerts, and nobody and nothing else."""

from typing import Any
from urllib.parse import quote, urlencode

import msgspec
import pytest
from structlog.testing import capture_logs

from meterbell.api.v1.customer_pages import KEY_PURPOSE
from meterbell.dashboard.answers import explained
from meterbell.dashboard.customer_app import PER_SECOND_MAX
from meterbell.errors import OverloadedError
from meterbell.ids import RandomIds
from meterbell.records import RequestEntry
from meterbell.requestlog.redaction import shown_path
from meterbell.vault import Vault, generate_key
from meterbell.wire.page_tokens import sign_page
from tests.builders import NOW
from tests.unit.api.running import LIVE_KEY, Api
from tests.unit.dashboard.linked import CLAIMS, Pages, require_only_own
from tests.unit.dashboard.visiting import Visitor


async def test_a_page_shows_usage_and_progress_and_no_names_of_alerts(pages: Pages) -> None:
    shown = await pages.browser.get(await pages.link())

    assert shown.status == 200
    assert "Usage of <i>Ada</i>" in shown.words
    assert "<i>Ada" not in shown.text
    assert "<bdi>&lt;i&gt;Ada&lt;/i&gt;</bdi>" in shown.text, "it turns nothing beside it around"
    assert "In the last 30 days 12" in shown.words
    assert "120 %" in shown.words
    assert "Set an alert" in shown.words
    assert pages.any_alert not in shown.text
    require_only_own(shown)


async def test_answers_forbid_scripts_of_others_keeping_and_telling(pages: Pages) -> None:
    link = await pages.link()
    for path in (link, f"{link}/theme.css", f"{link}/nothing", "/customer/page_tok_x"):
        shown = await pages.browser.get(path)

        policy = shown.headers["content-security-policy"]
        assert "script-src 'self'; style-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert shown.headers["x-frame-options"] == "DENY"
        assert shown.headers["referrer-policy"] == "no-referrer"
        assert shown.headers["cache-control"] == "no-store"
        assert shown.headers["x-robots-tag"] == "noindex"
        assert shown.cookies == []


async def test_only_the_links_own_origins_may_frame_the_page(pages: Pages) -> None:
    origins = ["https://app.example.com", "http://localhost:3000"]
    link = await pages.link(frame_origins=origins)

    shown = await pages.browser.get(link)

    policy = shown.headers["content-security-policy"]
    assert policy.endswith("frame-ancestors https://app.example.com http://localhost:3000")
    assert "x-frame-options" not in shown.headers


BAD_LINKS: list[tuple[dict[str, Any], str]] = [
    ({"customer": "cus_none"}, "customer"),
    ({"customer": "cus_gone"}, "customer"),
    ({"expires_in": 59}, "expires_in"),
    ({"expires_in": 86_401}, "expires_in"),
    ({"allow_alerts": "yes"}, "allow_alerts"),
    ({"theme": "pink"}, "theme"),
    ({"accent": "red"}, "accent"),
    ({"accent": "#12345"}, "accent"),
    ({"accent": "}*{x:1"}, "accent"),
    ({"frame_origins": ["*"]}, "frame_origins[0]"),
    ({"frame_origins": ["https://a.example", "https://*.example"]}, "frame_origins[1]"),
    ({"frame_origins": ["https://a.example/path"]}, "frame_origins[0]"),
    ({"frame_origins": ["https://a.example; script-src *"]}, "frame_origins[0]"),
    ({"frame_origins": ["https://a.example\n"]}, "frame_origins[0]"),
    ({"frame_origins": ["javascript:alert(1)"]}, "frame_origins[0]"),
    ({"frame_origins": ["https://a.example"] * 6}, "frame_origins"),
]


async def test_a_link_that_cant_be_made_names_the_parameter(api: Api) -> None:
    await api.customer()
    await api.customer("cus_gone")
    await api.send("DELETE", "/v1/customers/cus_gone")
    for params, param in BAD_LINKS:
        reply = await api.post("/v1/customer_pages", {"customer": "cus_a", **params})

        assert (reply.status, reply.error["param"]) == (400, param), params


async def test_in_live_mode_frames_are_on_https_only(api: Api) -> None:
    await api.customer("cus_a", key=LIVE_KEY)
    params = {"customer": "cus_a", "frame_origins": ["http://a.example"]}

    assert (await api.post("/v1/customer_pages", params, key=LIVE_KEY)).status == 400


async def test_a_key_that_only_reads_makes_no_links(api: Api) -> None:
    await api.customer()
    key = await api.add_key("rk_test_reads_only", permission="read")

    assert (await api.post("/v1/customer_pages", {"customer": "cus_a"}, key=key)).status == 403


async def test_a_link_ends_when_it_says_so(pages: Pages) -> None:
    link = await pages.link(expires_in=60)
    pages.api.clock.advance(seconds=59)
    assert (await pages.browser.get(link)).status == 200

    pages.api.clock.advance(seconds=1)

    await require_nothing(pages, link, "This link has ended")


async def test_an_ended_link_takes_nothing_from_those_that_work(pages: Pages) -> None:
    ended, link = await pages.signed(expires_at=NOW - 1), await pages.signed()
    for _ in range(PER_SECOND_MAX + 1):
        assert (await pages.browser.get(ended)).status == 404

    shown = [await pages.browser.get(link) for _ in range(PER_SECOND_MAX + 1)]

    assert [page.status for page in shown] == [200] * PER_SECOND_MAX + [429]
    assert "asked for too often" in shown[-1].words


@pytest.mark.parametrize(("error", "logged"), [(OverloadedError("Full."), 0), (OSError(), 1)])
def test_that_there_is_too_much_to_do_is_not_logged_as_a_failure(
    error: Exception, logged: int
) -> None:
    with capture_logs() as logs:
        explained(error, path="/alerts")

    assert [(line["path"], line["exc_info"]) for line in logs] == [("/alerts", error)] * logged


async def require_nothing(pages: Pages, link: str, why: str) -> None:
    """Fail unless a link shows and changes nothing, and says why."""
    for path in ("", "/theme.css", "/nothing"):
        shown = await pages.browser.get(link + path)

        assert shown.status == 404
        assert why in shown.words
        assert "Ada" not in shown.text
    before = pages.api.services.state.sequence
    assert (await pages.set_alert(link)).status == 404
    assert (await pages.post(f"{link}/archive", {"alert": pages.any_alert})).status == 404
    assert pages.api.services.state.sequence == before


async def test_the_page_of_a_deleted_customer_is_gone(pages: Pages) -> None:
    link = await pages.link()
    await pages.api.send("DELETE", "/v1/customers/cus_a")

    await require_nothing(pages, link, "This link has ended")


async def test_a_link_that_another_key_signed_is_not_valid(pages: Pages) -> None:
    claims = msgspec.structs.replace(CLAIMS)
    vault = Vault([generate_key(RandomIds())], RandomIds())

    link = f"/customer/{sign_page(claims, vault.derive(KEY_PURPOSE))}"

    await require_nothing(pages, link, "This link is not valid")


async def test_a_link_is_for_one_mode(pages: Pages) -> None:
    await pages.api.made(
        "/v1/billing/meters",
        {
            "display_name": "live only",
            "event_name": "live_only",
            "default_aggregation": {"formula": "sum"},
        },
        key=LIVE_KEY,
    )

    test = await pages.browser.get(await pages.signed())
    live = await pages.browser.get(await pages.signed(livemode=True))

    assert "Test mode" in test.words
    assert "live only" not in test.text
    assert "Usage of Live Ada" in live.words
    assert "Test mode" not in live.words
    assert "requests" not in live.text


NAMES = ("customer", "cus", "id", "livemode", "meter", "alert", "token", "view", "usage_threshold")
PARTS = ("cus_b", "/cus_b", "/../cus_b", "/alerts", "/..%2fcus_b", "//", "/series", "/.", "/live")


async def test_no_parameter_or_path_reaches_another_customer(pages: Pages) -> None:
    link, other = await pages.link(), await pages.link("cus_b")
    token, other_token = link.rsplit("/", 1)[1], other.rsplit("/", 1)[1]
    head, mac = token.split(".")
    other_head, other_mac = other_token.split(".")
    values = ("cus_b", pages.other_alert, "true", other_token, "<script>")
    paths = [
        *(f"{link}?{urlencode({name: value})}" for name in NAMES for value in values),
        *(f"{link}{part}" for part in PARTS),
        *(f"/customer/{text}" for text in ("cus_b", quote("../dashboard"), head, mac)),
        f"/customer/{head}.{other_mac}",
        f"/customer/{other_head}.{mac}",
        f"/customer/{other_head}.",
        f"/customer//{other_token[:-1]}",
    ]
    for path in paths:
        pages.api.clock.advance(seconds=1)  # or it would be too often
        shown = await pages.browser.get(path)

        assert shown.status in (200, 404, 405), path
        require_only_own(shown)


async def test_a_page_is_not_known_by_another_host_or_method(pages: Pages) -> None:
    link = await pages.link()
    elsewhere = Visitor(pages.browser.dashboard, host="evil.example")

    assert (await elsewhere.get(link)).status == 421
    for shown, methods in (
        (await pages.browser.get(f"{link}/archive"), "POST"),
        (await pages.post(f"{link}/theme.css", {}), "GET, HEAD"),
    ):
        assert (shown.status, shown.headers["allow"]) == (405, methods)
    assert (await pages.browser.get("/customer/")).status == 404


async def test_a_link_opens_nothing_else(pages: Pages) -> None:
    link = await pages.link()
    token = link.rsplit("/", 1)[1]

    assert (await pages.api.get("/v1/customers", key=token)).status == 401
    pages.browser.cookies["meterbell_session"] = token
    assert (await pages.browser.get("/dashboard/test")).status == 303


async def test_no_log_holds_a_link(pages: Pages) -> None:
    link = await pages.link()
    token = link.rsplit("/", 1)[1]
    await pages.browser.get(link)
    await pages.api.get(f"/v1/customer/{token}")
    await pages.api.services.requests.flush()

    entries = pages.api.services.store.reader.find(RequestEntry)
    assert "/v1/customer_pages" in [entry.path for entry in entries]
    assert token not in str(entries)
    for is_known in (True, False):
        assert token not in shown_path(link, is_known=is_known)


async def test_a_page_has_the_theme_and_the_colour_of_the_link(pages: Pages) -> None:
    link = await pages.link(theme="dark", accent="#FFCC00")

    shown = await pages.browser.get(link)
    theme = await pages.browser.get(f"{link}/theme.css")

    assert '<html lang="en" data-theme="dark">' in shown.text
    assert f'href="{link}/theme.css"' in shown.text
    assert theme.headers["content-type"].startswith("text/css")
    assert "--accent: light-dark(#7f6600, #ffcc00)" in theme.text
    assert 'style="' not in shown.text
