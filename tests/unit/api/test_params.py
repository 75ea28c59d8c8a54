"""Declared parameters: what each kind takes, and the exact words of each refusal."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterbell.api.params import (
    UNSET,
    Array,
    Boolean,
    Choice,
    Integer,
    Metadata,
    Object,
    Param,
    Range,
    Text,
    Texts,
    read_params,
)
from meterbell.errors import InvalidParamError
from meterbell.wire.form import parse_form

DECLARED: dict[str, Param] = {
    "title": Text(length_max=20, required=True),
    "note": Text(can_unset=True),
    "word": Text(is_plain=True),
    "number": Integer(),
    "limit": Integer(minimum=1, maximum=100),
    "flag": Boolean(),
    "kind": Choice(values=("usage_threshold",)),
    "either": Choice(values=("hour", "day"), can_unset=True),
    "formula": Choice(values=("count", "last", "sum")),
    "inner": Object(fields={"needed": Text(required=True), "more": Integer()}),
    "items": Array(item=Object(fields={"name": Text(required=True)}), items_max=2),
    "names": Array(item=Text(), can_unset=True),
    "payload": Texts(keys_max=2, key_length_max=5, value_length_max=5),
    "metadata": Metadata(),
    "created": Range(),
}


def read(form: str) -> dict[str, Any]:
    values = read_params(DECLARED, parse_form(f"title=T&{form}".encode()))
    values.pop("title")
    return values


@pytest.mark.parametrize(
    ("form", "values"),
    [
        ("", {}),
        ("note=x", {"note": "x"}),
        ("note=", {"note": UNSET}),
        ("note=a%0Ab", {"note": "a\nb"}),
        ("number=-5", {"number": -5}),
        ("number=007", {"number": 7}),
        ("number=9223372036854775807", {"number": 2**63 - 1}),
        ("number=-9223372036854775808", {"number": -(2**63)}),
        ("limit=1", {"limit": 1}),
        ("limit=100", {"limit": 100}),
        ("flag=true", {"flag": True}),
        ("flag=false", {"flag": False}),
        ("either=day", {"either": "day"}),
        ("either=", {"either": UNSET}),
        ("inner[needed]=x&inner[more]=1", {"inner": {"needed": "x", "more": 1}}),
        ("items[0][name]=a&items[1][name]=b", {"items": [{"name": "a"}, {"name": "b"}]}),
        ("names[]=a&names[]=b", {"names": ["a", "b"]}),
        ("names[1]=b&names[0]=a", {"names": ["a", "b"]}),
        ("names[10]=b&names[9]=a", {"names": ["a", "b"]}),
        ("names=", {"names": UNSET}),
        ("payload[a]=1&payload[b]=", {"payload": {"a": "1", "b": ""}}),
        ("metadata[a]=1&metadata[b]=", {"metadata": {"a": "1", "b": UNSET}}),
        ("metadata=", {"metadata": UNSET}),
        ("created=5", {"created": 5}),
        ("created[gte]=5&created[lt]=9", {"created": {"gte": 5, "lt": 9}}),
    ],
)
def test_what_is_taken(form: str, values: dict[str, Any]) -> None:
    assert read(form) == values


EMPTY = (
    "You passed an empty string for '{0}'. We assume empty values are an attempt to unset a "
    "parameter; however '{0}' cannot be unset. You should remove '{0}' from your request or supply "
    "a non-empty value."
)

REFUSED = [
    # form, param, code, the whole message
    ("foo=1", "foo", "parameter_unknown", "Received unknown parameter: foo"),
    ("foo=1&bar=2", "foo", "parameter_unknown", "Received unknown parameters: foo, bar"),
    ("flg=true", "flg", "parameter_unknown",
     "Received unknown parameter: flg. Did you mean flag?"),
    ("inner[needed]=x&inner[mor]=1", "inner[mor]", "parameter_unknown",
     "Received unknown parameter: inner[mor]. Did you mean inner[more]?"),
    ("inner[more]=1", "inner[needed]", "parameter_missing",
     "Missing required param: inner[needed]."),
    ("items[1][nam]=a", "items[1][nam]", "parameter_unknown",
     "Received unknown parameter: items[1][nam]. Did you mean items[1][name]?"),
    ("number=abc", "number", "parameter_invalid_integer", "Invalid integer: abc"),
    ("number=1.5", "number", "parameter_invalid_integer", "Invalid integer: 1.5"),
    ("number=%2B1", "number", "parameter_invalid_integer", "Invalid integer: +1"),
    ("number=1_000", "number", "parameter_invalid_integer", "Invalid integer: 1_000"),
    ("number=+1", "number", "parameter_invalid_integer", "Invalid integer:  1"),
    ("number=1e3", "number", "parameter_invalid_integer", "Invalid integer: 1e3"),
    ("number=\u0661", "number", "parameter_invalid_integer", "Invalid integer: \u0661"),
    ("number=9223372036854775808", "number", "parameter_invalid_integer",
     "Invalid integer: 9223372036854775808"),
    ("number=" + "9" * 10_000, "number", "parameter_invalid_integer",
     "Invalid integer: " + "9" * 40 + "\u2026"),
    ("number=", "number", "parameter_invalid_empty", EMPTY.format("number")),
    ("number[a]=1", "number", None,
     "Invalid string: number is one value, not an object or an array."),
    ("limit=0", "limit", "parameter_invalid_integer",
     "Invalid integer: limit must be greater than or equal to 1."),
    ("limit=101", "limit", "parameter_invalid_integer",
     "Invalid integer: limit must be less than or equal to 100."),
    ("flag=yes", "flag", None, "Invalid boolean: yes. flag is true or false."),
    ("flag=True", "flag", None, "Invalid boolean: True. flag is true or false."),
    ("kind=other", "kind", None, "Invalid kind: must be usage_threshold"),
    ("either=week", "either", None, "Invalid either: must be one of hour or day"),
    ("formula=max", "formula", None, "Invalid formula: must be one of count, last, or sum"),
    ("formula=", "formula", "parameter_invalid_empty", EMPTY.format("formula")),
    ("word=a%01b", "word", None,
     "Invalid string: word holds a control character, which it may not."),
    ("inner=x", "inner", None, "Invalid object: inner is written inner[\u2026]."),
    ("inner=", "inner", None, "Invalid object: inner is written inner[\u2026]."),
    ("inner[needed]=", "inner[needed]", "parameter_invalid_empty", EMPTY.format("inner[needed]")),
    ("items=x", "items", None, "Invalid array: items is written items[\u2026]."),
    ("items[a][name]=x", "items", None,
     "Invalid array: items is numbered items[0], items[1] and so on, up to 999."),
    ("items[1000][name]=x", "items", None,
     "Invalid array: items is numbered items[0], items[1] and so on, up to 999."),
    ("items[00][name]=x", "items", None,
     "Invalid array: items is numbered items[0], items[1] and so on, up to 999."),
    ("items[0]=x", "items[0]", None, "Invalid object: items[0] is written items[0][\u2026]."),
    ("items[0][name]=a&items[1][name]=b&items[2][name]=c", "items", None,
     "Invalid array: items holds at most 2 items."),
    ("payload=x", "payload", None, "Invalid object: payload is written payload[\u2026]."),
    ("payload[a][b]=x", "payload[a]", None, "Invalid string: payload[a] is one value."),
    ("payload[a]=1&payload[b]=2&payload[c]=3", "payload", None,
     "Invalid object: payload holds at most 2 keys."),
    ("payload[abcdef]=1", "payload", None,
     "Invalid payload key: abcdef\u2026; must be at most 5 characters"),
    ("payload[a]=123456", "payload[a]", "parameter_invalid_string_too_long",
     "Invalid string: 123456...123456; must be at most 5 characters"),
    ("metadata=x", "metadata", None, "Invalid object: metadata is written metadata[\u2026]."),
    ("metadata[a][b]=x", "metadata[a]", None, "Metadata values are texts: metadata[a] is not."),
    ("metadata[" + "k" * 41 + "]=x", "metadata", None, "Metadata keys have 1 to 40 characters."),
    ("metadata[a]=" + "v" * 501, "metadata[a]", None,
     ("Metadata values can have up to 500 characters; you passed in a value of length 501 for "
      "metadata[a].")),
    ("created=x", "created", "parameter_invalid_integer", "Invalid integer: x"),
    ("created[since]=5", "created[since]", "parameter_unknown",
     "Received unknown parameter: created[since]"),
    ("created[gte]=x", "created[gte]", "parameter_invalid_integer", "Invalid integer: x"),
    ("created=-1", "created", "parameter_invalid_integer",
     "Invalid integer: created must be greater than or equal to 0."),
]  # fmt: skip


@pytest.mark.parametrize(
    ("form", "param", "code", "message"), REFUSED, ids=[row[0][:40] for row in REFUSED]
)
def test_what_is_refused(form: str, param: str, code: str | None, message: str) -> None:
    with pytest.raises(InvalidParamError) as caught:
        read(form)

    error = caught.value
    assert (error.message, error.param, error.code) == (message, param, code)


@pytest.mark.parametrize(
    ("form", "code", "message"),
    [
        ("", "parameter_missing", "Missing required param: title."),
        ("title=", "parameter_invalid_empty", EMPTY.format("title")),
        (
            "title=abcdefghijklmnopqrstuvwxyz",
            "parameter_invalid_string_too_long",
            "Invalid string: abcdefghij...qrstuvwxyz; must be at most 20 characters",
        ),
    ],
)
def test_a_text_that_is_needed(form: str, code: str, message: str) -> None:
    with pytest.raises(InvalidParamError) as caught:
        read_params(DECLARED, parse_form(form.encode()))

    assert (caught.value.message, caught.value.code) == (message, code)
    assert caught.value.param == "title"


def test_lengths_are_counted_in_characters() -> None:
    longest = "\u6f22" * 20
    assert read_params(DECLARED, parse_form(f"title={longest}".encode())) == {"title": longest}


@given(st.text(st.characters(exclude_characters="\0&+%", codec="utf-8"), max_size=30))
def test_an_integer_is_ascii_digits_and_nothing_else(text: str) -> None:
    looks = text.removeprefix("-").isascii() and text.removeprefix("-").isdigit()
    try:
        value = read_params({"n": Integer()}, parse_form(f"n={text}".encode()))["n"]
    except InvalidParamError:
        assert not looks or not -(2**63) <= int(text[:40]) < 2**63 or len(text) > 19
    else:
        assert looks
        assert value == int(text)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([*DECLARED, "foo"]),
            st.sampled_from(
                ["", "[]", "[0]", "[name]", "[0][name]", "[gte]", "[needed]", "[x][y]"]
            ),
            st.sampled_from(["", "1", "true", "x", "-9223372036854775809", "sum"]),
        ),
        max_size=5,
    )
)
def test_whatever_is_declared_and_sent_it_is_read_or_refused(
    fields: list[tuple[str, str, str]],
) -> None:
    body = "&".join(f"{name}{path}={value}" for name, path, value in fields)
    with suppress(InvalidParamError):
        assert read_params(DECLARED, parse_form(body.encode())).keys() <= DECLARED.keys()
