"""A colour of somebody's choice, made dark or light enough to be read. Pure."""

Colour = tuple[int, int, int]

CONTRAST_MIN = 4.5
"""As accessibility asks for, between text and what is behind it."""

_WHITE: Colour = (255, 255, 255)
_BLACK: Colour = (0, 0, 0)
# The least favourable of the backgrounds that app.css puts behind links: `--raised`.
_LIGHT_BACK: Colour = (0xEE, 0xF0, 0xF4)
_DARK_BACK: Colour = (0x23, 0x27, 0x33)
_STEPS = 32


def shades(accent: str) -> tuple[str, str]:
    """Return a colour such as `#3145c4` as it can be read on light and on dark backgrounds."""
    colour = (int(accent[1:3], 16), int(accent[3:5], 16), int(accent[5:7], 16))
    return _towards(_BLACK, colour, _LIGHT_BACK), _towards(_WHITE, colour, _DARK_BACK)


def contrast(one: Colour, other: Colour) -> float:
    """Return the contrast ratio of WCAG 2 between two colours, 1 to 21."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _towards(end: Colour, colour: Colour, back: Colour) -> str:
    """Mix in as little of `end` as it takes to be read."""
    mixed = colour
    for step in range(_STEPS + 1):
        mixed = tuple(
            (c * (_STEPS - step) + e * step) // _STEPS for c, e in zip(colour, end, strict=True)
        )  # type: ignore[assignment]
        if contrast(mixed, back) >= CONTRAST_MIN:
            break
    return "#{:02x}{:02x}{:02x}".format(*mixed)


def _luminance(colour: Colour) -> float:
    red, green, blue = (_linear(part / 255) for part in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else float(((part + 0.055) / 1.055) ** 2.4)  # noqa: PLR2004 - sRGB
