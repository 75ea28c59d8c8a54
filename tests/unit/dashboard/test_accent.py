"""Any colour becomes one that can be read."""

from hypothesis import given
from hypothesis import strategies as st

from meterbell.dashboard.accent import CONTRAST_MIN, contrast, shades


@given(st.integers(0, 0xFFFFFF))
def test_any_colour_can_be_read(number: int) -> None:
    light, dark = (
        tuple(int(shade[at : at + 2], 16) for at in (1, 3, 5)) for shade in shades(f"#{number:06x}")
    )

    assert contrast(light, (0xEE, 0xF0, 0xF4)) >= CONTRAST_MIN  # type: ignore[arg-type]
    assert contrast(dark, (0x23, 0x27, 0x33)) >= CONTRAST_MIN  # type: ignore[arg-type]
