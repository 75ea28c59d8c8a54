"""Servers to measure: meterbell with its world in it, and the baselines."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

from bench.api import Api
from bench.load.traffic import UNIT
from bench.prepare import prepare_customers, prepare_meters
from bench.services import postgres, redis
from bench.targets import Result, Target
from bench.verify import MismatchError, Verified, expected_totals, verify_api, verify_log
from bench.world import World
from tests.support.server import ServerProcess
from tests.support.waiting import wait_for

WITHOUT_LEDGER = "bench.baselines.without_ledger"
SESSION = "/v2/billing/meter_event_session"
_ARGUMENTS = ("--log-level", "warning")
_STOP_SECONDS = 30
START_SECONDS = 1800


class NoStreamError(Exception):
    """This meterbell has no v2 stream."""


class Meterbell:
    """A meterbell server with customers, meters and alerts; made by `meterbell`."""

    def __init__(self, server: ServerProcess, world: World, *, name: str) -> None:
        self.server = server
        self.world = world
        self.api = Api(server.port, server.key)
        self.meters = prepare_meters(self.api, world)
        self.target = self._target(name)

    def while_stopped(self, work: Callable[[Path], None]) -> None:
        """Stop the server, do something with its data folder, and start it again."""
        self.api.close()
        self.server.stop()
        work(self.server.data)
        self.server.start()
        self.target = self._target(self.target.name)

    def _target(self, name: str) -> Target:
        server = self.server
        return Target(
            name=name,
            port=server.port,
            key=server.key,
            pid=server.pid,
            session_path=SESSION if self.api.exists(SESSION) else "",
        )

    def require_stream(self) -> None:
        """Make sure that there is a v2 stream.

        Raises:
            NoStreamError: There is none.
        """
        if not self.target.session_path:
            raise NoStreamError(f"this meterbell does not answer {SESSION}")

    def stop_and_verify(self, results: Sequence[Result]) -> Verified:
        """Recount everything, through the API and then in the log of the stopped server.

        Raises:
            MismatchError: Something differs from what was acknowledged.
        """
        seen = verify_api(self.api, self.meters, self.world, results)
        self.api.close()
        self.server.stop()
        logged = verify_log(self.server.data / "meterbell.db", self.world, results)
        return Verified(
            events=logged.events,
            totals=logged.totals,
            summaries=seen.summaries,
            triggers=seen.triggers,
        )


@contextmanager
def meterbell(
    folder: Path,
    world: World,
    *,
    name: str = "meterbell",
    module: str = "meterbell",
    arguments: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Iterator[Meterbell]:
    """Run meterbell on a fresh data folder with a world in it."""
    data = folder / f"data-{name.replace(' ', '-')}"
    count = 1
    while data.exists():
        count += 1
        data = folder / f"{data.name}-{count}"
    prepare_customers(data, world.customers)
    running = ServerProcess(
        data,
        arguments=(*_ARGUMENTS, *arguments),
        environment=environment,
        module=module,
        seconds_max=START_SECONDS,
    )
    with running as server:
        yield Meterbell(server, world, name=name)


@contextmanager
def by_hand_postgres(folder: Path) -> Iterator[Target]:
    """Run the baseline with PostgreSQL."""
    with postgres() as sockets, _application(folder, "by_hand_postgres", str(sockets)) as port:
        yield Target(name="FastAPI + PostgreSQL", port=port)


@contextmanager
def by_hand_redis(folder: Path) -> Iterator[Target]:
    """Run the baseline with Redis."""
    with redis() as redis_port, _application(folder, "by_hand_redis", str(redis_port)) as port:
        yield Target(name="FastAPI + Redis", port=port)


def append_only(folder: Path, *, batch: int, group: int, seconds: float) -> float:
    """Return how many events a second the bare loop appends."""
    module = "bench.baselines.append_only"
    command = [sys.executable, "-m", module, str(folder), str(batch), str(group), str(seconds)]
    finished = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    (folder / "append-only.db").unlink()
    return float(json.loads(finished.stdout)["rate"])


def verify_by_hand(target: Target, world: World, results: Sequence[Result]) -> None:
    """Hold the sum of all usage of a baseline against what it acknowledged.

    Raises:
        MismatchError: They differ.
    """
    api = Api(target.port, target.key)
    total = Decimal(api.get("/total", {})["total"])
    api.close()
    expected = Decimal(int(expected_totals(world, results).sum())) / UNIT
    if total != expected:
        raise MismatchError(f"{target.name} counted {total}, acknowledged were {expected}")


@contextmanager
def _application(folder: Path, module: str, argument: str) -> Iterator[int]:
    """Run a baseline's application; yield its port."""
    facts = folder / f"{module}.json"
    facts.unlink(missing_ok=True)
    command = [sys.executable, "-m", f"bench.baselines.{module}", str(facts), argument]
    with (folder / f"{module}.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        text = str(wait_for(lambda: facts.exists() and facts.read_text(), module))
        port = int(json.loads(text)["port"])
        wait_for(lambda: _answers(port), module)
        yield port
    finally:
        process.terminate()
        process.wait(_STOP_SECONDS)


def _answers(port: int) -> bool:
    api = Api(port, "")
    try:
        api.get("/openapi.json", {})
    except (OSError, RuntimeError):
        return False
    finally:
        api.close()
    return True
