"""What a run leaves for others to read: exact acknowledged totals, and each request's times."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Tally(NamedTuple):
    """One run's acknowledged usage.

    Attributes:
        totals: Usage by meter and customer, in thousandths.
        acked: By identifier number: 1 if the event was acknowledged.
        done_at: When each answer came, in seconds since the beginning.
        latency: Seconds from sending, or from the due time in an open loop.
        status: Of each answer.
    """

    totals: NDArray[np.int64]
    acked: NDArray[np.uint8]
    done_at: Floats
    latency: Floats
    status: NDArray[np.int64]


def write_tally(path: Path, tally: Tally) -> None:
    """Keep a tally."""
    np.savez(path, allow_pickle=False, **tally._asdict())


def read_tally(path: Path) -> Tally:
    """Read a tally."""
    with np.load(path) as found:
        return Tally(**{name: found[name] for name in Tally._fields})
