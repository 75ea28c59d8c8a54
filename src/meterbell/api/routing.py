"""Which route a request goes to, in both versions of the API."""

from collections.abc import Iterable
from typing import Generic, Protocol, TypeVar

from starlette.routing import compile_path

from meterbell.errors import MethodNotAllowedError, NotFoundError


class Routed(Protocol):
    """What has a method and a path with placeholders, such as `/v1/customers/{customer}`."""

    @property
    def path(self) -> str:
        """The path, with placeholders."""
        ...

    @property
    def method(self) -> str:
        """GET, POST or DELETE."""
        ...


R = TypeVar("R", bound=Routed)


class RouteTable(Generic[R]):
    """Routes, found by the method and the path of a request.

    Attributes:
        fixed: Routes without placeholders, by method and path.
    """

    def __init__(self, routes: Iterable[R]) -> None:
        """Prepare to find some routes."""
        self._routes = [(compile_path(route.path)[0], route) for route in routes]
        self.fixed = {
            (route.method, route.path): route for _, route in self._routes if "{" not in route.path
        }

    def find(self, method: str, path: str) -> tuple[R, dict[str, str]]:
        """Return the route of a request, and what stands in its placeholders.

        Raises:
            NotFoundError: There is none.
            MethodNotAllowedError: There is, but not with this method.
        """
        fixed = self.fixed.get((method, path))
        if fixed is not None:
            return fixed, {}
        allowed = []
        for pattern, route in self._routes:
            match = pattern.fullmatch(path)
            if match is not None:
                if route.method == method:
                    return route, match.groupdict()
                allowed.append(route.method)
        shown = f"{method[:10]}: {path[:200]}"
        if allowed:
            raise MethodNotAllowedError(
                f"Unrecognized request method ({shown}). This URL takes {', '.join(allowed)}.",
                allowed=allowed,
            )
        raise NotFoundError(
            f"Unrecognized request URL ({shown}). The routes that there are stand at /docs.",
            code="url_not_found",
        )
