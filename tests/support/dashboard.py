"""What goes through the routes of the dashboard needs: an address for each of them."""

import re
from collections.abc import Mapping
from typing import Any

import stripe

from meterbell.dashboard.visit import Route, url_of

World = Mapping[str, str]
"""An example id by the part of a path that stands before it: `{"alerts": "alrt_…"}`."""
_SIGN_IN_LINK = re.compile(r"http://\S+/dashboard/sign-in/link\?token=\w+")
_PLACEHOLDER = re.compile(r"([\w-]+)/\{\w+\}")

LISTS = {
    "alerts": "/v1/billing/alerts",
    "channels": "/v1/notification_channels",
    "customers": "/v1/customers",
    "meters": "/v1/billing/meters",
    "events": "/v1/events",
    "requests": "/meterbell/requests",
    "webhooks": "/v1/webhook_endpoints",
}
"""Where the API lists what pages show one of, by the part of the path that stands before its id.

The first one listed is the example.
"""

NUMBERED = {"deliveries": "dlv_1", "meter-events": "2"}
"""Examples with a number in place of a random id: the first of each, behind the first alert."""

DOOR = {"/sign-in", "/sign-in/link", "/sign-out"}
"""Where one signs in and out."""


def sign_in_link(output: str) -> str:
    """Return the link that a server printed when it began."""
    found = _SIGN_IN_LINK.search(output)
    assert found is not None, output
    return found[0]


def examples(client: stripe.StripeClient) -> dict[str, str]:
    """Return an example of everything there is on a server."""
    found = dict(NUMBERED)
    for section, path in LISTS.items():
        listed: Any = client.raw_request("get", path, limit=1).data
        if listed["data"]:
            found[section] = listed["data"][0]["id"]
    return found


def address(route: Route, world: World, *, livemode: bool = False) -> str:
    """Return where a route is found, with an example in the place of its `{id}`."""

    def fill(found: re.Match[str]) -> str:
        assert found[1] in world, f"say in `LISTS` where the API lists what {route.path} shows"
        return f"{found[1]}/{world[found[1]]}"

    return url_of(_PLACEHOLDER.sub(fill, route.path), livemode=livemode)
