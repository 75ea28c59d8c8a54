"""Links to a customer's own page, made in the dashboard."""

import html
import re
from urllib.parse import urlsplit

from meterbell.records import AuditEntry
from tests.unit.dashboard.linked import Pages
from tests.unit.dashboard.visiting import Visitor

PLACE = "/dashboard/test/customers/cus_a/page"
LINK = re.compile(r"<code>(http://127.0.0.1:4242/customer/page_tok_[^<]+)</code>")


async def test_a_link_is_made_and_shown_once(pages: Pages, editor: Visitor) -> None:
    form = {"expires_in": "900", "allow_alerts": "yes", "origin": "https://a.example"}

    made = await editor.post(PLACE, form)

    assert made.status == 200
    link = LINK.search(made.text)
    assert link is not None, made.words
    assert f'<iframe src="{link[1]}" title="Your usage"></iframe>' in html.unescape(made.text)
    shown = await pages.browser.get(urlsplit(link[1]).path)
    assert "Set an alert" in shown.words
    assert "https://a.example" in shown.headers["content-security-policy"]
    assert "page_tok_" not in (await editor.get(PLACE)).text
    (entry,) = pages.api.services.store.reader.find(AuditEntry)
    assert entry.action == "customer_page.create"
    assert entry.details["customer"] == "cus_a"
    assert "page_tok_" not in str(entry)
    pages.api.clock.advance(seconds=900)
    assert (await pages.browser.get(urlsplit(link[1]).path)).status == 404


async def test_without_more_a_link_only_shows_and_is_not_framed(
    pages: Pages, editor: Visitor
) -> None:
    made = await editor.post(PLACE, {"expires_in": "3600"})

    link = LINK.search(made.text)
    assert link is not None
    assert "iframe" not in made.text
    shown = await pages.browser.get(urlsplit(link[1]).path)
    assert "<form" not in shown.text
    assert shown.headers["content-security-policy"].endswith("frame-ancestors 'none'")


async def test_what_is_wrong_with_a_link_is_told_at_the_form(pages: Pages, editor: Visitor) -> None:
    bad = await editor.post(PLACE, {"expires_in": "3600", "origin": "a.example"})
    too_long = await editor.post(PLACE, {"expires_in": "999999"})
    await pages.api.send("DELETE", "/v1/customers/cus_a")
    deleted = await editor.post(PLACE, {"expires_in": "3600"})

    assert [shown.status for shown in (bad, too_long, deleted)] == [400, 400, 400]
    assert "an origin is scheme, host and maybe port" in bad.words
    assert 'value="a.example"' in bad.text
    assert "must be less than or equal to 86400" in too_long.words
    assert "was deleted" in deleted.words
