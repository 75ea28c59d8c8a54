"""Bracketed form keys ↔ nested values: `a[b][0]=x` is `{"a": {"b": {"0": "x"}}}`, pure.

Everything is bounded before it is allocated: body, fields, key length, depth. Lists stay objects
with numbers for keys here; whoever knows that a parameter is a list turns them into one.
"""

from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import quote_plus, unquote_to_bytes

from meterbell.errors import InvalidParamError

BODY_BYTES_MAX = 2**20
FIELDS_MAX = 1000
KEY_CHARACTERS_MAX = 256
DEPTH_MAX = 8

Form = dict[str, "str | Form"]


def parse_form(body: bytes) -> Form:
    """Return the nested values of a form body or a query string.

    Raises:
        InvalidParamError: It is no well-formed UTF-8 form, or passes a bound.
    """
    form: Form = {}
    if not body:
        return form
    fields = body.split(b"&", FIELDS_MAX + 1)
    if len(fields) > FIELDS_MAX:
        raise InvalidParamError(f"Too many parameters: a request has at most {FIELDS_MAX}.")
    for field in fields:
        if field:
            raw_key, _, raw_value = field.partition(b"=")
            path = _parse_key(raw_key)
            if len(path) == 1 and path[0] not in form:
                form[path[0]] = _decode(raw_value)
            else:
                _put(form, path, _decode(raw_value))
    return form


def _put(form: Form, path: tuple[str, ...], value: str) -> None:
    """Set the value at a path, refusing one that stands there already."""
    target = form
    for depth, part in enumerate(path[:-1], start=1):
        inner = target.setdefault(part, {})
        if isinstance(inner, str):
            name = format_path(path[:depth])
            raise InvalidParamError(f"{name} is given both as a text and as an object.", param=name)
        target = inner
    last = path[-1]
    if not last:  # a[]=x appends
        last = str(len(target))
    if last in target:
        name = format_path(path)
        what = "twice" if isinstance(target[last], str) else "both as a text and as an object"
        raise InvalidParamError(f"{name} is given {what}.", param=name)
    target[last] = value


@lru_cache(maxsize=1024)
def _parse_key(raw: bytes) -> tuple[str, ...]:
    """Return the parts of a key: `a[b][]` is `("a", "b", "")`."""
    if len(raw) > KEY_CHARACTERS_MAX * 3:
        raise InvalidParamError(
            f"A parameter's name is too long: at most {KEY_CHARACTERS_MAX} characters."
        )
    key = _decode(raw)
    if len(key) > KEY_CHARACTERS_MAX:
        raise InvalidParamError(
            f"A parameter's name is too long: at most {KEY_CHARACTERS_MAX} characters."
        )
    name, *rest = key.split("[")
    parts = [name]
    for part in rest:
        if not part.endswith("]") or "]" in part[:-1]:
            raise InvalidParamError(f"Invalid parameter name: {key[:60]!r} has unpaired brackets.")
        parts.append(part[:-1])
    if not name or "]" in name or "" in parts[:-1]:
        raise InvalidParamError(f"Invalid parameter name: {key[:60]!r}.")
    if len(parts) > DEPTH_MAX:
        raise InvalidParamError(f"{name} is nested too deeply: at most {DEPTH_MAX} levels.")
    return tuple(parts)


def _decode(raw: bytes) -> str:
    """Return the text of a key or value, strictly UTF-8 and without NUL."""
    if b"+" in raw or b"%" in raw:
        raw = unquote_to_bytes(raw.replace(b"+", b" "))
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise InvalidParamError(
            "The request is not valid UTF-8. Encode parameters as UTF-8 before percent-encoding."
        ) from error
    if "\0" in text:
        raise InvalidParamError("The request holds a NUL character, which no parameter may hold.")
    return text


def format_path(parts: tuple[str, ...]) -> str:
    """Return the wire path of a parameter: `a[b][0]`."""
    return parts[0] + "".join(f"[{part}]" for part in parts[1:])


def encode_form(values: object) -> bytes:
    """Return nested objects, lists and scalars as a form body, in the way Stripe's SDKs do."""
    pairs = [f"{_quote(key)}={quote_plus(value)}" for key, value in _flatten(values, "")]
    return "&".join(pairs).encode()


def _quote(key: str) -> str:
    return quote_plus(key, safe="[]")


def _flatten(value: object, path: str) -> Iterator[tuple[str, str]]:
    match value:
        case dict():
            for key, item in value.items():
                yield from _flatten(item, f"{path}[{key}]" if path else str(key))
        case list() | tuple():
            for index, item in enumerate(value):
                yield from _flatten(item, f"{path}[{index}]")
        case bool():
            yield path, "true" if value else "false"
        case None:
            pass
        case _:
            yield path, str(value)
