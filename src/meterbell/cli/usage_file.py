"""Usage in a file: CSV or NDJSON → one report a line, each with an identifier of its own.

A line without an identifier gets one made from the batch's name, the line's own content, and how
often the same content stood there before. So a second run counts nothing twice, also after other
lines of the file were corrected, added or removed.
"""

import csv
import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Literal, TextIO

from meterbell.cli.output import CommandError

Format = Literal["csv", "ndjson"]

_SECONDS = re.compile(r"[0-9]{1,12}", re.ASCII)
_SURROGATE = re.compile("[\ud800-\udfff]")
_OWN = ("event_name", "timestamp", "identifier")
_NDJSON_SUFFIXES = (".ndjson", ".jsonl", ".json")


@dataclass(frozen=True, slots=True)
class Usage:
    """One line as it will be reported; `line` counts from 1, as editors do."""

    line: int
    event_name: str
    identifier: str
    timestamp: int | None
    payload: dict[str, str]

    @property
    def form(self) -> dict[str, str]:
        """The report as form fields."""
        fields = {"event_name": self.event_name, "identifier": self.identifier}
        if self.timestamp is not None:
            fields["timestamp"] = str(self.timestamp)
        return fields | {f"payload[{key}]": value for key, value in self.payload.items()}


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that can't be reported, and why."""

    line: int
    reason: str


class BadLineError(Exception):
    """Says what is wrong with a line."""


def find_format(path: Path) -> Format:
    """Return the format that a file's name tells: NDJSON by its ending, else CSV."""
    return "ndjson" if path.suffix.lower() in _NDJSON_SUFFIXES else "csv"


def count_lines(path: Path) -> int:
    """Return about how many lines a file has, for a progress bar.

    Raises:
        CommandError: The file can't be read.
    """
    count = 0
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                count += block.count(b"\n")
    except OSError as error:
        raise CommandError(f"{path} can't be read: {error.strerror or error}.") from error
    return count


def read_usage(
    path: Path, *, file_format: Format, event_name: str | None, batch: str
) -> Iterator[Usage | BadLine]:
    """Yield a file's lines in order, those that are unfit included.

    Args:
        path: The file.
        file_format: How it is written.
        event_name: For lines that name none.
        batch: What the identifiers belong to: the same line in another batch counts again.

    Raises:
        CommandError: The file can't be read, or a CSV file has no fit header.
    """
    seen: Counter[bytes] = Counter()
    try:
        # What is not UTF-8 comes through marked, so that only its line is refused.
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            rows = _csv_rows(file, path, event_name) if file_format == "csv" else _json_rows(file)
            for line, fields in rows:
                if isinstance(fields, BadLine):
                    yield fields
                    continue
                try:
                    yield _usage(line, fields, event_name=event_name, batch=batch, seen=seen)
                except BadLineError as error:
                    yield BadLine(line, str(error))
    except OSError as error:
        raise CommandError(f"{path} can't be read: {error.strerror or error}.") from error


_Rows = Iterator[tuple[int, Mapping[str, str] | BadLine]]


def _csv_rows(file: TextIO, path: Path, event_name: str | None) -> _Rows:
    reader = csv.reader(file, strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
    except csv.Error as error:
        raise CommandError(f"{path}, line 1: {error}.") from error
    _check_header(header, path, event_name)
    line = reader.line_num + 1
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield line, BadLine(line, f"not well-formed CSV: {error}")
        else:
            if len(cells) > len(header):
                reason = f"{len(cells)} cells, but the header names {len(header)} columns"
                yield line, BadLine(line, reason)
            elif cells:
                yield line, dict(zip(header, cells, strict=False))
        line = reader.line_num + 1


def _check_header(header: list[str], path: Path, event_name: str | None) -> None:
    if not any(header):
        raise CommandError(f"{path} has no header. Its first line names the columns.")
    if len(set(header)) != len(header) or "" in header:
        raise CommandError(f"{path}, line 1: each column needs a name of its own.")
    if "event_name" not in header and event_name is None:
        raise CommandError(
            f"{path}, line 1: there is no column event_name. Add it, or name one for all lines "
            "with --event-name."
        )


def _json_rows(file: TextIO) -> _Rows:
    for line, text in enumerate(file, start=1):
        if not text.strip():
            continue
        try:
            # Numbers stay as they are written, digit by digit.
            value = json.loads(text, parse_float=str, parse_int=str, parse_constant=_no_constant)
            yield line, _flat(value)
        except BadLineError as error:
            yield line, BadLine(line, str(error))
        except (ValueError, RecursionError) as error:
            reason = error.msg if isinstance(error, json.JSONDecodeError) else "nested too deeply"
            yield line, BadLine(line, f"not well-formed JSON: {reason}")


def _no_constant(name: str) -> str:
    raise BadLineError(f"{name} is no value")


def _flat(value: object) -> dict[str, str]:
    """Return an object's fields; those of `payload`, if it has one, beside the others."""
    if not isinstance(value, dict):
        raise BadLineError("not a JSON object")
    payload = value.pop("payload", {})
    if not isinstance(payload, dict):
        raise BadLineError("payload is not an object")
    fields: dict[str, str] = {}
    for name, item in chain(value.items(), payload.items()):
        if item is None:
            continue
        if not isinstance(item, str):
            raise BadLineError(f"{name} is neither text nor a number")
        if name in fields:
            raise BadLineError(f"{name} stands both inside payload and outside")
        fields[name] = item
    return fields


def _usage(
    line: int,
    fields: Mapping[str, str],
    *,
    event_name: str | None,
    batch: str,
    seen: Counter[bytes],
) -> Usage:
    filled = {name: text for name, cell in fields.items() if (text := cell.strip())}
    content = json.dumps(sorted(filled.items())).encode()
    if any(_SURROGATE.search(text) for text in filled.values()):
        raise BadLineError("not UTF-8")
    name = filled.get("event_name") or event_name
    if not name:
        raise BadLineError("event_name is missing")
    timestamp = filled.get("timestamp")
    payload = {key: text for key, text in filled.items() if key not in _OWN}
    if not payload:
        raise BadLineError("there is no payload: neither customer nor value")
    identifier = filled.get("identifier") or _identifier(content, name, batch, seen)
    return Usage(
        line=line,
        event_name=name,
        identifier=identifier,
        timestamp=None if timestamp is None else parse_timestamp(timestamp),
        payload=payload,
    )


def _identifier(content: bytes, event_name: str, batch: str, seen: Counter[bytes]) -> str:
    digest = hashlib.blake2b(json.dumps([batch, event_name]).encode(), digest_size=16)
    digest.update(content)
    base = digest.digest()
    repeat = seen[base]
    seen[base] += 1
    return f"{base.hex()}-{repeat}" if repeat else base.hex()


def parse_timestamp(text: str) -> int:
    """Return Unix seconds from Unix seconds or an ISO 8601 time, which is UTC if it names no zone.

    Raises:
        BadLineError: It is neither.
    """
    if _SECONDS.fullmatch(text):
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadLineError(
            f"timestamp {text[:40]!r} is neither Unix seconds nor a time like 2026-01-31T12:00:00Z"
        ) from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
