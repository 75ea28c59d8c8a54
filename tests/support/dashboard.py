"""What tests of the dashboard need to go through its routes: an address for each of them."""

import re
from collections.abc import Mapping

from meterbell.dashboard.visit import Route, url_of

World = Mapping[str, str]
"""An example id by the first part of a path: `{"alerts": "alrt_…"}`."""


def address(route: Route, world: World, *, livemode: bool = False) -> str:
    """Return where a route is found, with an example in the place of its `{id}`."""
    section = route.path.split("/")[1]

    def fill(_placeholder: re.Match[str]) -> str:
        assert section in world, f"make an example for {route.path} in the fixture `world`"
        return world[section]

    return url_of(re.sub(r"\{\w+\}", fill, route.path), livemode=livemode)


def has_example(route: Route, world: World) -> bool:
    """Return whether a route needs no example, or has one."""
    return "{" not in route.path or route.path.split("/")[1] in world
