"""What the generator can be pointed at, and one run of it."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from bench.load.orders import Kind, Measured, Orders
from bench.load.tally import Tally, read_tally
from bench.show import Progress
from bench.world import World

_POLL_SECONDS = 0.1
_RUN_DIGITS = 6


class Target(Struct, kw_only=True):
    """A server that takes usage.

    Attributes:
        session_path: Where it gives out stream tokens; empty if the key itself is taken.
        pid: Its process; 0 if its CPU time does not matter.
    """

    name: str
    port: int
    key: str = "sk_test_none"
    v1_path: str = "/v1/billing/meter_events"
    v2_path: str = "/v2/billing/meter_event_stream"
    session_path: str = ""
    pid: int = 0


class Result(Struct, kw_only=True):
    """One finished run."""

    orders: Orders
    measured: Measured

    def tally(self) -> Tally:
        """Return what was acknowledged, and when."""
        return read_tally(Path(self.orders.result))


class Generator:
    """Runs the generator; each run has its own identifiers and leaves a tally in the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._runs = 0

    def run(
        self,
        target: Target,
        kind: Kind,
        world: World,
        *,
        connections: int,
        seconds: float,
        **more: Any,  # noqa: ANN401 - fields of `Orders`
    ) -> Result:
        """Let the generator run and wait for it.

        Raises:
            RuntimeError: It ended with an error, or a request failed.
        """
        orders = self.orders(target, kind, world, connections=connections, seconds=seconds, **more)
        return finish(start(orders, f"{kind} to {target.name}"))

    def orders(
        self,
        target: Target,
        kind: Kind,
        world: World,
        *,
        connections: int,
        seconds: float,
        **more: Any,  # noqa: ANN401 - fields of `Orders`
    ) -> Orders:
        """Return the orders for a run, with identifiers of their own."""
        self._runs += 1
        run = f"{self._runs:0{_RUN_DIGITS}}"
        return Orders(
            port=target.port,
            kind=kind,
            path=target.v1_path if kind == "v1" else target.v2_path,
            token=target.key,
            session_path=target.session_path if kind == "v2" else "",
            run=run,
            connections=connections,
            seconds=seconds,
            customers=world.customers,
            quiet=world.quiet,
            meters=world.meters,
            server_pid=target.pid,
            result=str(self._folder / f"run-{run}.npz"),
            seed=self._runs,
            **more,
        )


class Started:
    """A generator at work.

    Attributes:
        orders: What it was told.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", orders: Orders, what: str) -> None:
        self._process = process
        self.orders = orders
        self.what = what

    def wait(self) -> Measured:
        """Show how far it is; return its figures.

        Raises:
            RuntimeError: It ended with an error.
        """
        begun = time.monotonic()
        with Progress(self.what, self.orders.warm_seconds + self.orders.seconds) as progress:
            while self._process.poll() is None:
                progress.reach(time.monotonic() - begun)
                time.sleep(_POLL_SECONDS)
        output, errors = self._process.communicate()
        if self._process.returncode:
            raise RuntimeError(f"{self.what}: the generator failed:\n{errors.decode()[-3000:]}")
        return msgspec.json.decode(output, type=Measured)


def start(orders: Orders, what: str) -> Started:
    """Start the generator."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.load"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(msgspec.json.encode(orders))
    process.stdin.close()
    process.stdin = None  # `communicate` would flush it
    return Started(process, orders, what)


def finish(started: Started) -> Result:
    """Wait for a generator; return its run.

    Raises:
        RuntimeError: It ended with an error, or a request failed.
    """
    measured = started.wait()
    if measured.failed:
        raise RuntimeError(
            f"{started.what}: {measured.failed} requests failed; first: {measured.failure}"
        )
    return Result(orders=started.orders, measured=measured)
