"""Declared parameters: one declaration decodes, checks, names what is at fault, and documents.

`read_params` turns a form into Python values by the declarations of a route; `openapi.schema_of`
turns the same declarations into JSON schemas. Messages and codes follow contract §1.7.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from meterbell.errors import InvalidParamError
from meterbell.wire.form import Form

_INTEGER = re.compile(r"-?[0-9]{1,19}")
_INDEX = re.compile(r"0|[1-9][0-9]{0,2}")
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LIST_ITEMS_MAX = 100
_SHOWN_CHARACTERS = 40

UNSET: Final = ""
"""What an empty string becomes where a parameter may be unset by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Param:
    """What every declaration says.

    Attributes:
        required: Whether a request must bring it.
        description: For the reference, in one sentence.
    """

    required: bool = False
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Text(Param):
    """A string; an empty one means "unset" where that is allowed, and is refused elsewhere."""

    length_max: int = 5000
    can_unset: bool = False
    is_plain: bool = False
    """Whether control characters are refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Integer(Param):
    """A whole number in ASCII digits within 64 bits."""

    minimum: int = INT64_MIN
    maximum: int = INT64_MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class Boolean(Param):
    """`true` or `false`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice(Param):
    """One of a few words."""

    values: tuple[str, ...]
    can_unset: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Object(Param):
    """Named parameters in brackets."""

    fields: Mapping[str, Param]
    can_unset: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Array(Param):
    """`name[0]`, `name[1]` … or `name[]`."""

    item: Param
    items_max: int = _LIST_ITEMS_MAX
    can_unset: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts(Param):
    """Free names with text values, as in a meter event's payload."""

    keys_max: int
    key_length_max: int
    value_length_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata(Param):
    """Metadata: an empty value deletes its key, an empty `metadata` deletes all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Range(Param):
    """A Unix time, or `name[gt]`, `name[gte]`, `name[lt]`, `name[lte]`."""


METADATA_KEYS_MAX = 50
METADATA_KEY_MAX = 40
METADATA_VALUE_MAX = 500
RANGE_FIELDS: dict[str, Param] = {name: Integer(minimum=0) for name in ("gt", "gte", "lt", "lte")}
ID_LENGTH_MAX = 255
EXPAND = Array(item=Text(length_max=255), description="Fields to embed as whole objects.")


def read_params(declared: Mapping[str, Param], form: Form) -> dict[str, Any]:
    """Return the values of a form by name; absent parameters are left out.

    Raises:
        InvalidParamError: A parameter is missing, unknown or malformed.
    """
    return _read_fields(declared, form, "")


def _read_fields(declared: Mapping[str, Param], form: Form, path: str) -> dict[str, Any]:
    unknown = [name for name in form if name not in declared]
    if unknown:
        raise _unknown(declared, unknown, path)
    values = {}
    for name, param in declared.items():
        at = f"{path}[{name}]" if path else name
        if name in form:
            values[name] = _read(param, form[name], at)
        elif param.required:
            raise InvalidParamError(
                f"Missing required param: {at}.", param=at, code="parameter_missing"
            )
    return values


def _unknown(declared: Mapping[str, Param], names: list[str], path: str) -> InvalidParamError:
    shown = [f"{path}[{name}]" if path else name for name in names]
    noun = "parameter" if len(shown) == 1 else "parameters"
    message = f"Received unknown {noun}: {', '.join(shown)[:200]}"
    if len(names) == 1:
        near = get_close_matches(names[0], declared, n=1, cutoff=0.75)
        if near:
            message += f". Did you mean {f'{path}[{near[0]}]' if path else near[0]}?"
    return InvalidParamError(message, param=shown[0], code="parameter_unknown")


def _read(param: Param, value: str | Form, at: str) -> Any:  # noqa: ANN401
    match param:
        case Object() | Array() | Texts() | Metadata():
            return _read_nested(param, value, at)
        case Range():
            if isinstance(value, dict):
                return _read_fields(RANGE_FIELDS, value, at)
            return _read_scalar(Integer(minimum=0), value, at)
        case _:
            if not isinstance(value, str):
                raise InvalidParamError(
                    f"Invalid string: {at} is one value, not an object or an array.", param=at
                )
            return _read_scalar(param, value, at)


def _read_scalar(param: Param, text: str, at: str) -> Any:  # noqa: ANN401
    if not text:
        if isinstance(param, Text | Choice) and param.can_unset:
            return UNSET
        raise InvalidParamError(
            f"You passed an empty string for '{at}'. We assume empty values are an attempt to "
            f"unset a parameter; however '{at}' cannot be unset. You should remove '{at}' from "
            "your request or supply a non-empty value.",
            param=at,
            code="parameter_invalid_empty",
        )
    match param:
        case Text():
            return _read_text(param, text, at)
        case Integer():
            return _read_integer(param, text, at)
        case Boolean():
            if text not in ("true", "false"):
                raise InvalidParamError(
                    f"Invalid boolean: {_shown(text)}. {at} is true or false.", param=at
                )
            return text == "true"
        case Choice():
            if text not in param.values:
                raise InvalidParamError(f"Invalid {at}: must be {_one_of(param.values)}", param=at)
            return text
        case _:
            raise AssertionError(param)


def _read_text(param: Text, text: str, at: str) -> str:
    if len(text) > param.length_max:
        raise InvalidParamError(
            f"Invalid string: {text[:10]}...{text[-10:]}; must be at most {param.length_max} "
            "characters",
            param=at,
            code="parameter_invalid_string_too_long",
        )
    if param.is_plain and _CONTROL.search(text):
        raise InvalidParamError(
            f"Invalid string: {at} holds a control character, which it may not.", param=at
        )
    return text


def _read_integer(param: Integer, text: str, at: str) -> int:
    # Length and digits first: int() takes other scripts, underscores and any length.
    if not _INTEGER.fullmatch(text) or not INT64_MIN <= int(text) <= INT64_MAX:
        raise InvalidParamError(
            f"Invalid integer: {_shown(text)}", param=at, code="parameter_invalid_integer"
        )
    number = int(text)
    if number < param.minimum:
        raise InvalidParamError(
            f"Invalid integer: {at} must be greater than or equal to {param.minimum}.",
            param=at,
            code="parameter_invalid_integer",
        )
    if number > param.maximum:
        raise InvalidParamError(
            f"Invalid integer: {at} must be less than or equal to {param.maximum}.",
            param=at,
            code="parameter_invalid_integer",
        )
    return number


def _read_nested(param: Object | Array | Texts | Metadata, value: str | Form, at: str) -> Any:  # noqa: ANN401
    if isinstance(value, str):
        can_unset = isinstance(param, Metadata) or (
            isinstance(param, Object | Array) and param.can_unset
        )
        if not value and can_unset:
            return UNSET
        noun = "array" if isinstance(param, Array) else "object"
        raise InvalidParamError(f"Invalid {noun}: {at} is written {at}[…].", param=at)
    match param:
        case Object():
            return _read_fields(param.fields, value, at)
        case Array():
            return _read_array(param, value, at)
        case Texts():
            return _read_texts(param, value, at)
        case Metadata():
            return _read_metadata(value, at)


def _read_array(param: Array, value: Form, at: str) -> list[Any]:
    if len(value) > param.items_max:
        raise InvalidParamError(
            f"Invalid array: {at} holds at most {param.items_max} items.", param=at
        )
    # Length and digits first, as for integers. Gaps close up; the written index names the item.
    for key in value:
        if not _INDEX.fullmatch(key):
            raise InvalidParamError(
                f"Invalid array: {at} is numbered {at}[0], {at}[1] and so on, up to 999.", param=at
            )
    numbered = sorted(value.items(), key=lambda item: int(item[0]))
    return [_read(param.item, item, f"{at}[{key}]") for key, item in numbered]


def _read_texts(param: Texts, value: Form, at: str) -> dict[str, str]:
    if len(value) > param.keys_max:
        raise InvalidParamError(
            f"Invalid object: {at} holds at most {param.keys_max} keys.", param=at
        )
    for key, item in value.items():
        inner = f"{at}[{key}]"
        if len(key) > param.key_length_max:
            raise InvalidParamError(
                f"Invalid {at} key: {key[:20]}…; must be at most {param.key_length_max} characters",
                param=at,
            )
        if not isinstance(item, str):
            raise InvalidParamError(f"Invalid string: {inner} is one value.", param=inner)
        if len(item) > param.value_length_max:
            raise InvalidParamError(
                f"Invalid string: {item[:10]}...{item[-10:]}; must be at most "
                f"{param.value_length_max} characters",
                param=inner,
                code="parameter_invalid_string_too_long",
            )
    return dict(value)  # type: ignore[arg-type]


def _read_metadata(value: Form, at: str) -> dict[str, str]:
    for key, item in value.items():
        if not isinstance(item, str):
            inner = f"{at}[{key}]"
            raise InvalidParamError(f"Metadata values are texts: {inner} is not.", param=inner)
        if not key or len(key) > METADATA_KEY_MAX:
            raise InvalidParamError(
                f"Metadata keys have 1 to {METADATA_KEY_MAX} characters.", param=at
            )
        if len(item) > METADATA_VALUE_MAX:
            raise InvalidParamError(
                f"Metadata values can have up to {METADATA_VALUE_MAX} characters; you passed in a "
                f"value of length {len(item)} for {at}[{key}].",
                param=f"{at}[{key}]",
            )
    return dict(value)  # type: ignore[arg-type]


def _one_of(values: tuple[str, ...]) -> str:
    if len(values) == 1:
        return values[0]
    separator = ", " if len(values) > 2 else " "  # noqa: PLR2004
    return f"one of {', '.join(values[:-1])}{separator}or {values[-1]}"


def _shown(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
