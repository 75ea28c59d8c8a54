"""Objects by id, with the errors that say what is wrong with an id."""

from typing import Any, TypeVar

from meterbell.api.call import Call, no_such, no_such_in_body, other_mode
from meterbell.errors import RequestError
from meterbell.store.objects import Objects

R = TypeVar("R")


def find_in_path(
    objects: Objects, call: Call, record: type[R], *, noun: str, placeholder: str
) -> R:
    """Return the object named in the path.

    Raises:
        NotFoundError: There is none in this mode.
    """
    object_id = call.ids[placeholder]
    found = objects.get(record, object_id, livemode=call.livemode)
    if found is None:
        raise _explained(objects, call, record, object_id, no_such(noun, object_id))
    return found


def find_in_body(
    objects: Objects, call: Call, record: type[R], object_id: str, *, noun: str, param: str
) -> R:
    """Return the object named in a parameter.

    Raises:
        InvalidParamError: There is none in this mode.
    """
    found = objects.get(record, object_id, livemode=call.livemode)
    if found is None:
        error = no_such_in_body(noun, object_id, param=param)
        raise _explained(objects, call, record, object_id, error)
    return found


def _explained(
    objects: Objects, call: Call, record: type[Any], object_id: str, error: RequestError
) -> RequestError:
    """Return the error, with a hint if the object exists in the other mode."""
    if objects.get(record, object_id, livemode=not call.livemode) is None:
        return error
    hint = other_mode(livemode=call.livemode)
    return type(error)(error.message + hint, param=error.param, code=error.code)
