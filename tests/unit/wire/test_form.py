"""Forms: nesting, encodings, bounds, and never anything but a value or a clear refusal."""

from contextlib import suppress
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterbell.errors import InvalidParamError
from meterbell.wire.form import (
    DEPTH_MAX,
    FIELDS_MAX,
    KEY_CHARACTERS_MAX,
    Form,
    encode_form,
    format_path,
    parse_form,
)


@pytest.mark.parametrize(
    ("body", "values"),
    [
        (b"", {}),
        (b"a=1", {"a": "1"}),
        (b"a=", {"a": ""}),
        (b"a", {"a": ""}),
        (b"a=1&b=2", {"a": "1", "b": "2"}),
        (b"&a=1&&b=2&", {"a": "1", "b": "2"}),
        (b"a=b=c", {"a": "b=c"}),
        (b"a[b]=1", {"a": {"b": "1"}}),
        (b"a[b]=1&a[c]=2", {"a": {"b": "1", "c": "2"}}),
        (b"a[0][b]=1&a[1][b]=2", {"a": {"0": {"b": "1"}, "1": {"b": "2"}}}),
        (b"a[]=x&a[]=y", {"a": {"0": "x", "1": "y"}}),
        (b"a[b][]=x&a[b][]=y", {"a": {"b": {"0": "x", "1": "y"}}}),
        (b"a%5Bb%5D=1", {"a": {"b": "1"}}),
        (b"a%5bb%5d=1", {"a": {"b": "1"}}),
        (b"a[b+c]=d+e", {"a": {"b c": "d e"}}),
        (b"a=%2B+%26+%3D", {"a": "+ & ="}),
        (b"a=%C3%A4", {"a": "\u00e4"}),
        ("a=\u00e4\u6f22".encode(), {"a": "\u00e4\u6f22"}),
        (b"a=%ZZ", {"a": "%ZZ"}),
        (b"a=%", {"a": "%"}),
        (b"a=x[0]", {"a": "x[0]"}),
    ],
)
def test_what_forms_mean(body: bytes, values: Form) -> None:
    assert parse_form(body) == values


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        (b"a=1&a=2", "a", "twice"),
        (b"a[b]=1&a[b]=2", "a[b]", "twice"),
        (b"a=1&a[b]=2", "a", "both"),
        (b"a[b]=2&a=1", "a", "both"),
        (b"a[b]=1&a[b][c]=2", "a[b]", "both"),
        (b"a[1]=x&a[]=y", "a[]", "twice"),
    ],
)
def test_a_parameter_given_twice_is_refused_by_name(body: bytes, param: str, words: str) -> None:
    with pytest.raises(InvalidParamError, match=words) as caught:
        parse_form(body)

    assert caught.value.param == param


@pytest.mark.parametrize(
    "body",
    [b"[a]=1", b"=1", b"a[=1", b"a]=1", b"a[b=1", b"a[b]c=1", b"a[b]]=1", b"a[[b]]=1", b"a[][b]=1"],
)
def test_a_name_with_odd_brackets_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidParamError, match="Invalid parameter name"):
        parse_form(body)


@pytest.mark.parametrize(
    "body",
    [
        b"a=%ff",
        b"a=\xff",
        b"%ff=1",
        b"a=%C3",
        b"a=%ED%A0%80",  # a surrogate alone
        b"a=%C0%80",  # NUL, overlong
        b"a=%F5%80%80%80",
    ],
)
def test_what_is_not_utf_8_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidParamError, match="not valid UTF-8"):
        parse_form(body)


@pytest.mark.parametrize("body", [b"a=%00", b"a=\0", b"a%00=1", b"a[%00]=1"])
def test_nul_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidParamError, match="NUL"):
        parse_form(body)


def test_fields_are_bounded() -> None:
    def fields(count: int) -> bytes:
        return b"&".join(b"a[%d]=1" % number for number in range(count))

    assert len(parse_form(fields(FIELDS_MAX))["a"]) == FIELDS_MAX
    with pytest.raises(InvalidParamError, match="Too many parameters"):
        parse_form(fields(FIELDS_MAX + 1))


def test_depth_is_bounded() -> None:
    deepest = b"a" + b"[b]" * (DEPTH_MAX - 1)
    parse_form(deepest + b"=1")

    with pytest.raises(InvalidParamError, match="nested too deeply"):
        parse_form(deepest + b"[b]=1")


def test_names_are_bounded_in_characters() -> None:
    longest = "\u00e4" * KEY_CHARACTERS_MAX
    assert parse_form(quote_plus(longest[:128]).encode() + b"=1") == {longest[:128]: "1"}
    assert parse_form(longest.encode() + b"=1") == {longest: "1"}

    for name in ("a" * (KEY_CHARACTERS_MAX + 1), "%41" * 10_000):
        with pytest.raises(InvalidParamError, match="name is too long"):
            parse_form(name.encode() + b"=1")


def test_a_path_is_written_with_brackets() -> None:
    assert format_path(("a",)) == "a"
    assert format_path(("a", "b", "0")) == "a[b][0]"


def test_forms_are_encoded_as_the_sdks_do() -> None:
    values = {"a": {"b": [1, {"c": True}]}, "d": None, "e": "x y&z", "f": False}

    assert encode_form(values) == b"a[b][0]=1&a[b][1][c]=true&e=x+y%26z&f=false"


names = st.text(st.characters(exclude_characters="[]\0", codec="utf-8"), min_size=1, max_size=10)
texts = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=20)
forms: st.SearchStrategy[Form] = st.recursive(
    st.dictionaries(names, texts, min_size=1, max_size=4),
    lambda inner: st.dictionaries(names, inner, min_size=1, max_size=3),
    max_leaves=5,
)


@given(forms)
def test_what_is_encoded_decodes_to_the_same(form: Form) -> None:
    assert parse_form(encode_form(form)) == form


@given(st.one_of(st.binary(max_size=200), st.text("ab[]=&%+0\0\u00e4", max_size=60)))
def test_whatever_comes_is_decoded_or_refused(body: bytes | str) -> None:
    with suppress(InvalidParamError):
        assert isinstance(parse_form(body if isinstance(body, bytes) else body.encode()), dict)
