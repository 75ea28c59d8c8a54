"""Rows of bytes with equal lengths, in which only digits change: cheap to make by the thousand."""

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Numbers = NDArray[np.int64]

_GROUP = 4
_TEN_THOUSAND = 10**_GROUP
_FOUR_DIGITS: Bytes = np.frombuffer(
    "".join(f"{number:04}" for number in range(_TEN_THOUSAND)).encode(), dtype=np.uint8
).reshape(_TEN_THOUSAND, _GROUP)


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
    """Write decimal numbers, four digits at a time from the right."""
    while end > start:
        begin = max(end - _GROUP, start)
        rows[:, begin:end] = _FOUR_DIGITS[numbers % _TEN_THOUSAND, begin - end :]
        numbers = numbers // _TEN_THOUSAND
        end = begin
