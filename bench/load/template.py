"""Rows of bytes with equal lengths, in which only digits change: cheap to make by the thousand."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Numbers = NDArray[np.int64]


def _digits(width: int, dtype: str) -> NDArray[Any]:
    """Return all numbers of a width as text, each seen as one unsigned integer."""
    text = "".join(f"{number:0{width}}" for number in range(10**width))
    return np.frombuffer(text.encode(), dtype=dtype)


_DIGITS = {4: _digits(4, "u4"), 2: _digits(2, "u2"), 1: _digits(1, "u1")}


class Template:
    """A text with fields such as `<number:12>`, each of which takes up its width in digits."""

    def __init__(self, text: str) -> None:
        """Find the fields; a field may stand in several places."""
        self._places: dict[str, list[tuple[int, int]]] = {}
        row = bytearray()
        rest = text
        while "<" in rest:
            before, _, rest = rest.partition("<")
            field, _, rest = rest.partition(">")
            name, _, width = field.partition(":")
            row += before.encode()
            self._places.setdefault(name, []).append((len(row), int(width)))
            row += b"0" * int(width)
        row += rest.encode()
        self._row: Bytes = np.frombuffer(bytes(row), dtype=np.uint8)
        self.width = len(row)

    def rows(self, count: int) -> Bytes:
        """Return `count` rows with zeros in all fields."""
        return np.tile(self._row, (count, 1))

    def fill(self, rows: Bytes, name: str, numbers: Numbers) -> None:
        """Write one number into a field of each row."""
        for start, width in self._places.get(name, ()):
            _write(rows, start, start + width, numbers)


def _write(rows: Bytes, start: int, end: int, numbers: Numbers) -> None:
    """Write decimal numbers from the right, as many digits at a time as a table has."""
    while end > start:
        width = next(width for width in _DIGITS if width <= end - start)
        end -= width
        table = _DIGITS[width]
        column = np.ndarray(
            len(rows), dtype=table.dtype, buffer=rows, offset=end, strides=rows.strides[:1]
        )
        if end > start:
            numbers, digits = np.divmod(numbers, 10**width)
            column[:] = table[digits]
        else:
            column[:] = table[numbers]
