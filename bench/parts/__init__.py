"""The parts of the benchmark, one for each thing that the server promises."""

from collections.abc import Callable

from bench.context import Context
from bench.outcome import Outcome
from bench.parts.flat import alerts, customers, stored
from bench.parts.latency import open_loop, triggers
from bench.parts.pages import pages
from bench.parts.start import start
from bench.parts.stress import overload, reads, slow_disk
from bench.parts.throughput import stream, v1

Part = Callable[[Context], Outcome]

PARTS: dict[str, Part] = {
    "stream": stream,
    "v1": v1,
    "open-loop": open_loop,
    "triggers": triggers,
    "flat-alerts": alerts,
    "flat-customers": customers,
    "flat-stored": stored,
    "start": start,
    "slow-disk": slow_disk,
    "overload": overload,
    "reads": reads,
    "pages": pages,
}
