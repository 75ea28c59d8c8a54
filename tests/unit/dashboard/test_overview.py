"""The overview: what was used, and what needs a look."""

from meterbell.records import EndpointHealth
from tests.unit.api.running import LIVE_KEY, Api, alert_params, usage
from tests.unit.dashboard.visiting import Visitor


async def test_the_latest_triggers_of_a_mode_are_told_whatever_happens_in_the_other(
    api: Api, viewer: Visitor
) -> None:
    await api.customer("cus_live", key=LIVE_KEY)
    meter = await api.meter(key=LIVE_KEY)
    await api.made("/v1/billing/alerts", alert_params(meter, 1), key=LIVE_KEY)
    await api.made("/v1/billing/meter_events", usage("5", customer="cus_live"), key=LIVE_KEY)
    await api.alert(await api.meter(), 1)
    for number in range(9):
        await api.customer(f"cus_{number}")
        await api.use("5", customer=f"cus_{number}")

    test, live = await viewer.get("/dashboard/test"), await viewer.get("/dashboard")

    assert "Used up cus_live" in live.words
    shown = [number for number in range(9) if f"Used up cus_{number} " in test.words]
    assert shown == list(range(1, 9))
    assert test.words.index("Used up cus_8") < test.words.index("Used up cus_7")


async def test_the_overview_tells_what_needs_a_look(api: Api, viewer: Visitor) -> None:
    meter = await api.meter()
    await api.alert(meter, 100)
    await api.customer("cus_a")
    await api.use("95")
    url = "http://127.0.0.1:9999/hook"
    endpoint = await api.made("/v1/webhook_endpoints", {"url": url, "enabled_events": ["*"]})
    sick = EndpointHealth(endpoint=endpoint["id"], failures=7, failing_since_ms=api.clock.now_ms())
    await api.services.committer.execute(lambda changes: changes.objects.put(sick))

    shown = await viewer.get("/dashboard/test")
    live = await viewer.get("/dashboard")

    assert "Failing webhooks and channels 1" in shown.words
    assert url in shown.words
    assert "cus_a 95 % 95 100" in shown.words
    assert "Failing webhooks and channels 0" in live.words
    assert "cus_a" not in live.words
