"""Usage in files: columns, identifiers, and what is wrong with a line."""

from pathlib import Path

import pytest

from meterbell.cli.output import CommandError
from meterbell.cli.usage_file import (
    BadLine,
    Format,
    Usage,
    count_lines,
    find_format,
    read_usage,
)

HEADER = "event_name,stripe_customer_id,value\n"


def read(
    folder: Path,
    text: str | bytes,
    *,
    file_format: Format = "csv",
    event_name: str | None = None,
    batch: str = "usage.csv",
) -> list[Usage | BadLine]:
    path = folder / "usage"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return list(read_usage(path, file_format=file_format, event_name=event_name, batch=batch))


def identifiers(lines: list[Usage | BadLine]) -> list[str]:
    return [line.identifier for line in lines if isinstance(line, Usage)]


def reasons(lines: list[Usage | BadLine]) -> list[tuple[int, str]]:
    return [(line.line, line.reason) for line in lines if isinstance(line, BadLine)]


def test_columns_that_are_not_the_events_own_are_payload(tmp_path: Path) -> None:
    text = "event_name,timestamp,identifier,stripe_customer_id,value,model\nr,1795348800,i1,c,5,s\n"

    (usage,) = read(tmp_path, text)

    assert isinstance(usage, Usage)
    assert usage.form == {
        "event_name": "r",
        "timestamp": "1795348800",
        "identifier": "i1",
        "payload[stripe_customer_id]": "c",
        "payload[value]": "5",
        "payload[model]": "s",
    }


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("1795348800", 1795348800),
        ("2026-11-22T12:00:00Z", 1795348800),
        ("2026-11-22 12:00:00", 1795348800),
        ("2026-11-22T14:00:00+02:00", 1795348800),
    ],
)
def test_a_timestamp_is_unix_seconds_or_a_time(tmp_path: Path, written: str, seconds: int) -> None:
    (usage,) = read(tmp_path, f"event_name,timestamp,value\nr,{written},5\n")

    assert isinstance(usage, Usage)
    assert usage.timestamp == seconds


def test_empty_cells_and_blank_lines_are_left_out(tmp_path: Path) -> None:
    (usage,) = read(tmp_path, f"\ufeff{HEADER}\nr,,5\n\n")

    assert isinstance(usage, Usage)
    assert usage.line == 3
    assert usage.payload == {"value": "5"}


def test_one_name_may_stand_for_all_lines(tmp_path: Path) -> None:
    lines = read(tmp_path, "stripe_customer_id,value\nc,5\n", event_name="r")

    assert [line.event_name for line in lines if isinstance(line, Usage)] == ["r"]


def test_c2_a_second_run_makes_the_same_identifiers(tmp_path: Path) -> None:
    text = f"{HEADER}r,c,1\nr,c,1\nr,d,1\n"

    first, second = identifiers(read(tmp_path, text)), identifiers(read(tmp_path, text))

    assert first == second
    assert len(set(first)) == 3
    assert all(len(identifier) <= 100 for identifier in first)


def test_c2_correcting_a_line_leaves_the_others_identifiers(tmp_path: Path) -> None:
    before = identifiers(read(tmp_path, f"{HEADER}r,c,1\nr,c,x\nr,c,1\n"))
    after = identifiers(read(tmp_path, f"{HEADER}r,new,7\nr,c,1\nr,c,2\nr,c,1\n"))

    assert {before[0], before[2]} <= set(after)
    assert before[1] not in after


def test_equal_lines_of_another_batch_are_other_usage(tmp_path: Path) -> None:
    text = f"{HEADER}r,c,1\n"

    monday = identifiers(read(tmp_path, text, batch="monday"))
    tuesday = identifiers(read(tmp_path, text, batch="tuesday"))

    assert monday != tuesday


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"a,b,c,d", "4 cells, but the header names 3 columns"),
        (b",c,1", "event_name is missing"),
        (b"r,,", "there is no payload: neither customer nor value"),
        (b"r,\xff\xfe,1", "not UTF-8"),
        (b'r,"c,1', "not well-formed CSV: unexpected end of data"),
    ],
    ids=repr,
)
def test_a_bad_csv_line_is_named_and_the_others_go_on(
    tmp_path: Path, row: bytes, reason: str
) -> None:
    lines = read(tmp_path, HEADER.encode() + b"r,c,1\n" + row + b"\n")

    assert reasons(lines) == [(3, reason)]
    assert len(identifiers(lines)) == 1


def test_a_bad_timestamp_is_named(tmp_path: Path) -> None:
    lines = read(tmp_path, "event_name,timestamp,value\nr,yesterday,5\n")

    assert reasons(lines)[0][1].startswith("timestamp 'yesterday' is neither")


def test_lines_are_counted_as_an_editor_does(tmp_path: Path) -> None:
    lines = read(tmp_path, f'{HEADER}r,"two\nlines",1\nr,c\na,b,c,d\n')

    assert [line.line for line in lines] == [2, 4, 5]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no header"),
        ("a,a\n1,2\n", "each column needs a name of its own"),
        ("value\n5\n", "no column event_name"),
    ],
    ids=repr,
)
def test_a_header_that_does_not_fit_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(CommandError, match=message):
        read(tmp_path, text)


def test_c3_numbers_in_json_keep_their_digits(tmp_path: Path) -> None:
    text = '{"event_name":"r","stripe_customer_id":"c","value":0.10000000000000000001}\n'

    (usage,) = read(tmp_path, text, file_format="ndjson")

    assert isinstance(usage, Usage)
    assert usage.payload["value"] == "0.10000000000000000001"


def test_payload_in_json_may_be_nested(tmp_path: Path) -> None:
    text = '{"event_name":"r","timestamp":1795348800,"payload":{"value":5,"note":null}}\n'

    (usage,) = read(tmp_path, text, file_format="ndjson")

    assert isinstance(usage, Usage)
    assert (usage.timestamp, usage.payload) == (1795348800, {"value": "5"})


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("[1]", "not a JSON object"),
        ("{", "not well-formed JSON: Expecting property name enclosed in double quotes"),
        ('{"event_name":"r","value":true}', "value is neither text nor a number"),
        ('{"event_name":"r","value":NaN}', "NaN is no value"),
        ('{"event_name":"r","payload":5}', "payload is not an object"),
        (
            '{"event_name":"r","value":1,"payload":{"value":2}}',
            "value stands both inside payload and outside",
        ),
        ('{"event_name":"r","value":"\\ud800"}', "not UTF-8"),
    ],
    ids=repr,
)
def test_a_bad_json_line_is_named(tmp_path: Path, row: str, reason: str) -> None:
    lines = read(tmp_path, f"\n{row}\n", file_format="ndjson")

    assert reasons(lines) == [(2, reason)]


def test_the_name_tells_the_format() -> None:
    names = ["a.csv", "a.ndjson", "a.JSONL", "a.txt"]

    assert [find_format(Path(name)) for name in names] == ["csv", "ndjson", "ndjson", "csv"]


def test_a_missing_file_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="No such file"):
        count_lines(tmp_path / "missing.csv")
