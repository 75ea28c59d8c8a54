"""The process that speaks to services: Apprise is loaded once, and each job has a fork of its own.

A fork can be ended at its deadline whatever it waits for, has bounds of memory and time of its own,
and takes everything that it was told with it. Run as `python -m` with this module's name; jobs come
in lines of JSON, what came of them goes out in lines of JSON.
"""

import gc
import logging
import os
import selectors
import signal
import sys
import time
from dataclasses import dataclass, field
from functools import partial
from typing import NoReturn

import msgspec

from meterbell.delivery.addresses import Address
from meterbell.delivery.channels import attempt
from meterbell.delivery.channels.jobs import Done, Job, Policy
from meterbell.delivery.channels.sandbox import DeniedError, Refusal, Sandbox
from meterbell.delivery.channels.schemes import SYSTEM_PORTS
from meterbell.delivery.egress import Egress
from meterbell.delivery.lookup import is_own
from meterbell.delivery.target import Target

_STDIN, _STDOUT = 0, 1
_READ_BYTES = 1 << 16


@dataclass
class _Child:
    """A fork at work."""

    job: Job
    pid: int
    deadline: float
    said: bytearray = field(default_factory=bytearray)
    is_late: bool = False


class Worker:
    """Takes jobs, forks, and ends what is late."""

    def __init__(self, policy: Policy) -> None:
        self._egress = Egress.of(
            allow=policy.egress_allow, host=policy.host, is_own=is_own, system_ports=SYSTEM_PORTS
        )
        self._children: dict[int, _Child] = {}
        self._selector = selectors.DefaultSelector()

    def run(self, rest: bytes) -> None:
        """Work until nobody asks any more."""
        self._selector.register(_STDIN, selectors.EVENT_READ)
        lines = bytearray(rest)
        is_open = True
        while is_open:
            *whole, left = lines.split(b"\n")
            lines = bytearray(left)
            for line in whole:
                self._begin(msgspec.json.decode(line, type=Job))
            for key, _ in self._selector.select(self._seconds_left()):
                if key.fd == _STDIN:
                    data = os.read(_STDIN, _READ_BYTES)
                    is_open = bool(data)
                    lines += data
                else:
                    self._listen(key.fd)
            self._end_late()
        for child in self._children.values():
            os.kill(child.pid, signal.SIGKILL)

    def _begin(self, job: Job) -> None:
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            _work(job, partial(_refusal, self._egress, job.livemode), writing)
        os.close(writing)
        self._children[reading] = _Child(job, pid, time.monotonic() + job.seconds)
        self._selector.register(reading, selectors.EVENT_READ)

    def _listen(self, reading: int) -> None:
        child = self._children[reading]
        data = os.read(reading, _READ_BYTES)
        child.said += data
        if data:
            return
        self._selector.unregister(reading)
        os.close(reading)
        del self._children[reading]
        os.waitpid(child.pid, 0)
        try:
            done = msgspec.json.decode(child.said, type=Done)
        except msgspec.DecodeError:
            done = Done(child.job.id, outcome="timeout" if child.is_late else "internal_error")
        _write(_STDOUT, done)

    def _end_late(self) -> None:
        now = time.monotonic()
        for child in self._children.values():
            if child.deadline <= now and not child.is_late:
                child.is_late = True
                os.kill(child.pid, signal.SIGKILL)

    def _seconds_left(self) -> float | None:
        deadlines = [child.deadline for child in self._children.values() if not child.is_late]
        return max(min(deadlines) - time.monotonic(), 0) if deadlines else None


def _work(job: Job, refusal: Refusal, writing: int) -> NoReturn:
    """Do a job in this fork, tell of it, and end."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (_STDIN, _STDOUT, sys.stderr.fileno()):
        os.dup2(nothing, number)
    logging.disable(logging.CRITICAL)
    sandbox = Sandbox(refusal)
    heard = attempt.Heard()
    sandbox.enter(seconds=job.seconds)
    try:
        if job.kind == "check":
            done = attempt.look(job, lambda host, port: refusal(host, None, port))
        else:
            done = attempt.send(job, heard)
    except DeniedError as error:
        done = Done(job.id, outcome="not_accepted", refusal=str(error))
    except Exception as error:  # noqa: BLE001 - a service's own fault
        done = Done(job.id, outcome="internal_error", response=type(error).__name__.encode())
    if done.outcome != "succeeded" and sandbox.denied is not None:
        outcome = "address_denied" if sandbox.is_address else done.outcome
        done = msgspec.structs.replace(done, outcome=outcome, response=sandbox.denied.encode())
    _write(writing, done)
    os._exit(0)


def _refusal(
    egress: Egress,
    livemode: bool,  # noqa: FBT001
    host: str | Address,
    address: Address | None,
    port: int,
) -> str | None:
    # Whether it is encrypted was looked at when the URL was read.
    return egress.refusal(Target("https", host, port, "/"), address, livemode=livemode)


def _write(number: int, done: Done) -> None:
    data = msgspec.json.encode(done) + b"\n"
    while data:
        data = data[os.write(number, data) :]


def main() -> None:
    """Read the policy and work."""
    first = bytearray()
    while b"\n" not in first:
        data = os.read(_STDIN, _READ_BYTES)
        if not data:
            return
        first += data
    line, _, rest = first.partition(b"\n")
    worker = Worker(msgspec.json.decode(line, type=Policy))
    attempt.load()
    # Forks share what is loaded; collecting it would copy it.
    gc.freeze()
    worker.run(bytes(rest))


if __name__ == "__main__":
    main()
