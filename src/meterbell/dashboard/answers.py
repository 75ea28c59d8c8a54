"""What answers to browsers have in common, for the dashboard and for customer pages."""

import gzip
from collections.abc import Sequence
from http import HTTPStatus

import structlog
from starlette.responses import Response, StreamingResponse

from meterbell.api.errors import answer_to
from meterbell.errors import MethodNotAllowedError
from meterbell.wire.form import parse_form

BODY_BYTES_MAX = 64 * 1024
NOT_KEPT = {"cache-control": "no-store"}

_SECURITY = {
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
_COMPRESSED_FROM_BYTES = 1024
_COMPRESSION_LEVEL = 5

logger = structlog.get_logger(__name__)


def security(frame_origins: Sequence[str] = ()) -> dict[str, str]:
    """Return the headers of every answer; sites other than the given ones may not frame a page."""
    ancestors = " ".join(frame_origins) or "'none'"
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; "
        f"frame-ancestors {ancestors}"
    )
    headers = {**_SECURITY, "content-security-policy": policy}
    return headers if frame_origins else {**headers, "x-frame-options": "DENY"}


def explained(error: Exception, *, path: str) -> tuple[HTTPStatus, str, dict[str, str]]:
    """Return the status of an error, what to say of it, and headers; our own faults are logged."""
    found, body = answer_to(error)
    status = HTTPStatus(found.status)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.error("page failed unexpectedly", path=path, exc_info=error)
    headers = {}
    if isinstance(error, MethodNotAllowedError):
        headers["allow"] = ", ".join(error.allowed)
    return status, body["error"]["message"], headers


def texts_of(query: bytes) -> dict[str, str]:
    """Return the parameters of a query string that are texts; pages know no others."""
    return {name: text for name, text in parse_form(query).items() if isinstance(text, str)}


def compressed(response: Response) -> Response:
    """Compress a page that is worth it; streams and what is compressed stay as they are."""
    if isinstance(response, StreamingResponse) or len(response.body) < _COMPRESSED_FROM_BYTES:
        return response
    response.body = gzip.compress(bytes(response.body), _COMPRESSION_LEVEL, mtime=0)
    response.headers["content-length"] = str(len(response.body))
    response.headers["content-encoding"] = "gzip"
    response.headers["vary"] = "accept-encoding"
    return response


def wrong_host(host: str) -> Response:
    """Return the answer to those who ask for a host that is not ours."""
    text = (
        f"These pages are not known as {host[:100]!r}. On the machine they run on, open them as "
        "localhost. To reach them by another name, start the server with --public-url and the "
        "whole address, such as --public-url https://meterbell.example.com, and give it TLS.\n"
    )
    return Response(text, HTTPStatus.MISDIRECTED_REQUEST, media_type="text/plain")
