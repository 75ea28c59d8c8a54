"""Exact decimals as scaled integers: parse, format. Rule C3.

A value is held as an integer count of 10^-12. Python's integers don't overflow, so a total may grow
past 2^63 and stays exact.
"""

import re

from meterbell.errors import UsageRefusedError

SCALE_DIGITS = 12
SCALE = 1_000_000_000_000

# ASCII digits only: `\d`, int() and Decimal() all accept other scripts' digits and underscores.
_VALUE = re.compile(r"(-?)([0-9]{1,15})(?:\.([0-9]{1,12}))?")
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")


def parse_value(text: str, *, param: str) -> int:
    """Return the value written in `text`, exactly, in units of 10^-12.

    Args:
        text: As received: optional minus, ASCII digits, at most 15 before the point, 12 after it.
        param: Wire path to name in the error, such as `payload[value]`.

    Raises:
        UsageRefusedError: `text` is not such a number.
    """
    # Fast path: most values are short whole numbers. isdecimal() alone accepts other scripts.
    if len(text) <= 15 and text.isascii() and text.isdecimal():  # noqa: PLR2004
        return int(text) * SCALE
    match = _VALUE.fullmatch(text)
    if match is None:
        raise UsageRefusedError(
            f"Invalid decimal: {text[:40]!r}. A meter event value is written with ASCII digits, at "
            "most 15 before and 12 after the decimal point, with an optional leading minus: "
            "12, 0.5 or -3.25.",
            reason="meter_event_value_too_many_digits"
            if _NUMBER.fullmatch(text)
            else "meter_event_invalid_value",
            param=param,
        )
    sign, whole, fraction = match.groups()
    scaled = int(whole) * SCALE + int((fraction or "").ljust(SCALE_DIGITS, "0"))
    return -scaled if sign else scaled


def format_value(scaled: int) -> str:
    """Return the shortest plain decimal for a count of 10^-12: `100`, `0.1`, `-3.25`."""
    whole, fraction = divmod(abs(scaled), SCALE)
    sign = "-" if scaled < 0 else ""
    if fraction == 0:
        return f"{sign}{whole}"
    return f"{sign}{whole}.{str(fraction).rjust(SCALE_DIGITS, '0').rstrip('0')}"
