"""A dashboard over an API, with one of everything that pages show."""

from collections.abc import Callable

import pytest

from meterbell.dashboard.app import Dashboard
from tests.support.dashboard import LISTS, NUMBERED, World
from tests.unit.api.running import Api
from tests.unit.dashboard.linked import Pages, two_customers
from tests.unit.dashboard.visiting import Visitor, let_in

NewVisitor = Callable[[], Visitor]


@pytest.fixture
def dashboard(api: Api) -> Dashboard:
    return Dashboard(api.services)


@pytest.fixture
def visitor(dashboard: Dashboard) -> Visitor:
    return Visitor(dashboard)


@pytest.fixture
async def viewer(api: Api, dashboard: Dashboard) -> Visitor:
    return await let_in(api.services, Visitor(dashboard), "vera", "viewer")


@pytest.fixture
async def editor(api: Api, dashboard: Dashboard) -> Visitor:
    return await let_in(api.services, Visitor(dashboard), "eddy", "editor")


@pytest.fixture
async def admin(api: Api, dashboard: Dashboard) -> Visitor:
    return await let_in(api.services, Visitor(dashboard), "ada", "admin")


@pytest.fixture
async def pages(api: Api, dashboard: Dashboard) -> Pages:
    return await two_customers(api, dashboard)


@pytest.fixture
async def world(api: Api) -> World:
    """One of everything in test mode; the names are what a page must not take for HTML."""
    customer = await api.customer("cus_a")
    meter = await api.meter()
    await api.alert(meter, 10)
    hook = {"url": "http://127.0.0.1:9009/", "enabled_events": ["*"]}
    await api.made("/v1/webhook_endpoints", hook)
    await api.use("12", customer=customer)
    key = await api.add_key("sk_test_of_the_world")
    await api.made("/v1/notification_channels", {"name": "Sales <b>", "url": "slack://a/b/c"})
    await api.post("/v1/customers", {"nonsense": "<b>"})
    await api.services.requests.flush()
    listed = {
        section: (await api.got(path, {"limit": 1}))["data"][0]["id"]
        for section, path in LISTS.items()
    }
    return NUMBERED | listed | {"keys": f"key_{key}"}
