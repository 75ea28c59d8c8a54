"""The overview: what was used, and what needs a look."""

from meterbell.dashboard.app import Dashboard
from meterbell.ledger.totals import write_totals
from meterbell.records import EndpointHealth
from tests.unit.api.running import Api
from tests.unit.dashboard.visiting import Visitor, let_in


async def test_the_overview_tells_what_there_is_where_the_last_value_counts(
    api: Api, dashboard: Dashboard
) -> None:
    await api.meter("requests", formula="last")
    for customer in ("cus_a", "cus_b"):
        await api.customer(customer)
    await api.services.committer.execute(write_totals)
    await api.use("400", customer="cus_a")
    await api.use("50", customer="cus_b")
    api.clock.advance(seconds=24 * 3600)
    await api.services.committer.execute(write_totals)
    await api.use("420", customer="cus_a")
    api.clock.advance(seconds=3600)
    await api.services.committer.execute(write_totals)

    viewer = await let_in(api.services, Visitor(dashboard), "vera", "viewer")
    assert "requests 470 450" in (await viewer.get("/dashboard/test")).words


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
