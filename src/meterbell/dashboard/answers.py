"""What answers to browsers have in common, for the dashboard and for customer pages."""

import gzip
from http import HTTPStatus

from starlette.responses import Response, StreamingResponse

BODY_BYTES_MAX = 64 * 1024
SECURITY = {
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
NOT_KEPT = {"cache-control": "no-store"}

_COMPRESSED_FROM_BYTES = 1024
_COMPRESSION_LEVEL = 5


def content_policy(*, frame_ancestors: str) -> str:
    """Return the content security policy of a page, which tells also who may frame it."""
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; "
        f"frame-ancestors {frame_ancestors}"
    )


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
