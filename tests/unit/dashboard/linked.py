"""Two customers and links to their pages, for the tests beside."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec

from meterbell.api.v1.customer_pages import KEY_PURPOSE
from meterbell.dashboard.app import Dashboard
from meterbell.records import CustomerAlert
from meterbell.wire.page_tokens import PageClaims, sign_page
from tests.builders import NOW
from tests.unit.api.running import LIVE_KEY, Api
from tests.unit.dashboard.visiting import Shown, Visitor

CLAIMS = PageClaims(
    livemode=False,
    customer="cus_a",
    expires_at=NOW + 3600,
    allow_alerts=True,
    theme="auto",
    accent="",
    frame_origins=[],
)
# What must never be seen on the page of cus_a.
FOREIGN = ("cus_b", "Bob", "secretly at 7", "777", "live meter", "https://hooks.example", "whsec_")


@dataclass
class Pages:
    """An API with two customers, and a browser.

    Attributes:
        meter: Its usage: 12 by cus_a, 777 by cus_b.
        other_alert: Watches cus_b only.
        any_alert: Watches any customer; cus_a reached it.
    """

    api: Api
    browser: Visitor
    meter: str
    other_alert: str
    any_alert: str

    async def link(self, customer: str = "cus_a", **params: Any) -> str:  # noqa: ANN401
        """Return the path of a customer's page."""
        more = {"allow_alerts": "true", **params}
        made = await self.api.made("/v1/customer_pages", {"customer": customer, **more})
        return urlsplit(str(made["url"])).path

    async def signed(self, **changes: object) -> str:
        """Return a link that is signed as ours, whatever it says."""
        key = self.api.services.vault.derive(KEY_PURPOSE)
        return f"/customer/{sign_page(msgspec.structs.replace(CLAIMS, **changes), key)}"

    async def post(self, path: str, form: Mapping[str, str], **headers: str) -> Shown:
        """Send a form as the page would."""
        return await self.browser.post(path, form, csrf="", **headers)

    async def set_alert(self, link: str, **form: str) -> Shown:
        """Set an alert on a page."""
        fields = {"title": "Mine", "meter": self.meter, "gte": "100", **form}
        return await self.post(link, fields)

    def own(self) -> list[CustomerAlert]:
        """Return the alerts that were set on pages."""
        return self.api.services.store.reader.find(CustomerAlert)


async def two_customers(api: Api, dashboard: Dashboard) -> Pages:
    """Make two customers, of whom each must not see the other."""
    await api.made("/v1/customers", {"id": "cus_a", "name": "<i>Ada</i>"})
    await api.made("/v1/customers", {"id": "cus_b", "name": "Bob"})
    await api.made("/v1/customers", {"id": "cus_a", "name": "Live Ada"}, key=LIVE_KEY)
    await api.meter("live meter", key=LIVE_KEY)
    await api.made(
        "/v1/webhook_endpoints", {"url": "https://hooks.example/x", "enabled_events": ["*"]}
    )
    meter = await api.meter()
    any_alert = await api.alert(meter, 10)
    only = {"filters": [{"type": "customer", "customer": "cus_b"}]}
    other = await api.made(
        "/v1/billing/alerts",
        {
            "alert_type": "usage_threshold",
            "title": "secretly at 7",
            "usage_threshold": {"gte": 8888, "meter": meter, "recurrence": "one_time", **only},
        },
    )
    await api.use("12")
    await api.use("777", customer="cus_b")
    return Pages(api, Visitor(dashboard), meter, other["id"], any_alert)


def require_only_own(shown: Shown) -> None:
    """Fail if anything of anybody else is on a page."""
    found = [text for text in (*FOREIGN, "8888", "8\u202f888", "Used up") if text in shown.text]
    assert found == [], shown.words
