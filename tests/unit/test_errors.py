"""The error tree: as it is drawn, and complete."""

import re

from meterbell import errors
from meterbell.errors import InvalidParamError, MeterbellError, RequestError


def all_errors() -> dict[str, type[MeterbellError]]:
    found = {"MeterbellError": MeterbellError}
    waiting: list[type[MeterbellError]] = [MeterbellError]
    while waiting:
        for child in waiting.pop().__subclasses__():
            if child.__module__ == errors.__name__:
                found[child.__name__] = child
                waiting.append(child)
    return found


def test_the_drawing_shows_the_tree_as_it_is() -> None:
    drawn: dict[str, str | None] = {}
    path: list[str] = []
    for indent, name in re.findall(r"^([│├└─ ]*)(\w+Error)\b", errors.__doc__ or "", re.MULTILINE):
        depth = len(indent) // 4
        path[depth:] = [name]
        drawn[name] = path[depth - 1] if depth else None

    real = {
        name: None if error is MeterbellError else error.__bases__[0].__name__
        for name, error in all_errors().items()
    }
    assert drawn == real


def test_every_error_says_what_it_means() -> None:
    assert [name for name, error in all_errors().items() if not error.__doc__] == []


def test_a_request_error_names_the_parameter_at_fault() -> None:
    error = InvalidParamError("Too long.", param="title", code="parameter_invalid_string_length")

    assert isinstance(error, RequestError)
    assert (str(error), error.message) == ("Too long.", "Too long.")
    assert (error.param, error.code) == ("title", "parameter_invalid_string_length")
