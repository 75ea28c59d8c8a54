"""JSON bodies: bytes → typed structs, or an error that names the field at fault."""

import json
import re
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from meterbell.api.http import Headers
from meterbell.errors import InvalidParamError, UnsupportedMediaTypeError

B = TypeVar("B", bound=msgspec.Struct)

_JSON = b"application/json"
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_PLACE = re.compile(r"(.*) - at (`key` in )?`\$(.*)`", re.DOTALL)
_STEP = re.compile(r"\.(\w+)|\[([0-9]+)\]")
_MISSING = re.compile(r"Object missing required field `(.*)`", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_ANY_KEY = "[...]"
_SHOWN_CHARACTERS = 60
_SPACED = re.compile(rb'"[ \t\r\n]+:')


def require_json(headers: Headers, body: bytes) -> None:
    """Refuse a body that is not JSON by its content type.

    Raises:
        UnsupportedMediaTypeError: Its content type says that it is something else.
    """
    kind = headers.get(b"content-type", _JSON).partition(b";")[0].strip().lower()
    if body and kind != _JSON:
        raise UnsupportedMediaTypeError(
            f"The v2 API reads JSON, not {kind.decode('latin-1')[:80]}. Send the parameters as "
            "application/json, as the SDKs do."
        )


def decode_body(body: bytes, into: type[B], *, key_count: Callable[[B], int] | None = None) -> B:
    """Return the struct that a JSON body stands for; an empty body is `{}`.

    Args:
        body: As received.
        into: What it must be.
        key_count: How many keys the body has if none is given twice and none is null.

    Raises:
        InvalidParamError: It is not JSON, has a field that is unknown, missing, given twice or of
            the wrong type, or holds a NUL character.
    """
    body = body or b"{}"
    try:
        decoded = msgspec.json.decode(body, type=into)
    except msgspec.ValidationError as error:
        raise _explained(str(error), body, into) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidParamError(
            f"The request's body is not valid JSON: {str(error)[:100]}."
        ) from error
    if b"\\u0000" in body and _NUL.search(body):
        raise InvalidParamError("The request holds a NUL character, which no parameter may hold.")
    if key_count is None or not _has_keys(body, key_count(decoded)):
        json.loads(body, object_pairs_hook=_require_unique)
    return decoded


def _has_keys(body: bytes, count: int) -> bool:
    """Return whether a valid body surely has no more than so many keys; it has no fewer.

    A quote before a colon ends a key, or is an escaped one inside a text. A key that is written
    with a blank before its colon is not seen by counting, so there may be none.
    """
    return body.count(b'":') == count and not _SPACED.search(body)


def _require_unique(pairs: list[tuple[str, Any]]) -> None:
    """Refuse a key that stands twice: two readers could take it for two different requests."""
    seen = set()
    for key, _ in pairs:
        if key in seen:
            raise InvalidParamError(f"{key[:60]} is given twice in one object.", param=key[:60])
        seen.add(key)


def _explained(message: str, body: bytes, into: type[msgspec.Struct]) -> InvalidParamError:
    """Return the decoder's complaint in the API's own words, with the field's path."""
    place = _PLACE.fullmatch(message)
    what, is_key, path = (place[1], bool(place[2]), place[3]) if place else (message, False, "")
    path = path.removeprefix(".")
    missing, unknown = _MISSING.fullmatch(what), _UNKNOWN.fullmatch(what)
    if missing:
        at = _join(path, missing[1])
        return InvalidParamError(
            f"Missing required param: {at}.", param=at, code="parameter_missing"
        )
    if unknown:
        at = _join(path, unknown[1][:_SHOWN_CHARACTERS])
        return InvalidParamError(
            f"Received unknown parameter: {at}", param=at, code="parameter_unknown"
        )
    if path.endswith(_ANY_KEY):
        path = path.removesuffix(_ANY_KEY)
        path = _join(path, _wrong_key(body, path))
    name = path or "the body"
    wanted = (what[:1].lower() + what[1:]).replace("`str", "`string").replace("`", "")
    wanted = wanted.replace("of length <=", "of length at most")
    at = f"a key of {name}" if is_key else name
    if what.startswith("Invalid enum value"):
        return InvalidParamError(
            f"Invalid {at}: must be one of {', '.join(_choices(into, path))}.", param=path
        )
    return InvalidParamError(f"Invalid {at}: {wanted}.", param=path or None)


def _wrong_key(body: bytes, path: str) -> str:
    """Return the key whose value can't be right, in the object of texts at a path.

    The rest of the body was not read, so it may be anything; then the decoder's own mark stays.
    """
    try:
        found = json.loads(body)
        for name, index in _STEP.findall(f".{path}"):
            found = found[int(index)] if index else found[name]
        wrong = [key for key, value in found.items() if not isinstance(value, str)]
        longest = max(found, key=lambda key: len(str(found[key])))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return "…"
    return str([*wrong, longest][0])[:_SHOWN_CHARACTERS]


def _choices(into: type[msgspec.Struct], path: str) -> list[str]:
    """Return the words that a field may have, from the schema of the body."""
    (schema,), parts = msgspec.json.schema_components([into])
    for name, _ in [*_STEP.findall(f".{path}"), ("", "")]:
        schema = next(
            (option for option in schema.get("anyOf", ()) if option.get("type") != "null"), schema
        )
        schema = parts.get(schema.get("$ref", "").rpartition("/")[2], schema)
        if "enum" in schema:
            break
        schema = schema["properties"][name] if name else schema["items"]
    return [str(word) for word in schema["enum"]]


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
