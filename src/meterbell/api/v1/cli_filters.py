"""Which requests `stripe logs tail` wants to see, as it writes that down."""

from collections.abc import Mapping

import msgspec

from meterbell.errors import InvalidParamError
from meterbell.requestlog.filters import RequestFilter, parse_status

_ANY_STATUS = (100, 599)
_OUTCOMES = {"SUCCEEDED": (100, 399), "FAILED": (400, 599)}
# What every request here is: others there are none of.
_ALWAYS = {"filter_source": "API", "filter_account": "self"}
_decode = msgspec.json.Decoder(dict[str, list[str]]).decode

Range = tuple[int, int]


def read_filters(text: str) -> dict[str, list[str]]:
    """Return the values of each filter by its name.

    Raises:
        InvalidParamError: It is malformed, or wants what can't be told here.
    """
    try:
        filters = _decode(text)
    except msgspec.MsgspecError as error:
        raise _refusal(
            'it is a JSON object of arrays of strings, such as {"filter_http_method":["POST"]}.'
        ) from error
    requests_wanted(filters)
    return filters


def requests_wanted(filters: Mapping[str, list[str]]) -> RequestFilter:
    """Return what requests must be like.

    Raises:
        InvalidParamError: It wants what can't be told here.
    """
    methods: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    statuses: list[Range] = [_ANY_STATUS]
    for name, values in filters.items():
        match name:
            case "filter_http_method":
                methods = tuple(value.upper() for value in values)
            case "filter_request_path":
                paths = tuple(values)
            case "filter_status_code":
                statuses = _both(statuses, [_status(value, name) for value in values])
            case "filter_status_code_type":
                statuses = _both(statuses, [_status(f"{v[:1]}xx", name) for v in values])
            case "filter_request_status":
                statuses = _both(statuses, [_outcome(value) for value in values])
            case "filter_source" | "filter_account":
                if _ALWAYS[name] not in values:
                    raise _refusal(f"{name} can only be {_ALWAYS[name]} here.")
            case _:
                raise _refusal(f"there is no {name[:60]} here.")
    return RequestFilter(methods=methods, statuses=tuple(statuses), paths=paths)


def _both(ranges: list[Range], others: list[Range]) -> list[Range]:
    """Return what is in one of the ranges, and in one of the others too."""
    pairs = [(max(a, c), min(b, d)) for a, b in ranges for c, d in others]
    # An empty list would let everything through.
    return [(low, high) for low, high in pairs if low <= high] or [(0, 0)]


def _status(text: str, name: str) -> Range:
    found = parse_status(text)
    if found is None:
        raise _refusal(f"{name} holds something that is no status: {text[:20]}.")
    return found


def _outcome(text: str) -> Range:
    found = _OUTCOMES.get(text.upper())
    if found is None:
        raise _refusal("filter_request_status is SUCCEEDED or FAILED.")
    return found


def _refusal(why: str) -> InvalidParamError:
    return InvalidParamError(f"Invalid filters: {why}", param="filters")
