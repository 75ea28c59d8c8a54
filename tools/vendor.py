"""Takes the dashboard's vendored files from their npm packages anew; `make vendor` calls it.

`VENDOR.toml` says which files of which version; the checksums in it are written here.
"""

import hashlib
import io
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path

FOLDER = Path("src/meterbell/dashboard/static/vendor")
LIST = FOLDER / "VENDOR.toml"


def main() -> None:
    """Fetch every package and replace every file."""
    text = LIST.read_text()
    for package in tomllib.loads(text)["package"]:
        archive = fetch(package["origin"], package["version"])
        for file in package["file"]:
            content = archive[f"package/{file['from']}"]
            target = FOLDER / file["to"]
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(content)
            text = with_checksum(text, file["to"], hashlib.sha256(content).hexdigest())
    LIST.write_text(text)


def fetch(name: str, version: str) -> dict[str, bytes]:
    """Return the files of an npm package by path."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", f"{name}@{version}", "--silent", "--pack-destination", folder]
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - names of our own
        (path,) = Path(folder).iterdir()
        content = path.read_bytes()
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return {
            member.name: file.read()
            for member in archive.getmembers()
            if (file := archive.extractfile(member)) is not None
        }


def with_checksum(text: str, name: str, checksum: str) -> str:
    """Return the list with a file's checksum written in."""
    line = re.compile(rf'(to = "{re.escape(name)}", sha256 = ")[0-9a-f]*(")')
    changed, times = line.subn(rf"\g<1>{checksum}\g<2>", text)
    if times != 1:
        sys.exit(f"VENDOR.toml names {name} {times} times")
    return changed


if __name__ == "__main__":
    main()
