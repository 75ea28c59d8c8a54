"""What tests of the dashboard need to go through its routes: an address for each of them."""

import re
from collections.abc import Mapping

from meterbell.dashboard.visit import Route, url_of

World = Mapping[str, str]
"""An example id by the part of a path that stands before it: `{"alerts": "alrt_…"}`."""
_PLACEHOLDER = re.compile(r"(\w+)/\{\w+\}")


def address(route: Route, world: World, *, livemode: bool = False) -> str:
    """Return where a route is found, with an example in the place of its `{id}`."""

    def fill(found: re.Match[str]) -> str:
        assert found[1] in world, f"make an example for {route.path} in the fixture `world`"
        return f"{found[1]}/{world[found[1]]}"

    return url_of(_PLACEHOLDER.sub(fill, route.path), livemode=livemode)


def has_example(route: Route, world: World) -> bool:
    """Return whether a route needs no example, or has one."""
    return all(part in world for part in _PLACEHOLDER.findall(route.path))
