"""The texts of notices: plain text with placeholders such as `{customer.name}`. Pure.

There is nothing in it but placeholders from one list, and `{{` and `}}` for braces: no formats, no
expressions, so a text can't reach anything that the list does not name.
"""

import re
from collections.abc import Mapping

from meterbell.errors import InvalidParamError

PLACEHOLDERS: dict[str, str] = {
    "alert.id": "The alert's id.",
    "alert.title": "The alert's title.",
    "alert.threshold": "The usage at which it triggers.",
    "customer.id": "The customer's id.",
    "customer.name": "The customer's name, or the id where there is none.",
    "event.id": "The id of the `billing.alert.triggered` event.",
    "meter.id": "The meter's id.",
    "meter.name": "The meter's display name.",
    "meter.event_name": "The meter's event name.",
    "mode": "`live` or `test`.",
    "time": "When it triggered, in UTC: `2026-01-01 00:00:00 UTC`.",
    "value": "The usage at that moment, exactly.",
}
TITLE_LENGTH_MAX = 250
BODY_LENGTH_MAX = 4000
TITLE_DEFAULT = "{alert.title}"
BODY_DEFAULT = (
    "{customer.name} has reached {value} on {meter.name}, {time} "
    "(alert at {alert.threshold}, {mode} mode)."
)

_PART = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
# Line ends and other controls, and those that turn the direction of what follows.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
_VALUE_LENGTH_MAX = 300


def check_template(text: str, *, param: str) -> None:
    """Refuse a text with a placeholder that there is not, or a brace that is not closed.

    Raises:
        InvalidParamError: Names it.
    """
    for match in _PART.finditer(text):
        whole, name = match[0], match[1]
        if whole in ("{{", "}}") or name in PLACEHOLDERS:
            continue
        if name is None:
            raise InvalidParamError(
                f"Invalid template: a single {whole} stands in {param}. A placeholder is written "
                "{value}; write {{ or }} for a brace.",
                param=param,
            )
        raise InvalidParamError(
            f"Invalid template: {{{name[:40]}}} is no placeholder. There are "
            f"{', '.join('{' + known + '}' for known in PLACEHOLDERS)}.",
            param=param,
        )


def fill_template(text: str, values: Mapping[str, str], *, length_max: int) -> str:
    """Return a checked text with its placeholders filled in, each on one line.

    Args:
        text: Has passed `check_template`.
        values: By placeholder; what is not there is left empty.
        length_max: Where what comes out is cut.
    """

    def filled(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0][0]
        return _CONTROL.sub(" ", values.get(match[1], ""))[:_VALUE_LENGTH_MAX]

    whole = _PART.sub(filled, text)
    return whole if len(whole) <= length_max else f"{whole[: length_max - 1]}…"
