"""Values of meter events as they are written, in two parts for the counter table."""

from collections.abc import Sequence

import numpy as np

from meterbell.engine.growing import Numbers, look_up
from meterbell.engine.value import SCALE, parse_value
from meterbell.errors import UsageRefusedError

_KEPT_MAX = 10_000
# Far below what a row of the table can hold, however many events come at once.
_WHOLE_MAX = 10**14
_UNUSUAL = (-1, 0)


class Values:
    """Reads values; those that came lately are known by their text."""

    def __init__(self) -> None:
        """Begin without any."""
        self._places: dict[str | None, int] = {}
        self._wholes: Numbers = np.zeros(_KEPT_MAX, dtype=np.int64)
        self._parts: Numbers = np.zeros(_KEPT_MAX, dtype=np.int64)

    def read(self, texts: Sequence[str | None]) -> tuple[Numbers, Numbers]:
        """Return the values' whole units, and what they have below one in units of 10^-12.

        Whole units are -1 for what takes the general way: what is no value, negative, or huge.
        """
        places = look_up(self._places, texts)
        wholes, parts = self._wholes[places], self._parts[places]
        for place in np.flatnonzero(places < 0).tolist():
            wholes[place], parts[place] = self._learn(texts[place])
        return wholes, parts

    def _learn(self, text: str | None) -> tuple[int, int]:
        if text is None:
            return _UNUSUAL
        try:
            whole, part = divmod(parse_value(text, param="payload[value]"), SCALE)
        except UsageRefusedError:
            return _UNUSUAL
        if not 0 <= whole < _WHOLE_MAX:
            return _UNUSUAL
        if text not in self._places:
            if len(self._places) >= _KEPT_MAX:
                self._places.clear()
            place = self._places[text] = len(self._places)
            self._wholes[place], self._parts[place] = whole, part
        return whole, part
