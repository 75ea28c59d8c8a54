"""The overview: what was used, and what needs a look."""

from meterbell.records import EndpointHealth
from tests.unit.api.running import Api
from tests.unit.dashboard.visiting import Visitor


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

    assert "Failing webhooks 1" in shown.words
    assert url in shown.words
    assert "cus_a 95 % 95 100" in shown.words
    assert "Failing webhooks 0" in live.words
    assert "cus_a" not in live.words
