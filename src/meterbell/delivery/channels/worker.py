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

_STDIN, _STDOUT, _STDERR = 0, 1, 2
_READ_BYTES = 1 << 16
_GRACE_SECONDS = 0.5


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
        try:
            self._work(bytearray(rest))
        finally:
            # The server has ended, or nobody can be told what came of it.
            for child in self._children.values():
                os.kill(child.pid, signal.SIGKILL)

    def _work(self, lines: bytearray) -> None:
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

    def _begin(self, job: Job) -> None:
        try:
            reading, writing = os.pipe()
        except OSError:
            _write(_STDOUT, Done(job.id, outcome="internal_error"))
            return
        try:
            pid = os.fork()
        except OSError:  # too many processes, or no memory
            os.close(reading)
            _write(_STDOUT, Done(job.id, outcome="internal_error"))
        else:
            if pid == 0:
                self._forget_others(reading)
                _do(job, partial(_refusal, self._egress, job.livemode), writing)
            self._children[reading] = _Child(job, pid, time.monotonic() + job.seconds)
            self._selector.register(reading, selectors.EVENT_READ)
        os.close(writing)

    def _forget_others(self, reading: int) -> None:
        """Close, in a fork, what it has no use for: it may have few files open itself."""
        self._selector.close()
        for number in (reading, *self._children):
            os.close(number)
        self._children.clear()

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


def _do(job: Job, refusal: Refusal, writing: int) -> NoReturn:
    """Do a job in this fork, tell of it, and end."""
    try:
        # Ends it by itself, should the process that it came from be gone by then.
        signal.setitimer(signal.ITIMER_REAL, job.seconds + _GRACE_SECONDS)
        nothing = os.open(os.devnull, os.O_RDWR)
        for number in (_STDIN, _STDOUT, _STDERR):
            os.dup2(nothing, number)
        logging.disable(logging.CRITICAL)
        sandbox = Sandbox(refusal)
        sandbox.enter(seconds=job.seconds)
        _write(writing, _done(job, sandbox, refusal))
    finally:
        os._exit(0)


def _done(job: Job, sandbox: Sandbox, refusal: Refusal) -> Done:
    """Do a job and return what came of it, whatever that was."""
    try:
        if job.kind == "check":
            done = attempt.look(job, lambda host, port: refusal(host, None, port))
        else:
            done = attempt.send(job)
    except DeniedError as error:
        done = Done(job.id, outcome="not_accepted", refusal=str(error))
    except Exception as error:  # noqa: BLE001 - a service's own fault
        name = type(error).__name__
        done = Done(
            job.id,
            outcome="internal_error",
            response=name.encode(),
            refusal=f"the service that it names can't read it ({name}).",
        )
    if done.outcome != "succeeded" and sandbox.denied is not None:
        outcome = "address_denied" if sandbox.is_address else done.outcome
        done = msgspec.structs.replace(done, outcome=outcome, response=sandbox.denied.encode())
    return done


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
