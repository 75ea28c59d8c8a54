"""What is told to everybody, without a key: health, metrics, the reference."""

from collections.abc import Mapping
from http import HTTPStatus

from meterbell.api.http import Answer
from meterbell.services import Services
from meterbell.wire.json import encode_json

_METRICS_TYPE = b"text/plain; version=0.0.4; charset=utf-8"


class Pages:
    """Pages by their paths."""

    def __init__(self, services: Services, fixed: Mapping[str, Answer]) -> None:
        """Prepare.

        Args:
            services: Whose health and metrics are told.
            fixed: Pages that never change.
        """
        self._services = services
        self._fixed = fixed

    def find(self, method: str, path: str) -> Answer | None:
        """Return the page at a path, if there is one."""
        if path in ("/healthz", "/readyz"):
            return self._health(path)
        if method not in ("GET", "HEAD"):
            return None
        if path == "/metrics" and self._services.metrics is not None:
            return Answer(HTTPStatus.OK, self._services.metrics.render(), (), _METRICS_TYPE)
        return self._fixed.get(path)

    def _health(self, path: str) -> Answer:
        """Answer whether the process lives, or whether it takes requests."""
        committer = self._services.committer
        trouble = None
        if path == "/readyz" and committer.failed:
            trouble = "the store failed; the server is ending"
        elif path == "/readyz" and committer.waiting >= self._services.settings.queue_max:
            trouble = "the commit queue is full"
        if trouble is None:
            return Answer(HTTPStatus.OK, encode_json({"status": "ok"}))
        body = encode_json({"status": "not ready", "reason": trouble})
        return Answer(HTTPStatus.SERVICE_UNAVAILABLE, body)
