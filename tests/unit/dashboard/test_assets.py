"""What browsers load besides pages: where it comes from, that it is whole, small and kept."""

import gzip
import hashlib
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

from meterbell.dashboard.assets import Assets
from tests.support.tree import ROOT
from tests.unit.dashboard.visiting import Visitor

STATIC = ROOT / "src/meterbell/dashboard/static"
VENDOR = STATIC / "vendor"
PACKAGES = tomllib.loads((VENDOR / "VENDOR.toml").read_text())["package"]
FILES = {file["to"]: file for package in PACKAGES for file in package["file"]}
COMPRESSED_BYTES_MAX = 60_000


def test_vendored_files_are_those_that_the_list_names() -> None:
    there = {
        path.relative_to(VENDOR).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.rglob("*")
        if path.is_file() and path.name != "VENDOR.toml"
    }
    assert there == {name: file["sha256"] for name, file in FILES.items()}


def test_every_vendored_package_is_pinned_and_brings_its_licence() -> None:
    for package in PACKAGES:
        assert package["version"].count(".") == 2
        assert package["licence"] in {"0BSD", "ISC", "MIT"}
        licences = [file["to"] for file in package["file"] if file["to"].endswith("LICENSE.txt")]
        assert len(licences) == 1, package["name"]


def test_scripts_and_styles_are_small() -> None:
    loaded = [path for path in STATIC.rglob("*") if path.suffix in {".js", ".css"}]
    compressed = {path.name: len(gzip.compress(path.read_bytes(), 9)) for path in loaded}
    assert sum(compressed.values()) <= COMPRESSED_BYTES_MAX, compressed


def test_the_wheel_holds_everything_that_pages_need(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.iterdir()
    held = set(zipfile.ZipFile(wheel).namelist())
    needed = {
        path.relative_to(ROOT / "src").as_posix()
        for folder in ("static", "templates")
        for path in (ROOT / "src/meterbell/dashboard" / folder).rglob("*")
        if path.is_file()
    }
    assert needed - held == set()


async def test_an_asset_is_kept_for_ever_at_an_address_that_changes_with_it(
    visitor: Visitor,
) -> None:
    url = Assets().url("app.css")
    content = (STATIC / "app.css").read_bytes()
    assert hashlib.sha256(content).hexdigest()[:16] in url

    plain = await visitor.get(url)
    packed = await visitor.get(url, accept_encoding="gzip")

    assert plain.raw == gzip.decompress(packed.raw) == content
    for shown in (plain, packed):
        assert shown.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert shown.headers["content-type"] == "text/css; charset=utf-8"
        assert shown.headers["vary"] == "accept-encoding"
        assert shown.cookies == []


async def test_other_paths_below_static_are_not_there(visitor: Visitor) -> None:
    for name in ("app.css", "0000000000000000/app.css", "../app.py", "vendor/VENDOR.toml"):
        assert (await visitor.get(f"/dashboard/static/{name}")).status == 404
