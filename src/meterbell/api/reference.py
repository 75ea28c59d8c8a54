"""Pages about the API itself: `/openapi.json` for machines, `/docs` for people.

Everything that the page needs is in the package. Its content security policy keeps a browser from
asking any other host for anything.
"""

from collections.abc import Sequence
from http import HTTPStatus
from importlib.metadata import version
from importlib.resources import files

from meterbell.api.call import Operation
from meterbell.api.http import Answer
from meterbell.api.openapi import describe
from meterbell.api.v2.openapi import describe_v2
from meterbell.api.v2.route import Route
from meterbell.wire.json import encode_json

_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    b"img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    b"frame-ancestors 'none'"
)
_HEADERS = (
    (b"content-security-policy", _POLICY),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)
_CACHED = (b"cache-control", b"public, max-age=3600")
_PLAIN = b"text/plain; charset=utf-8"
_STATIC = {
    "swagger-ui-bundle.js": b"text/javascript; charset=utf-8",
    "swagger-ui.css": b"text/css; charset=utf-8",
    "docs.js": b"text/javascript; charset=utf-8",
    "docs.css": b"text/css; charset=utf-8",
    "swagger-ui.LICENSE.txt": _PLAIN,
    "swagger-ui.NOTICE.txt": _PLAIN,
    "swagger-ui-bundle.js.LICENSE.txt": _PLAIN,
}


def reference_pages(operations: Sequence[Operation], routes: Sequence[Route]) -> dict[str, Answer]:
    """Return the answers to GET by path; none of them needs a key."""
    described = describe(operations, version=version("meterbell"))
    document = encode_json(describe_v2(routes, described))
    pages = {
        "/openapi.json": Answer(HTTPStatus.OK, document),
        "/docs": Answer(HTTPStatus.OK, _read("docs.html"), _HEADERS, b"text/html; charset=utf-8"),
    }
    for name, content_type in _STATIC.items():
        headers = (*_HEADERS, _CACHED)
        pages[f"/docs/{name}"] = Answer(HTTPStatus.OK, _read(name), headers, content_type)
    return pages


def _read(name: str) -> bytes:
    return files("meterbell.api").joinpath("static", name).read_bytes()
