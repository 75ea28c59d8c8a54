"""The largest of very many amounts in two parts, without sorting them all."""

from collections.abc import Sequence

import numpy as np

from meterbell.engine.growing import Numbers


def largest(places: Numbers, columns: Sequence[Numbers], count: int) -> list[int]:
    """Return the places with the largest amounts, in no order.

    Args:
        places: Ascending, those to choose from; of equals the first are chosen.
        columns: What is compared, the most significant first, each by place.
        count: Places at most.
    """
    chosen: list[int] = []
    for column in columns:
        wanted = count - len(chosen)
        if len(places) <= wanted:
            break
        values = column[places]
        least = np.partition(values, len(values) - wanted)[len(values) - wanted]
        chosen += places[values > least].tolist()
        places = places[values == least]
    chosen += places[: count - len(chosen)].tolist()
    return chosen
