"""What every part is given: options, a folder, the generator, and the way to start meterbell."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from bench.load.orders import Kind
from bench.servers import Meterbell, meterbell
from bench.targets import Generator, Result
from bench.world import World

CONNECTIONS: dict[Kind, int] = {"v1": 128, "v2": 32}
BATCH = 100


class Options(Struct, kw_only=True):
    """What was asked for; see `bench.__main__` for each."""

    rounds: int = 3
    seconds: float = 60
    baseline_seconds: float = 10
    customers: int = 100_000
    group: int = 16
    triggers: int = 1000
    alerts_max: int = 100_000
    customers_max: int = 1_000_000
    stored_max: int = 2_000_000
    start_events: int = 2_000_000
    start_customers: int = 200_000
    overload_connections: int = 1000
    overload_queue: int = 1500
    pages_customers: int = 100_000
    pages_events: int = 10_000_000
    module: str = "meterbell"


class Context:
    """The surroundings of a part."""

    def __init__(self, options: Options, folder: Path) -> None:
        self.options = options
        self.folder = folder
        self.generator = Generator(folder)

    @contextmanager
    def meterbell(
        self,
        world: World,
        *,
        name: str = "meterbell",
        module: str = "",
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> Iterator[Meterbell]:
        """Run meterbell on a fresh folder."""
        chosen = module or self.options.module
        with meterbell(
            self.folder,
            world,
            name=name,
            module=chosen,
            arguments=arguments,
            environment=environment,
        ) as server:
            yield server

    def load(
        self,
        server: Meterbell,
        *,
        kind: Kind | None = None,
        seconds: float | None = None,
        **more: Any,  # noqa: ANN401 - fields of `Orders`
    ) -> Result:
        """Let the generator run against meterbell; batches where it takes them."""
        chosen = kind or best_kind(server)
        return self.generator.run(
            server.target,
            chosen,
            server.world,
            connections=more.pop("connections", CONNECTIONS[chosen]),
            seconds=self.options.seconds if seconds is None else seconds,
            **more,
        )


def best_kind(server: Meterbell) -> Kind:
    """Return v2, or v1 where there is no stream."""
    return "v2" if server.target.session_path else "v1"


def events_in(kind: Kind) -> int:
    """Return how many events a request holds."""
    return BATCH if kind == "v2" else 1


def median(values: Sequence[float]) -> float:
    """Return the median of the rounds."""
    return statistics.median(values)
