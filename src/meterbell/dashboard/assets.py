"""Static files: read once, compressed once, at addresses that change with their content."""

import gzip
import hashlib
from dataclasses import dataclass
from http import HTTPStatus
from importlib.resources import files
from importlib.resources.abc import Traversable

from starlette.responses import Response

from meterbell.dashboard.visit import MOUNT

PREFIX = "/static/"
_TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
}
_HASH_LENGTH = 16
_HEADERS = {
    "cache-control": "public, max-age=31536000, immutable",
    "cross-origin-resource-policy": "same-origin",
    "vary": "accept-encoding",
    "x-content-type-options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file."""

    url: str
    content: bytes
    compressed: bytes
    content_type: str


class Assets:
    """All files that browsers load besides pages."""

    def __init__(self) -> None:
        """Read them from the package."""
        self._by_name = {name: _asset(name, content) for name, content in _read_all()}
        self._by_url = {asset.url: asset for asset in self._by_name.values()}

    def url(self, name: str) -> str:
        """Return where a file is found, by its path below `static`."""
        return self._by_name[name].url

    def find(self, path: str, *, takes_gzip: bool) -> Response:
        """Return the answer for a path below the mount."""
        asset = self._by_url.get(MOUNT + path)
        if asset is None:
            return Response("There is no such file.", HTTPStatus.NOT_FOUND, media_type="text/plain")
        headers = {**_HEADERS, "content-type": asset.content_type}
        if takes_gzip:
            headers["content-encoding"] = "gzip"
        return Response(asset.compressed if takes_gzip else asset.content, headers=headers)


def read_icons() -> dict[str, str]:
    """Return the insides of the vendored icons by name, to be drawn within a page."""
    folder = files("meterbell.dashboard").joinpath("static", "vendor", "icons")
    icons = {}
    for file in folder.iterdir():
        _, _, inside = file.read_text().partition("\n>\n")
        icons[file.name.removesuffix(".svg")] = inside.removesuffix("</svg>\n").strip()
    return icons


def _read_all() -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []

    def read(folder: Traversable, path: str) -> None:
        for entry in folder.iterdir():
            name = f"{path}{entry.name}"
            if entry.is_dir():
                if entry.name != "icons":
                    read(entry, f"{name}/")
            elif name.rpartition(".")[2] in _TYPES:
                found.append((name, entry.read_bytes()))

    read(files("meterbell.dashboard").joinpath("static"), "")
    return found


def _asset(name: str, content: bytes) -> Asset:
    digest = hashlib.sha256(content).hexdigest()[:_HASH_LENGTH]
    return Asset(
        url=f"{MOUNT}{PREFIX}{digest}/{name}",
        content=content,
        compressed=gzip.compress(content, 9, mtime=0),
        content_type=_TYPES[name.rpartition(".")[2]],
    )
