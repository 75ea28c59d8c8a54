"""How endpoints are and how their attempts went, in numbers and words; and JSON with colours."""

import re
from collections.abc import Iterator
from itertools import count

import pytest

from meterbell.dashboard import attempt_figures
from meterbell.dashboard.coloured import coloured_json
from meterbell.dashboard.figures import Figures
from meterbell.dashboard.states import state_of_endpoint
from meterbell.records import EndpointHealth, WebhookEndpoint
from tests.builders import NOW
from tests.unit.api.running import Api
from tests.unit.dashboard.hooks import LIST, URL, attempt, endpoint_of
from tests.unit.dashboard.visiting import Visitor, let_in

NOW_MS = NOW * 1000


def endpoint(status: str = "enabled") -> WebhookEndpoint:
    return WebhookEndpoint(
        id="we_1",
        livemode=False,
        created=NOW,
        url=URL,
        enabled_events=["*"],
        api_version=None,
        description=None,
        metadata={},
        status="disabled" if status == "disabled" else "enabled",
        secret="",
    )


@pytest.mark.parametrize(
    ("status", "health", "told"),
    [
        ("enabled", {}, ("Enabled", "good", "")),
        ("enabled", {"failures": 1}, ("Failing", "warn", "It failed once")),
        ("enabled", {"failures": 4}, ("Failing", "warn", "It failed 4 times in a row")),
        (
            "enabled",
            {"failures": 10, "openings": 1, "probe_at_ms": NOW_MS + 5},
            ("Circuit open", "bad", "10 failures in a row"),
        ),
        ("disabled", {"disabled_reason": "user"}, ("Disabled", "calm", "Somebody disabled it.")),
        ("disabled", {"disabled_reason": "gone"}, ("Disabled", "bad", "It answered 410 Gone")),
        ("disabled", {"disabled_reason": "failing"}, ("Disabled", "bad", "nothing but fail")),
    ],
)
def test_an_endpoints_state_says_why(
    status: str, health: dict[str, object], told: tuple[str, str, str]
) -> None:
    record = EndpointHealth(endpoint="we_1", **health)  # type: ignore[arg-type]

    state = state_of_endpoint(endpoint(status), record, now_ms=NOW_MS)

    assert (state.word, state.tone) == told[:2]
    assert told[2] in state.why


async def test_the_list_tells_how_attempts_of_the_last_day_went(api: Api, visitor: Visitor) -> None:
    await endpoint_of(api)
    for number in range(20):
        await api.customer(f"cus_{number}")
    await attempt(api, 1)
    api.clock.advance(seconds=25 * 3600)
    for number in range(2, 20):
        await attempt(api, number, outcome="succeeded", ms=number * 10)
    await attempt(api, 20, outcome="timeout", ms=30_000)

    viewer = await let_in(api.services, visitor, "vera", "viewer")
    shown = await viewer.get(LIST)

    assert "94.7 % of 19 attempts half within 110 ms, 95 % within" in shown.words
    assert "No answer in time" in shown.words


async def test_figures_read_only_what_is_new_and_never_very_much(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt_figures, "READ_MAX", 5)
    hook = await endpoint_of(api)
    await api.customer("cus_a")
    figures = Figures(api.services).attempts
    started = [api.clock.now_ms()]

    async def went(attempts: int) -> tuple[int, int]:
        for _ in range(attempts):
            api.clock.advance(seconds=1)
            started.append(api.clock.now_ms())
            await attempt(api, 1, outcome="succeeded")
        found = (await figures.last_day())[hook]
        return found.attempts, found.since_ms

    assert [await went(3), await went(2), await went(0)] == [(3, 0), (5, 0), (5, 0)]
    assert await went(7) == (5, started[-5])
    assert await went(2) == (7, started[-7])


def durations() -> Iterator[int]:
    """Yield durations that differ a lot."""
    return (place * place * 7 % 30_011 for place in count(1))


async def test_percentiles_are_no_more_than_three_percent_off(api: Api) -> None:
    hook = await endpoint_of(api)
    await api.customer("cus_a")
    taken = [ms for ms, _ in zip(durations(), range(300), strict=False)]
    for ms in taken:
        await attempt(api, 1, ms=ms)

    found = (await Figures(api.services).attempts.last_day())[hook]

    exact = sorted(taken)
    for told, wanted in ((found.p50_ms, exact[149]), (found.p95_ms, exact[284])):
        assert wanted * 31 / 32 <= told <= wanted


def test_json_has_colours_and_nothing_in_it_is_html() -> None:
    value = {"a<b>": ["</code><script>", 1.5, -2, True, None, 'x": "y'], "long": "z" * 60_000}

    text = coloured_json(value)

    assert '<span class="json-key">&#34;a&lt;b&gt;&#34;</span>: [' in text
    assert '<span class="json-string">&#34;&lt;/code&gt;&lt;script&gt;&#34;</span>,' in text
    assert '<span class="json-number">-2</span>' in text
    assert '<span class="json-word">null</span>' in text
    assert re.sub(r'</?span(?: class="json-[a-z]+")?>', "", text).count("<") == 0
    assert len(text) < 60_000
    assert text.endswith("… the rest is left out here.")
