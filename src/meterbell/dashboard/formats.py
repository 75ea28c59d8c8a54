"""How numbers and times are written on pages. One module, so that they look alike everywhere."""

from datetime import UTC, datetime
from fractions import Fraction

_THIN = "\u202f"
"""A narrow blank that doesn't break: 66 300."""
_GROUP = 3
# Not by `strftime`, which asks for the locale.
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def group(number: int | str) -> str:
    """Return a number with its digits in groups of three; an exact decimal keeps all its digits."""
    text = str(number)
    sign = "-" if text.startswith("-") else ""
    whole, point, fraction = text.removeprefix("-").partition(".")
    first = len(whole) % _GROUP or _GROUP
    groups = [whole[:first], *(whole[at : at + _GROUP] for at in range(first, len(whole), _GROUP))]
    return sign.replace("-", "\u2212") + _THIN.join(groups) + point + fraction


def utc(ms: int) -> str:
    """Return an instant for people: `2026-11-26 12:09:03 UTC`."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def day(ms: int) -> str:
    """Return a UTC day of these weeks for people: `26 Nov`."""
    instant = datetime.fromtimestamp(ms // 1000, UTC)
    return f"{instant.day} {_MONTHS[instant.month - 1]}"


def iso(ms: int) -> str:
    """Return an instant for scripts: `2026-11-26T12:09:03.120Z`."""
    instant = datetime.fromtimestamp(ms // 1000, UTC)
    return f"{instant:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03}Z"


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun: `1 customer`, `12 customers`."""
    return f"{group(number)} {noun if number == 1 else plural or noun + 's'}"


def percent(share: Fraction) -> int:
    """Return a share in whole percent, rounded down; nothing is less than none."""
    return max(int(share * 100), 0)


def sparkline(values: list[int], *, width: int = 96, height: int = 24) -> str:
    """Return the points of a small line for an SVG's polyline, oldest first; zero is at the bottom.

    Args:
        values: At least two, none of them negative.
        width: Of the picture.
        height: Of the picture.
    """
    top = max(*values, 1)
    step = (width - 2) / (len(values) - 1)
    return " ".join(
        f"{1 + at * step:.1f},{height - 2 - (height - 4) * value / top:.1f}"
        for at, value in enumerate(values)
    )
