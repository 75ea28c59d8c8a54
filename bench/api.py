"""Calls to the server besides the load: one connection, JSON with exact decimals."""

import json
import time
from collections.abc import Iterator, Mapping
from decimal import Decimal
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode

_TIMEOUT_SECONDS = 60
_PAGE = 100
_ERRORS = 400
_IDLE_SECONDS = 30


class Api:
    """A client of one meterbell server."""

    def __init__(self, port: int, key: str) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_SECONDS)
        self._used = time.monotonic()
        self._headers = {"Authorization": f"Bearer {key}"}

    def get(self, path: str, params: Mapping[str, object]) -> Any:  # noqa: ANN401 - JSON
        """Read something."""
        return self._call("GET", f"{path}?{urlencode(params)}", None)

    def post(self, path: str, params: Mapping[str, object]) -> Any:  # noqa: ANN401 - JSON
        """Change something."""
        return self._call("POST", path, urlencode(params))

    def pages(self, path: str, params: Mapping[str, object]) -> Iterator[dict[str, Any]]:
        """Yield all objects of a list."""
        cursor: dict[str, object] = {}
        while True:
            page = self.get(path, {**params, **cursor, "limit": _PAGE})
            yield from page["data"]
            if not page["has_more"]:
                return
            cursor = {"starting_after": page["data"][-1]["id"]}

    def exists(self, path: str) -> bool:
        """Return whether the server knows a path for POST."""
        headers = {**self._headers, "Content-Type": "application/json"}
        self._connection.request("POST", path, body="{}", headers=headers)
        answer = self._connection.getresponse()
        answer.read()
        return answer.status < _ERRORS

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def _call(self, method: str, path: str, body: str | None) -> Any:  # noqa: ANN401 - JSON
        headers = dict(self._headers)
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        if time.monotonic() - self._used > _IDLE_SECONDS:
            self._connection.close()  # the server closes what is idle for long; it opens again
        self._connection.request(method, path, body=body, headers=headers)
        answer = self._connection.getresponse()
        text = answer.read()
        self._used = time.monotonic()
        if answer.status >= _ERRORS:
            raise RuntimeError(f"{method} {path} answers {answer.status}: {text[:300]!r}")
        return json.loads(text, parse_float=Decimal)
