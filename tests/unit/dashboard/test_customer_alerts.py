"""Customers set alerts for themselves, within limits, and change nothing else."""

import re

import pytest

from meterbell.dashboard.customer_alerts import OWN_PER_METER_MAX, SET_PER_DAY_MAX
from meterbell.dashboard.customer_visit import ACTOR
from meterbell.records import AuditEntry
from tests.unit.dashboard.linked import Pages, require_only_own


async def test_an_alert_is_set_for_the_pages_customer_whatever_the_form_says(pages: Pages) -> None:
    link = await pages.link()
    more = {
        "customer": "cus_b",
        "usage_threshold[filters][0][customer]": "cus_b",
        "usage_threshold[baseline]": "lifetime",
        "livemode": "true",
    }

    done = await pages.set_alert(link, **more)

    assert (done.status, done.headers["location"]) == (303, f"{link}?notice=set")
    (own,) = pages.own()
    alert = pages.api.services.state.alerts[own.alert]  # type: ignore[index]
    assert (alert.customer, alert.gte, alert.baseline) == ("cus_a", 100, "creation")
    shown = await pages.browser.get(done.headers["location"])
    assert "The alert is set" in shown.words
    assert "100 Mine" in shown.words
    require_only_own(shown)
    (entry,) = pages.api.services.store.reader.find(AuditEntry)
    assert (entry.actor, entry.action, entry.object) == (ACTOR, "alert.create", own.alert)
    assert link.rsplit("/", 1)[1] not in str(entry)


async def test_an_alert_that_was_set_here_triggers_and_is_shown_as_reached(pages: Pages) -> None:
    link = await pages.link()
    await pages.set_alert(link, gte="5")

    await pages.api.use("6")

    assert re.search(r"5 Mine 120 % 6 counted \d{4}-", (await pages.browser.get(link)).words)


@pytest.mark.parametrize(
    ("form", "problem"),
    [
        ({"title": ""}, "Give the alert a name."),
        ({"gte": "1.5"}, "Write a whole number"),
        ({"gte": ""}, "Say at which usage it triggers."),
        ({"meter": "mtr_none"}, "No such billing meter"),
        ({"title": "x" * 257}, "must be at most 256 characters"),
    ],
)
async def test_what_is_wrong_with_an_alert_is_told_at_the_form(
    pages: Pages, form: dict[str, str], problem: str
) -> None:
    shown = await pages.set_alert(await pages.link(), **form)

    assert shown.status == 400
    assert problem in shown.words
    assert pages.own() == []
    require_only_own(shown)


async def test_a_page_that_only_shows_changes_nothing(pages: Pages) -> None:
    allowed, shows = await pages.link(), await pages.link(allow_alerts="false")
    await pages.set_alert(allowed)
    (own,) = pages.own()
    before = pages.api.services.state.sequence

    page = await pages.browser.get(shows)
    refused = [
        await pages.set_alert(shows),
        await pages.post(f"{shows}/archive", {"alert": own.alert}),
    ]

    assert "<form" not in page.text
    assert own.alert not in page.text
    assert [shown.status for shown in refused] == [403, 403]
    assert "sets none" in refused[0].words
    assert pages.api.services.state.sequence == before


async def test_only_alerts_that_were_set_here_are_archived(pages: Pages) -> None:
    link, other = await pages.link(), await pages.link("cus_b")
    await pages.set_alert(link)
    await pages.set_alert(other)
    mine, theirs = pages.own()
    before = pages.api.services.state.sequence
    for alert in (pages.any_alert, pages.other_alert, theirs.alert, "alrt_none", ""):
        shown = await pages.post(f"{link}/archive", {"alert": alert})

        assert shown.status == 404, alert
        require_only_own(shown)
    assert pages.api.services.state.sequence == before

    done = await pages.post(f"{link}/archive", {"alert": mine.alert})

    assert done.headers["location"] == f"{link}?notice=archived"
    assert "Mine" not in (await pages.browser.get(link)).words


async def test_a_page_holds_few_alerts_and_sets_few_in_a_day(pages: Pages) -> None:
    link = await pages.link()
    for number in range(SET_PER_DAY_MAX):
        pages.api.clock.advance(seconds=1)
        assert (await pages.set_alert(link)).status == 303
        if number + 1 == OWN_PER_METER_MAX:
            assert "You have 5 alerts" in (await pages.set_alert(link)).words
        if number + 1 >= OWN_PER_METER_MAX:
            oldest = pages.own()[number + 1 - OWN_PER_METER_MAX].alert
            await pages.post(f"{link}/archive", {"alert": oldest})

    refused = await pages.set_alert(link)
    assert refused.status == 400
    assert "Try again tomorrow" in refused.words
    pages.api.clock.advance(seconds=24 * 3600)
    assert (await pages.set_alert(await pages.link())).status == 303


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "http://127.0.0.1:9"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
    ],
)
async def test_no_page_elsewhere_sets_alerts(pages: Pages, headers: dict[str, str]) -> None:
    link = await pages.link()

    shown = await pages.post(link, {"title": "x", "gte": "1"}, **headers)

    assert shown.status == 403
    assert pages.own() == []
